//! A supervision tree as a program: started, listened for, stopped in time.
//!
//! **What happens when.** The tree is started; then whatever comes first ends the wait: a
//! signal, the token, or the root's own end. From there on one deadline holds for the whole
//! stop. The root is asked to stop, and stops its children as their specs say. At the
//! deadline, or at a second signal, the root and all below it are killed, parents first, so
//! that nobody is left who could start them again. What has not ended a moment later does
//! not await: it is named in the report, and left behind.
//!
//! A root that ends while it is being asked to stop has stopped; one that gave up in that
//! moment is an error still.

use std::future::{Future, pending};
use std::pin::pin;
use std::time::Duration;

use futures_util::future::select;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::exit::ExitReason;
use crate::panic_hook::install_panic_hook;
use crate::runtime::Runtime;
use crate::supervisor::{SupervisorRef, SupervisorSpec};
use crate::turn::turn;

mod error;
mod report;
mod signals;
mod reload;
mod below;
mod called_off;

pub use error::RunError;
pub use report::{StopCause, StopOutcome, StopReport, StoppedChild};

use below::Below;
use signals::{Asked, Signals};

/// How long a stop may take in all, if nothing else is said: less than the 30 s that
/// Kubernetes and systemd wait before they kill.
const DEADLINE: Duration = Duration::from_secs(25);

/// How long the killed have, to notice.
const LAST_WAIT: Duration = Duration::from_secs(1);

/// Runs a tree as the program: until it is told to stop by `SIGTERM`, `SIGINT` or `Ctrl-C`,
/// or until the tree ends. What [`Run`] does with all its defaults.
///
/// # Errors
///
/// As [`Run::run`].
///
/// # Panics
///
/// If there is no tokio runtime, or one without time or I/O.
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
    reload: Option<String>,
}

/// What ended a wait.
enum Woken {
    Ended(ExitReason),
    Asked(Asked),
    Token,
}

impl Run {
    /// A program of this tree, with every default. [`Run`] has an example.
    pub fn new(tree: impl Into<SupervisorSpec>) -> Self {
        Run {
            tree: tree.into(),
            runtime: None,
            deadline: DEADLINE,
            signals: true,
            stop_on: None,
            cancel_on_stop: None,
            reload: None,
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
    /// `Ctrl-C` and `Ctrl-Break`, stop the tree, and a second one forces it.
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
    /// alone. It is stopped as its spec says and started again, which counts as no restart;
    /// a start that fails is an ERROR event, and leaves the child stopped.
    pub fn restart_on_hangup(mut self, path: impl Into<String>) -> Self {
        self.reload = Some(path.into());
        self
    }

    /// Installs the [panic hook](crate::install_panic_hook), starts the tree and returns when
    /// it has been stopped, or has ended. Asked to stop while the tree still starts, it stops
    /// it when it is up; if the deadline comes before that, or a second signal, it kills it.
    ///
    /// # Errors
    ///
    /// [`RunError::Start`] if a child does not start; [`RunError::GaveUp`] if a child used up
    /// its restarts, and [`RunError::Ended`] if the root ended for another reason that is not
    /// clean; [`RunError::Signals`] if they can't be listened to; [`RunError::NoUnwinding`]
    /// in a program built with `panic = "abort"`.
    ///
    /// # Panics
    ///
    /// If there is no tokio runtime, or one without time; with signals, or without I/O.
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: a run that is dropped leaves its tree as it is.
    pub async fn run(self) -> Result<StopReport, RunError> {
        turn().await;
        if cfg!(panic = "abort") {
            return Err(RunError::NoUnwinding);
        }
        install_panic_hook();
        let listen = || Signals::listen(self.reload.is_some()).map_err(RunError::Signals);
        let mut signals = self.signals.then(listen).transpose()?;
        let own = self.runtime.is_none();
        let runtime = self.runtime.clone().unwrap_or_default();
        let outcome = self.live(&runtime, &mut signals).await;
        if own {
            runtime.shutdown();
        }
        outcome
    }

    async fn live(
        self,
        runtime: &Runtime,
        signals: &mut Option<Signals>,
    ) -> Result<StopReport, RunError> {
        let root = self.tree.id.to_string();
        let (pid, starting) = self.tree.clone().begin(runtime).map_err(RunError::Start)?;
        let mut starting = pin!(starting);
        let up = async { Ok(starting.as_mut().await) };
        let asked = async { Err(self.asked(signals).await) };
        let tree = match first(up, asked).await {
            Ok(started) => started.map_err(RunError::Start)?,
            Err(cause) => {
                let below = Below::of(runtime, pid, root);
                return self.call_off(starting, signals, below, cause).await;
            }
        };
        let cause = loop {
            match self.wait(&tree, signals).await {
                Woken::Ended(reason) if reason.is_clean() => break StopCause::TreeEnded,
                Woken::Ended(reason) => {
                    return Err(RunError::from_root(runtime, (&root, pid), reason));
                }
                Woken::Asked(Asked::Stop(signal)) => break StopCause::Signal(signal),
                Woken::Token => break StopCause::Token,
                Woken::Asked(Asked::Reload) => {
                    if let Some(path) = &self.reload {
                        reload::start(runtime, &tree, path);
                    }
                }
            }
        };
        self.stop(&tree, signals, Below::of(runtime, pid, root), cause).await
    }

    async fn token(&self) -> StopCause {
        match &self.stop_on {
            Some(token) => token.cancelled().await,
            None => pending().await,
        }
        StopCause::Token
    }

    fn tell(&self) {
        if let Some(token) = &self.cancel_on_stop {
            token.cancel();
        }
    }

    /// Waits until the time is up, or a second signal says that it is.
    async fn cut_short(&self, signals: &mut Option<Signals>, began: Instant) {
        let limit = async {
            match began.checked_add(self.deadline) {
                Some(due) => sleep_until(due).await,
                None => pending().await,
            }
        };
        let again = async { while next(signals).await == Asked::Reload {} };
        first(limit, again).await;
    }

    async fn wait(&self, tree: &SupervisorRef, signals: &mut Option<Signals>) -> Woken {
        let ended = async { Woken::Ended(tree.ended().await) };
        let asked = async { Woken::Asked(next(signals).await) };
        let token = async {
            self.token().await;
            Woken::Token
        };
        first(ended, first(asked, token)).await
    }

    async fn stop(
        &self,
        tree: &SupervisorRef,
        signals: &mut Option<Signals>,
        mut below: Below,
        cause: StopCause,
    ) -> Result<StopReport, RunError> {
        self.tell();
        let ended = tree.ended();
        let asked = async {
            // A root that is gone by now has told why.
            drop(tree.stop().await);
            Some(ended.await)
        };
        let cut_short = async {
            self.cut_short(signals, below.began()).await;
            None
        };
        let reason = first(asked, cut_short).await;
        let forced = reason.is_none();
        if forced {
            below.kill_all(LAST_WAIT).await;
        }
        match reason.filter(|reason| !reason.is_clean()) {
            Some(reason) => Err(below.error(reason)),
            None => {
                let (took, children) = (below.began().elapsed(), below.report());
                Ok(StopReport { cause, took, forced, children })
            }
        }
    }
}

async fn next(signals: &mut Option<Signals>) -> Asked {
    match signals {
        Some(signals) => signals.next().await,
        None => pending().await,
    }
}

async fn first<T>(one: impl Future<Output = T>, other: impl Future<Output = T>) -> T {
    select(pin!(one), pin!(other)).await.factor_first().0
}
