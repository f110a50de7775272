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
//!    [`KILL_WAIT`] to end. [`RETURN_MARGIN`] later it has returned, if any async code runs at all.
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
use crate::program::default_action::HandledSignals;
use crate::program::outcome_log;
use crate::program::signals::{SignalRequest, Signals, signal_numbers};
use crate::program::stop_report::{CutShort, StopCause};
use crate::program::stop_state::StopState;
use crate::program::tree_members::ForcedStop;
use crate::program::{KILL_WAIT, first};

/// How much later than it should have returned a run is given up.
const RETURN_MARGIN: Duration = Duration::from_secs(1);

/// How long the last words of the program may take: a subscriber or a pipe may block.
const REPORT_LIMIT: Duration = Duration::from_secs(1);

/// What a watchdog is to watch.
pub(super) struct WatchdogConfig {
    pub(super) stop_state: Arc<StopState>,
    pub(super) deadline: Duration,
    pub(super) stop_on: Option<CancellationToken>,
    pub(super) handle_signals: bool,
    /// `SIGHUP` is listened to as well.
    pub(super) handle_hangup: bool,
}

/// The run's side of it.
pub(super) struct Watchdog {
    /// The default action of signals is given back when it is dropped.
    handled_signals: Option<HandledSignals>,
    requests: mpsc::UnboundedReceiver<SignalRequest>,
    notices: mpsc::UnboundedSender<Notice>,
}

/// What a run says of itself.
enum Notice {
    /// The stop has begun. `None`: the clock is paused, no deadline holds in real time.
    StopBegan(StopCause, Option<Duration>),
    /// The stop is cut short: the killed have [`KILL_WAIT`] to end from here on, or from the last
    /// time that this was said.
    Forcing,
    /// The run has returned; the rest of the program may take so long, `None` is any time.
    Returned(Option<Duration>),
}

impl Watchdog {
    /// Starts the thread. From its return on no signal is lost.
    pub(super) fn start(config: WatchdogConfig) -> io::Result<Self> {
        let (request_sender, requests) = mpsc::unbounded_channel();
        let (notices, listen) = mpsc::unbounded_channel();
        let (say, ready) = channel::channel();
        let armed = !is_clock_paused();
        let run = move || run(config, armed, &say, &request_sender, listen);
        start_thread("regrow-watchdog".into(), "it", run)?;
        let ended = || io::Error::other("the thread that listens to them has ended");
        let handled_signals = ready.recv().map_err(|_| ended())??;
        Ok(Watchdog { handled_signals, requests, notices })
    }

    /// What the operating system asks next.
    pub(super) async fn next(&mut self) -> SignalRequest {
        match self.requests.recv().await {
            Some(asked) => asked,
            None => pending().await,
        }
    }

    /// The stop has begun, and may take so long.
    pub(super) fn stop_began(&self, cause: &StopCause, deadline: Duration) {
        let deadline = (!is_clock_paused()).then_some(deadline);
        // A thread that has ended watches nothing.
        let _ = self.notices.send(Notice::StopBegan(cause.clone(), deadline));
    }

    /// The run still runs async code, and forces the stop: only its silence from here on ends the
    /// process.
    pub(super) fn notify_forcing(&self) {
        let _ = self.notices.send(Notice::Forcing);
    }

    /// The tree has stopped. What is left of the program is to end within this time, if there is
    /// a limit. From here on signals do what they do by default.
    pub(super) fn run_returned(&mut self, limit: Option<Duration>) {
        self.handled_signals = None;
        let _ = self.notices.send(Notice::Returned(limit));
    }
}

/// The thread.
fn run(
    config: WatchdogConfig,
    armed: bool,
    ready: &channel::Sender<io::Result<Option<HandledSignals>>>,
    request_sender: &mpsc::UnboundedSender<SignalRequest>,
    notices: mpsc::UnboundedReceiver<Notice>,
) {
    let began = build_tokio(Builder::new_current_thread(), "no tokio for it").and_then(|tokio| {
        let inside = tokio.enter();
        let listen = || Signals::listen(config.handle_hangup);
        let listen = || HandledSignals::start(signal_numbers(config.handle_hangup), listen);
        let listening = config.handle_signals.then(listen).transpose()?;
        drop(inside);
        Ok((tokio, listening))
    });
    let (tokio, listening) = match began {
        Ok(began) => began,
        Err(error) => return drop(ready.send(Err(error))),
    };
    let (listening, signals) = listening.unzip();
    if ready.send(Ok(listening)).is_ok() {
        let watchdog = WatchdogThread {
            config,
            signals,
            armed,
            began: None,
            stopping: None,
            due: None,
            by: CutShort::Deadline,
        };
        tokio.block_on(watchdog.watch(request_sender, notices));
    }
}

