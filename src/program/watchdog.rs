//! A thread that listens to signals, and ends a program whose stop nobody can carry out.
//!
//! A deadline that a task enforces holds as long as some thread polls tasks and timers. With
//! as many bodies that never await as tokio has workers, or with one on a runtime of one
//! thread, none does: no signal is received, no timer fires, and whatever the run awaits never
//! comes. So signals are received and the deadline is kept by a thread outside that tokio,
//! with a small tokio of its own.
//!
//! **Who does what.**
//! 1. The thread receives each signal, and passes it on to the run, which stops the tree.
//! 2. The stop begins at the first signal, at the token, or when the run says so. The thread
//!    counts the deadline from there, in real time. At a second signal the time is up.
//! 3. The run cuts the stop short itself at the deadline, and gives the killed processes
//!    [`LAST_WAIT`] to end. [`MARGIN`] later it has returned, if any async code runs at all.
//! 4. If it has not, the thread reports what is left and ends the process with code 1.
//!
//! The run dropped its watchdog: the thread ends, whatever it was waiting for. A run under a
//! paused clock has no deadline in real time; its thread only listens.

use std::future::pending;
use std::io;
use std::sync::{Arc, mpsc as channel};
use std::thread;
use std::time::Duration;

use tokio::runtime::Builder;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::base::os_refusal::{build_tokio, start_thread};
use crate::kernel::stop_above::StopInProgress;
use crate::program::clock::is_clock_paused;
use crate::program::default_action::Listening;
use crate::program::outcome_log;
use crate::program::signals::{Asked, Signals, kinds};
use crate::program::stop_report::{CutShort, StopCause};
use crate::program::stop_state::Stopping;
use crate::program::tree_members::Cut;
use crate::program::{LAST_WAIT, first};

/// How much later than it should have returned a run is given up.
const MARGIN: Duration = Duration::from_secs(1);

/// How long the last words of the program may take: a subscriber or a pipe may block.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// What a watchdog is to watch.
pub(super) struct Watched {
    pub(super) stopping: Arc<Stopping>,
    pub(super) deadline: Duration,
    pub(super) stop_on: Option<CancellationToken>,
    pub(super) signals: bool,
    /// `SIGHUP` is listened to as well.
    pub(super) reload: bool,
}

/// The run's side of it.
pub(super) struct Watchdog {
    /// The default action of signals is given back when it is dropped.
    listening: Option<Listening>,
    asked: mpsc::UnboundedReceiver<Asked>,
    news: mpsc::UnboundedSender<News>,
}

/// What a run says of itself.
enum News {
    /// The stop has begun. `None`: the clock is paused, no deadline holds in real time.
    Begun(StopCause, Option<Duration>),
    /// The stop is cut short: the killed have [`LAST_WAIT`] to end from here on, or from the last
    /// time that this was said.
    Forces,
    /// The run has returned; the rest of the program may take so long, `None` is any time.
    Returned(Option<Duration>),
}

impl Watchdog {
    /// Starts the thread. From its return on no signal is lost.
    pub(super) fn start(watched: Watched) -> io::Result<Self> {
        let (hand, asked) = mpsc::unbounded_channel();
        let (news, listen) = mpsc::unbounded_channel();
        let (say, ready) = channel::channel();
        let armed = !is_clock_paused();
        let run = move || run(watched, armed, &say, &hand, listen);
        start_thread("regrow-watchdog".into(), "it", run)?;
        let ended = || io::Error::other("the thread that listens to them has ended");
        let listening = ready.recv().map_err(|_| ended())??;
        Ok(Watchdog { listening, asked, news })
    }

    /// What the operating system asks next.
    pub(super) async fn next(&mut self) -> Asked {
        match self.asked.recv().await {
            Some(asked) => asked,
            None => pending().await,
        }
    }

    /// The stop has begun, and may take so long.
    pub(super) fn begun(&self, cause: &StopCause, deadline: Duration) {
        let deadline = (!is_clock_paused()).then_some(deadline);
        // A thread that has ended watches nothing.
        let _ = self.news.send(News::Begun(cause.clone(), deadline));
    }

    /// The run still runs async code, and forces the stop: only its silence from here on ends the
    /// process.
    pub(super) fn forces(&self) {
        let _ = self.news.send(News::Forces);
    }

    /// The tree has stopped. What is left of the program is to end within this time, if there is
    /// a limit. From here on signals do what they do by default.
    pub(super) fn returned(&mut self, limit: Option<Duration>) {
        self.listening = None;
        let _ = self.news.send(News::Returned(limit));
    }
}

/// The thread.
fn run(
    watched: Watched,
    armed: bool,
    ready: &channel::Sender<io::Result<Option<Listening>>>,
    hand: &mpsc::UnboundedSender<Asked>,
    news: mpsc::UnboundedReceiver<News>,
) {
    let began = build_tokio(Builder::new_current_thread(), "no tokio for it").and_then(|tokio| {
        let inside = tokio.enter();
        let listen = || Signals::listen(watched.reload);
        let listen = || Listening::begin(kinds(watched.reload), listen);
        let listening = watched.signals.then(listen).transpose()?;
        drop(inside);
        Ok((tokio, listening))
    });
    let (tokio, listening) = match began {
        Ok(began) => began,
        Err(error) => return drop(ready.send(Err(error))),
    };
    let (listening, signals) = listening.unzip();
    if ready.send(Ok(listening)).is_ok() {
        let watch = Watch {
            watched,
            signals,
            armed,
            begun: None,
            stopping: None,
            due: None,
            by: CutShort::Deadline,
        };
        tokio.block_on(watch.watch(hand, news));
    }
}

