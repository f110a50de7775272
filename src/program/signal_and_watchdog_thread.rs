//! The watchdog of a run: a thread outside the run's tokio that receives signals, and ends the
//! process of the operating system if the run can't stop its tree.
//!
//! # What it guarantees
//!
//! The watchdog receives signals and enforces the deadline even if the run's tokio runs no async
//! code. A deadline that a task enforces holds only while some thread polls tasks and timers. If as
//! many bodies never await as tokio has workers, or one such body runs on a runtime of one thread,
//! no thread polls tasks and timers any more: no signal is received, no timer fires, and no future
//! of the run completes. The watchdog's thread has its own small tokio, which these bodies do not
//! block.
//!
//! # Steps
//!
//! ```text
//!             signal, token, StopBegan              Forcing             due
//!   waiting ───────────────────────────> stopping ──────────> forcing ─────> process exit
//!                                            └──────── due ──────────────────────┘
//!   any ── Returned ──> waiting for the rest of the program ── due ──> process exit
//! ```
//!
//! 1. The thread receives each signal and passes it on to the run, which stops the tree.
//! 2. The stop begins at the first signal, at the cancellation of the token, or when the run
//!    reports it. The thread counts the deadline from that moment, in real time. A second signal
//!    has the effect of a deadline that is over.
//! 3. At the deadline the run cuts the stop short and kills all processes, which have [`KILL_WAIT`]
//!    to end. If async code runs, the run returns within [`RETURN_MARGIN`] after that.
//! 4. If the run has not returned by then, the thread reports the remaining processes, and ends the
//!    process of the operating system with code 1.
//!
//! # Invariants
//!
//! 1. From the return of `Watchdog::start` on, no signal is lost.
//! 2. Only the thread decides whether a signal begins the stop or is a second signal. If the run
//!    decided, it could take the signal that began the stop for a second one, since the run may
//!    begin its stop for another reason before it receives that signal.
//! 3. The thread ends when the run drops its `Watchdog`.
//! 4. While tokio's clock is paused, the thread only passes on signals: no deadline holds in real
//!    time.

use std::future::pending;
use std::io;
use std::sync::{Arc, mpsc as channel};
use std::thread;
use std::time::Duration;

use tokio::runtime::Builder;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::base::os_refusal::build_tokio;
use crate::kernel::StopInProgress;
use crate::program::default_action::HandledSignals;
use crate::program::signal_listener::{Signals, signal_numbers};
use crate::program::{
    CutShort, ForcedStop, KILL_WAIT, SignalRequest, StopCause, StopState, first, outcome_log,
    sleep_until_due,
};

/// The time that the thread gives to a run that should have returned.
const RETURN_MARGIN: Duration = Duration::from_secs(1);

/// The time limit of the final report, since a log subscriber or a write to standard error may
/// block.
const REPORT_LIMIT: Duration = Duration::from_secs(1);

/// The settings of a watchdog.
pub(super) struct WatchdogConfig {
    pub(super) stop_state: Arc<StopState>,
    pub(super) deadline: Duration,
    pub(super) stop_on: Option<CancellationToken>,
    pub(super) handle_signals: bool,
    /// Whether to listen to `SIGHUP` as well.
    pub(super) handle_hangup: bool,
}

/// A notice from the run to the thread.
pub(super) enum Notice {
    /// The stop has begun, with this deadline; `None` while the clock is paused.
    StopBegan(StopCause, Option<Duration>),
    /// The run kills all processes, which have [`KILL_WAIT`] to end, counted from the last notice
    /// of this kind.
    Forcing,
    /// The run has returned. The rest of the program may take this long; without a limit if `None`.
    Returned(Option<Duration>),
}

