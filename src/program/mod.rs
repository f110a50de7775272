//! A supervision tree as a program: it is started, listens for signals, and stops within a deadline.
//!
//! **Uses** `base`, `exit`, `observe`, `process`, `kernel`, `runtime`, `supervisor`.
//! **Knows nothing of** snapshots and tasks.
//!
//! The steps of a run:
//! 1. The tree is started. A stop that is requested meanwhile cancels the start.
//! 2. The run waits for the first of: a signal, the cancellation of its token, the end of the root.
//! 3. The root is asked to stop, and stops its children as their specifications say. One deadline
//!    holds for the whole stop.
//! 4. At the deadline, or at a second signal, the root and all processes below it are killed, parents
//!    first, so that none is left that could restart another.
//! 5. A process that has not ended a moment later is one that does not await. The report names it,
//!    and the run returns without it. If that leaves no thread of tokio to run this code, the
//!    [`watchdog`] ends the operating system's process.
//!
//! A root that ends while it is asked to stop counts as stopped. A root that gave up in that moment is
//! still an error.

use std::future::{Future, pending};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::select;
use tokio_util::sync::CancellationToken;

use crate::base::coop::consume_budget;
use crate::exit::panic_hook::install_panic_hook;
use crate::exit::reason::ExitReason;
use crate::exit::shutdown::STOP_DEADLINE;
use crate::runtime::Runtime;
use crate::supervisor::{SupervisorRef, SupervisorSpec};

mod error;
mod stop_report;
mod report_text;
mod signals;
mod default_action;
mod reload;
mod tree_members;
mod stop_state;
mod outcome_log;
mod clock;
mod watchdog;
mod stop;
mod stop_during_start;
mod builder;

pub use builder::{Program, main};
pub use error::RunError;
pub use stop_report::{CutShort, StopCause, StopOutcome, StopReport, StoppedChild};

use reload::Reloader;
use signals::SignalRequest;
use stop_state::StopState;
use watchdog::{Watchdog, WatchdogConfig};

/// How long the killed have, to notice.
const KILL_WAIT: Duration = Duration::from_secs(1);

/// Runs a tree as the program: until it is told to stop by `SIGTERM`, `SIGINT` or `Ctrl-C`,
/// or until the tree ends. What [`Run`] does with all its defaults.
///
/// # Errors
///
/// As [`Run::run`].
///
/// # Panics
///
/// If there is no tokio runtime, or one without time.
///
/// # Cancel safety
///
/// As [`Run::run`].
///
/// ```no_run
/// use regrow::{ChildSpec, RunError, StopReport, Supervisor};
///
/// #[tokio::main]
/// async fn main() -> Result<StopReport, RunError> {
///     let flush = ChildSpec::task("flush", |_| std::future::pending());
///     regrow::run(Supervisor::one_for_one().child(flush)).await
/// }
/// ```
pub async fn run(tree: impl Into<SupervisorSpec>) -> Result<StopReport, RunError> {
    Run::new(tree).run().await
}

/// A program: a tree, what ends it, and how long its end may take.
///
/// OTP's counterparts are the application, which starts the tree, and `init:stop/0`, which
/// ends it; the report, and the deadline for everything together, are ours.
///
/// # Examples
///
/// Inside a program that has a token of its own:
///
/// ```
/// use std::time::Duration;
/// use regrow::{ChildSpec, Run, StopCause, Supervisor};
/// use tokio_util::sync::CancellationToken;
///
/// # tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true)
/// # .build().unwrap().block_on(async {
/// let stop = CancellationToken::new();
/// let deaf = ChildSpec::task("deaf", |mut ctx| async move {
///     ctx.cancellation_token(); // asks to be told, …
///     std::future::pending().await // … and doesn't listen
/// });
/// let flush = ChildSpec::task("flush", |_| std::future::pending());
/// let tree = Supervisor::one_for_one().named("app").child(flush).child(deaf);
/// let program = tokio::spawn(
///     Run::new(tree).without_signals().stop_on(stop.clone()).deadline(Duration::from_secs(2)).run(),
/// );
/// tokio::time::sleep(Duration::from_millis(1)).await;
/// stop.cancel();
///
/// let report = program.await??;
/// assert_eq!((report.cause.clone(), report.took), (StopCause::Token, Duration::from_secs(2)));
/// assert!(report.forced && !report.is_clean());
/// let told: Vec<String> = report.children.iter().map(|child| format!("{}", child.path)).collect();
/// assert_eq!(told, ["app/deaf", "app/flush"]); // in the order of their ends
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
#[derive(Debug)]
#[must_use = "it does nothing until it is run"]
pub struct Run {
    tree: SupervisorSpec,
    runtime: Option<Runtime>,
    deadline: Duration,
    signals: bool,
    stop_on: Option<CancellationToken>,
    cancel_on_stop: Option<CancellationToken>,
    restart_path: Option<String>,
}