/// What the thread knows.
struct Watch {
    watched: Watched,
    signals: Option<Signals>,
    /// The deadline holds in real time.
    armed: bool,
    /// Why the stop has begun and when, if it has.
    begun: Option<(StopCause, Instant)>,
    /// Says so to the tree.
    stopping: Option<StopInProgress>,
    /// When the run should have returned.
    due: Option<Instant>,
    by: CutShort,
}

enum Woken {
    Signal(Asked),
    Token,
    News(Option<News>),
    Overdue,
}

impl Watch {
    async fn watch(
        mut self,
        hand: &mpsc::UnboundedSender<Asked>,
        mut news: mpsc::UnboundedReceiver<News>,
    ) {
        loop {
            match self.next(&mut news).await {
                Woken::News(None) => return,
                Woken::News(Some(News::Begun(cause, deadline))) => {
                    self.armed = deadline.is_some();
                    self.begin(&cause);
                }
                Woken::News(Some(News::Forces)) => self.due = self.due_after(Duration::ZERO),
                Woken::News(Some(News::Returned(limit))) => {
                    self.begun.get_or_insert((StopCause::TreeEnded, Instant::now()));
                    let limit = limit.map(|limit| limit.saturating_add(MARGIN));
                    let due = limit.and_then(|limit| Instant::now().checked_add(limit));
                    self.due = due.filter(|_| self.armed);
                }
                Woken::Token => self.begin(&StopCause::Token),
                Woken::Signal(asked) => {
                    // Known here alone: the run may have begun its stop for another reason, and
                    // must not take this for a second signal.
                    let asked = match (asked, self.begun.is_some()) {
                        (Asked::Stop(name), true) => Asked::StopNow(name),
                        (asked, _) => asked,
                    };
                    if let Asked::Stop(name) | Asked::StopNow(name) = asked {
                        self.stop_signal(name);
                    }
                    // A run that has returned asks for nothing any more.
                    let _ = hand.send(asked);
                }
                Woken::Overdue => self.end_the_process(),
            }
        }
    }

    async fn next(&mut self, news: &mut mpsc::UnboundedReceiver<News>) -> Woken {
        let Watch { watched, signals, begun, due, .. } = self;
        let told = async { Woken::News(news.recv().await) };
        let signal = async {
            match signals {
                Some(signals) => Woken::Signal(signals.next().await),
                None => pending().await,
            }
        };
        let token = async {
            match &watched.stop_on {
                Some(token) if begun.is_none() => token.cancelled().await,
                _ => pending().await,
            }
            Woken::Token
        };
        let overdue = async {
            at(*due).await;
            Woken::Overdue
        };
        first(told, first(signal, first(token, overdue))).await
    }

    /// The stop begins, unless it has.
    fn begin(&mut self, cause: &StopCause) {
        if !self.armed {
            self.due = None;
        }
        if self.begun.is_none() {
            self.begun = Some((cause.clone(), Instant::now()));
            self.due = self.due_after(self.watched.deadline);
            // The tree learns of it at once, however long the run takes to be polled.
            let below = self.watched.stopping.begin(cause);
            self.stopping = below.map(|below| below.begin_stop(cause));
        }
    }

    fn stop_signal(&mut self, name: &'static str) {
        if self.begun.is_none() {
            return self.begin(&StopCause::Signal(name));
        }
        let now = self.due_after(Duration::ZERO);
        if self.due.is_none_or(|due| now.is_some_and(|now| now < due)) {
            (self.due, self.by) = (now, CutShort::SecondSignal);
        }
    }

    /// When a run should have returned that cuts its stop short so much later.
    fn due_after(&self, limit: Duration) -> Option<Instant> {
        let due = Instant::now().checked_add(limit)?.checked_add(LAST_WAIT + MARGIN)?;
        self.armed.then_some(due)
    }

    /// No async code has run for so long that none will: says what is left, and exits.
    fn end_the_process(&self) -> ! {
        let stopping = self.watched.stopping.clone();
        let now = Instant::now();
        let (cause, began) = self.begun.clone().unwrap_or((StopCause::TreeEnded, now));
        let (took, cut) = (now.duration_since(began), Cut { by: self.by, in_order: false });
        let (say, said) = channel::channel();
        let last_words = thread::Builder::new().name("regrow-last-words".into()).spawn(move || {
            outcome_log::tell_left_behind(&stopping.report(&cause, took, &cut));
            let _ = say.send(());
        });
        if last_words.is_ok() {
            let _ = said.recv_timeout(LAST_WORDS);
        }
        self.watched.stopping.kill_programs();
        std::process::exit(1)
    }
}

async fn at(due: Option<Instant>) {
    match due {
        Some(due) => sleep_until(due).await,
        None => pending().await,
    }
}