/// Runs the watchdog. This is the function of the thread.
pub(super) fn run(
    config: WatchdogConfig,
    armed: bool,
    ready: &channel::Sender<io::Result<Option<HandledSignals>>>,
    requests: &mpsc::UnboundedSender<SignalRequest>,
    notices: mpsc::UnboundedReceiver<Notice>,
) {
    let started = build_tokio(Builder::new_current_thread(), "no tokio for it").and_then(|tokio| {
        let inside = tokio.enter();
        let listen = || Signals::listen(config.handle_hangup);
        let listen = || HandledSignals::start(signal_numbers(config.handle_hangup), listen);
        let listening = config.handle_signals.then(listen).transpose()?;
        drop(inside);
        Ok((tokio, listening))
    });
    let (tokio, listening) = match started {
        Ok(started) => started,
        Err(error) => return drop(ready.send(Err(error))),
    };
    let (handled_signals, signals) = listening.unzip();
    if ready.send(Ok(handled_signals)).is_ok() {
        let thread = WatchdogThread {
            config,
            signals,
            armed,
            began: None,
            stop_in_progress: None,
            due: None,
            by: CutShort::Deadline,
        };
        tokio.block_on(thread.watch(requests, notices));
    }
}

/// The state of the thread.
struct WatchdogThread {
    config: WatchdogConfig,
    signals: Option<Signals>,
    /// Whether the deadline holds in real time (invariant 4).
    armed: bool,
    /// The cause and the time of the beginning of the stop, if it has begun.
    began: Option<(StopCause, Instant)>,
    /// Marks the processes below the root as about to be stopped.
    stop_in_progress: Option<StopInProgress>,
    /// The time at which the thread ends the process; `None` if no such time is set.
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
        requests: &mpsc::UnboundedSender<SignalRequest>,
        mut notices: mpsc::UnboundedReceiver<Notice>,
    ) {
        loop {
            match self.next(&mut notices).await {
                // Invariant 3.
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
                Event::Signal(request) => {
                    // A token that was cancelled before the signal has begun the stop.
                    let token = self.config.stop_on.as_ref();
                    if token.is_some_and(CancellationToken::is_cancelled) {
                        self.begin(&StopCause::Token);
                    }
                    // Invariant 2.
                    let request = match (request, self.began.is_some()) {
                        (SignalRequest::Stop(name), true) => SignalRequest::StopNow(name),
                        (request, _) => request,
                    };
                    if let SignalRequest::Stop(name) | SignalRequest::StopNow(name) = request {
                        self.stop_signal(name);
                    }
                    // An error means that the run has returned.
                    let _ = requests.send(request);
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

    /// Begins the stop, unless it has begun.
    fn begin(&mut self, cause: &StopCause) {
        if !self.armed {
            self.due = None;
        }
        if self.began.is_none() {
            self.began = Some((cause.clone(), Instant::now()));
            self.due = self.due_after(self.config.deadline);
            // Mark the stop in the tree at once, even if the run is polled much later.
            let members = self.config.stop_state.begin(cause);
            self.stop_in_progress = members.map(|members| members.begin_stop(cause));
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

    /// Returns when to end the process if the run cuts its stop short after `limit`.
    fn due_after(&self, limit: Duration) -> Option<Instant> {
        let due = Instant::now().checked_add(limit)?.checked_add(KILL_WAIT + RETURN_MARGIN)?;
        self.armed.then_some(due)
    }

    /// Reports the remaining processes, and exits. The run, or the rest of the program after it, is
    /// overdue.
    fn end_the_process(&self) -> ! {
        let stop_state = self.config.stop_state.clone();
        let now = Instant::now();
        let (cause, began) = self.began.clone().unwrap_or((StopCause::TreeEnded, now));
        let forced = ForcedStop { by: self.by, all_killed: false };
        let took = now.duration_since(began);
        let (reported_sender, reported) = channel::channel();
        let reporter = thread::Builder::new().name("regrow-last-report".into()).spawn(move || {
            outcome_log::report_forced_exit(&stop_state.report(&cause, took, &forced));
            let _ = reported_sender.send(());
        });
        if reporter.is_ok() {
            let _ = reported.recv_timeout(REPORT_LIMIT);
        }
        self.config.stop_state.kill_programs();
        std::process::exit(1)
    }
}