impl From<SupervisorSpec> for Run {
    fn from(tree: SupervisorSpec) -> Self {
        Run::new(tree)
    }
}

/// What ended a wait.
enum RunEvent {
    Ended(ExitReason),
    Request(SignalRequest),
    Token,
}

impl Run {
    /// A program of this tree, with every default. [`Run`] has an example.
    pub fn new(tree: impl Into<SupervisorSpec>) -> Self {
        Run {
            tree: tree.into(),
            runtime: None,
            deadline: STOP_DEADLINE,
            signals: true,
            stop_on: None,
            cancel_on_stop: None,
            restart_path: None,
        }
    }

    /// The runtime it runs in. By default one of its own, which is closed in the end.
    pub fn on(mut self, runtime: &Runtime) -> Self {
        self.runtime = Some(runtime.clone());
        self
    }

    /// How long the whole stop may take; the nearer of this and each child's own time holds.
    /// By default 25 s.
    pub fn deadline(mut self, limit: Duration) -> Self {
        self.deadline = limit;
        self
    }

    /// Leaves signals to the program around it. By default `SIGTERM` and `SIGINT`, or
    /// `Ctrl-C` and `Ctrl-Break`, stop the tree, and a second one forces it. A program that
    /// listens to these signals itself, before or after the run, wants this: when a run has
    /// returned, a signal that nobody had caught before it ends the process.
    pub fn without_signals(mut self) -> Self {
        self.signals = false;
        self
    }

    /// Stops the tree when this token is cancelled. By default there is none.
    pub fn stop_on(mut self, token: CancellationToken) -> Self {
        self.stop_on = Some(token);
        self
    }

    /// Cancels this token when the stop begins, for code that runs beside the tree. By
    /// default there is none.
    pub fn cancel_on_stop(mut self, token: CancellationToken) -> Self {
        self.cancel_on_stop = Some(token);
        self
    }

    /// Has `SIGHUP` restart one child of the tree, given by the ids that lead to it from the
    /// root, separated by `/`: `"ingest"`, or `"ingest/parser"`. By default `SIGHUP` is left
    /// alone. It is stopped as its spec says and started again. That counts against no budget and
    /// is none of its [`restarts`](crate::ChildInfo::restarts), but one of its
    /// [`starts_by_hand`](crate::ChildInfo::starts_by_hand); its history shows the incarnation
    /// that was stopped.
    ///
    /// Signals that come while the child is being stopped are joined into the one restart; those
    /// that come after that, while it starts, into one more, since it may have read by then what
    /// has changed since. A start that fails is an ERROR event, and leaves the child stopped until
    /// the next signal.
    pub fn restart_on_hangup(mut self, path: impl Into<String>) -> Self {
        self.restart_path = Some(path.into());
        self
    }

    /// Installs the [panic hook](crate::install_panic_hook), starts the tree and returns when
    /// it has been stopped, or has ended. Asked to stop while the tree still starts, it stops
    /// it when it is up; if the deadline comes before that, or a second signal, it kills it.
    ///
    /// Once it has returned, signals do again what they do by default: `SIGTERM` ends the process,
    /// also while `#[tokio::main]` waits for what was left behind. [`Program`] does not wait for
    /// that. Unless it runs [`without_signals`](Self::without_signals), a thread of its own listens
    /// to them, and enforces the deadline where no task can: if no async code runs any more, since
    /// each thread of tokio is held by a body that does not await, it reports what is left on
    /// standard error and ends the process with code 1, two seconds after the deadline or the
    /// second signal. Under a paused clock it does not.
    ///
    /// # Errors
    ///
    /// [`RunError::Start`] if a child does not start; [`RunError::GaveUp`] if a child used up
    /// its restarts, and [`RunError::Ended`] if the root ended for another reason that is not
    /// clean; [`RunError::Signals`] if they can't be listened to, because no thread or no file can
    /// be had for it: then nothing was started; [`RunError::NoUnwinding`]
    /// in a program built with `panic = "abort"`.
    ///
    /// # Panics
    ///
    /// If there is no tokio runtime, or one without time.
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: a run that is dropped leaves its tree as it is. Signals do then what they
    /// do by default.
    pub async fn run(self) -> Result<StopReport, RunError> {
        consume_budget().await;
        let signals = self.signals;
        self.run_with_watchdog(signals).await.0
    }