/// What the thread knows.
struct WatchdogThread {
    config: WatchdogConfig,
    signals: Option<Signals>,
    /// The deadline holds in real time.
    armed: bool,
    /// Why the stop has begun and when, if it has.
    began: Option<(StopCause, Instant)>,
    /// Says so to the tree.
    stopping: Option<StopInProgress>,
    /// When the run should have returned.
    due: Option<Instant>,
    by: CutShort,
}

enum Event {
    Signal(SignalRequest),
    Token,
    Notice(Option<Notice>),
    Overdue,
}

impl WatchdogThread {
    async fn watch(
        mut self,
        request_sender: &mpsc::UnboundedSender<SignalRequest>,
        mut notices: mpsc::UnboundedReceiver<Notice>,
    ) {
        loop {
            match self.next(&mut notices).await {
                Event::Notice(None) => return,
                Event::Notice(Some(Notice::StopBegan(cause, deadline))) => {
                    self.armed = deadline.is_some();
                    self.begin(&cause);
                }
                Event::Notice(Some(Notice::Forcing)) => self.due = self.due_after(Duration::ZERO),
                Event::Notice(Some(Notice::Returned(limit))) => {
                    self.began.get_or_insert((StopCause::TreeEnded, Instant::now()));
                    let limit = limit.map(|limit| limit.saturating_add(RETURN_MARGIN));
                    let due = limit.and_then(|limit| Instant::now().checked_add(limit));
                    self.due = due.filter(|_| self.armed);
                }
                Event::Token => self.begin(&StopCause::Token),
                Event::Signal(asked) => {
                    // Known here alone: the run may have begun its stop for another reason, and
                    // must not take this for a second signal.
                    let asked = match (asked, self.began.is_some()) {
                        (SignalRequest::Stop(name), true) => SignalRequest::StopNow(name),
                        (asked, _) => asked,
                    };
                    if let SignalRequest::Stop(name) | SignalRequest::StopNow(name) = asked {
                        self.stop_signal(name);
                    }
                    // A run that has returned asks for nothing any more.
                    let _ = request_sender.send(asked);
                }
                Event::Overdue => self.end_the_process(),
            }
        }
    }

    async fn next(&mut self, notices: &mut mpsc::UnboundedReceiver<Notice>) -> Event {
        let WatchdogThread { config, signals, began, due, .. } = self;
        let notice = async { Event::Notice(notices.recv().await) };
        let signal = async {
            match signals {
                Some(signals) => Event::Signal(signals.next().await),
                None => pending().await,
            }
        };
        let token = async {
            match &config.stop_on {
                Some(token) if began.is_none() => token.cancelled().await,
                _ => pending().await,
            }
            Event::Token
        };
        let overdue = async {
            sleep_until_due(*due).await;
            Event::Overdue
        };
        first(notice, first(signal, first(token, overdue))).await
    }

    /// The stop begins, unless it has.
    fn begin(&mut self, cause: &StopCause) {
        if !self.armed {
            self.due = None;
        }
        if self.began.is_none() {
            self.began = Some((cause.clone(), Instant::now()));
            self.due = self.due_after(self.config.deadline);
            // The tree learns of it at once, however long the run takes to be polled.
            let below = self.config.stop_state.begin(cause);
            self.stopping = below.map(|below| below.begin_stop(cause));
        }
    }

    fn stop_signal(&mut self, name: &'static str) {
        if self.began.is_none() {
            return self.begin(&StopCause::Signal(name));
        }
        let now = self.due_after(Duration::ZERO);
        if self.due.is_none_or(|due| now.is_some_and(|now| now < due)) {
            (self.due, self.by) = (now, CutShort::SecondSignal);
        }
    }

    /// When a run should have returned that cuts its stop short so much later.
    fn due_after(&self, limit: Duration) -> Option<Instant> {
        let due = Instant::now().checked_add(limit)?.checked_add(KILL_WAIT + RETURN_MARGIN)?;
        self.armed.then_some(due)
    }

    /// No async code has run for so long that none will: says what is left, and exits.
    fn end_the_process(&self) -> ! {
        let stopping = self.config.stop_state.clone();
        let now = Instant::now();
        let (cause, began) = self.began.clone().unwrap_or((StopCause::TreeEnded, now));
        let (took, cut) =
            (now.duration_since(began), ForcedStop { by: self.by, all_killed: false });
        let (say, said) = channel::channel();
        let reporter = thread::Builder::new().name("regrow-last-words".into()).spawn(move || {
            outcome_log::report_forced_exit(&stopping.report(&cause, took, &cut));
            let _ = say.send(());
        });
        if reporter.is_ok() {
            let _ = said.recv_timeout(REPORT_LIMIT);
        }
        self.config.stop_state.kill_programs();
        std::process::exit(1)
    }
}

async fn sleep_until_due(due: Option<Instant>) {
    match due {
        Some(due) => sleep_until(due).await,
        None => pending().await,
    }
}