    /// Runs it, and gives the watchdog of the stop, if there is to be one.
    async fn run_with_watchdog(
        self,
        with_watchdog: bool,
    ) -> (Result<StopReport, RunError>, Option<Watchdog>) {
        if cfg!(panic = "abort") {
            return (Err(RunError::NoUnwinding), None);
        }
        install_panic_hook();
        let stop_state = Arc::new(StopState::default());
        let watchdog = || self.watchdog(&stop_state).map_err(RunError::Signals);
        let mut watchdog = match with_watchdog.then(watchdog).transpose() {
            Ok(watchdog) => watchdog,
            Err(error) => return (Err(error), None),
        };
        let own = self.runtime.is_none();
        let runtime = self.runtime.clone().unwrap_or_default();
        let outcome = self.start_and_wait(&runtime, &stop_state, &mut watchdog).await;
        if own {
            runtime.shutdown();
        }
        outcome_log::log_outcome(&outcome);
        (outcome, watchdog)
    }

    fn watchdog(&self, stop_state: &Arc<StopState>) -> std::io::Result<Watchdog> {
        Watchdog::start(WatchdogConfig {
            stop_state: stop_state.clone(),
            deadline: self.deadline,
            stop_on: self.stop_on.clone(),
            handle_signals: self.signals,
            handle_hangup: self.restart_path.is_some(),
        })
    }

    async fn start_and_wait(
        self,
        runtime: &Runtime,
        stop_state: &StopState,
        watchdog: &mut Option<Watchdog>,
    ) -> Result<StopReport, RunError> {
        let root = self.tree.id.to_string();
        let (pid, starting) = self.tree.clone().begin(runtime).map_err(RunError::Start)?;
        stop_state.set_root(runtime, pid, &root);
        let mut starting = pin!(starting);
        let started = async { Ok(starting.as_mut().await) };
        let requested = async { Err(self.stop_requested(watchdog).await) };
        let tree = match first(started, requested).await {
            Ok(started) => started.map_err(RunError::Start)?,
            Err(cause) => {
                let stop = self.begin_stop(stop_state, watchdog, cause);
                return self.stop_during_start(starting, watchdog, stop).await;
            }
        };
        let cause = match self.wait_for_stop(runtime, &tree, watchdog).await {
            Ok(cause) => cause,
            Err(reason) => return Err(RunError::from_root(runtime, (&root, pid), reason)),
        };
        let stop = self.begin_stop(stop_state, watchdog, cause);
        self.stop(&tree, watchdog, stop).await
    }

    /// Waits until the tree is to be stopped, or has ended, and restarts the chosen child
    /// meanwhile. An error is the reason of an end that is not clean.
    async fn wait_for_stop(
        &self,
        runtime: &Runtime,
        tree: &SupervisorRef,
        watchdog: &mut Option<Watchdog>,
    ) -> Result<StopCause, ExitReason> {
        let reloads = self.restart_path.as_deref().map(|path| Reloader::start(runtime, tree, path));
        loop {
            match self.next_event(tree, watchdog).await {
                RunEvent::Ended(reason) if reason.is_clean() => return Ok(StopCause::TreeEnded),
                RunEvent::Ended(reason) => return Err(reason),
                RunEvent::Request(SignalRequest::Stop(signal) | SignalRequest::StopNow(signal)) => {
                    return Ok(StopCause::Signal(signal));
                }
                RunEvent::Token => return Ok(StopCause::Token),
                RunEvent::Request(SignalRequest::Reload) => {
                    reloads.iter().for_each(Reloader::request)
                }
            }
        }
    }

    async fn token_cancelled(&self) -> StopCause {
        match &self.stop_on {
            Some(token) => token.cancelled().await,
            None => pending().await,
        }
        StopCause::Token
    }

    async fn next_event(&self, tree: &SupervisorRef, watchdog: &mut Option<Watchdog>) -> RunEvent {
        let ended = async { RunEvent::Ended(tree.ended().await) };
        let request = async { RunEvent::Request(next_request(watchdog).await) };
        let token = async {
            self.token_cancelled().await;
            RunEvent::Token
        };
        first(ended, first(request, token)).await
    }
}

async fn next_request(watchdog: &mut Option<Watchdog>) -> SignalRequest {
    match watchdog {
        Some(watchdog) => watchdog.next().await,
        None => pending().await,
    }
}

async fn first<T>(one: impl Future<Output = T>, other: impl Future<Output = T>) -> T {
    select(pin!(one), pin!(other)).await.factor_first().0
}
