//! `Run`: the settings of a run, and its public entry points.

use std::future::pending;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::base::consume_budget;
use crate::exit::Result;
use crate::exit::shutdown::STOP_DEADLINE;
#[cfg(feature = "systemd")]
use crate::program::WatchdogPing;
use crate::program::reload::{HangupClosure, OnHangup};
use crate::program::{RunError, SignalRequest, StopCause, StopReport, Watchdog};
use crate::runtime::Runtime;
use crate::supervisor::SupervisorSpec;

/// Runs a tree, or several trees as [`Phases`](crate::Phases), as the program, until `SIGTERM`,
/// `SIGINT` or `Ctrl-C` stops it, or until the tree ends. This is [`Run::run`] with all defaults.
///
/// # Errors
///
/// The same as those of [`Run::run`].
///
/// # Panics
///
/// If called outside a tokio runtime, or in one whose time is not enabled.
///
/// # Cancel safety
///
/// Not cancel safe, as [`Run::run`] is not.
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
pub async fn run(tree: impl Into<Run>) -> Result<StopReport, RunError> {
    tree.into().run().await
}

/// A tree that runs as a program, with the settings of its stop: the events that begin the stop,
/// and the deadline.
///
/// OTP's counterparts are the application, which starts the tree, and `init:stop/0`, which stops
/// it. OTP has neither the report nor one deadline for the whole stop.
///
/// # Examples
///
/// A run inside a program that has a token of its own:
///
/// ```
/// use std::time::Duration;
/// use regrow::{ChildSpec, Run, StopCause, Supervisor};
/// use tokio_util::sync::CancellationToken;
///
/// # tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true)
/// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
/// let stop = CancellationToken::new();
/// let deaf = ChildSpec::task("deaf", |mut ctx| async move {
///     ctx.cancellation_token(); // a stop cancels this token, …
///     std::future::pending().await // … which this body ignores
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
/// let paths: Vec<&str> = report.children.iter().map(|child| child.path.as_str()).collect();
/// assert_eq!(paths, ["app/deaf", "app/flush"]); // in the order of their ends
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })).unwrap();
/// ```
#[derive(Debug)]
#[must_use = "it does nothing until it is run"]
pub struct Run {
    pub(super) tree: SupervisorSpec,
    pub(super) runtime: Option<Runtime>,
    pub(super) deadline: Duration,
    pub(super) signals: bool,
    pub(super) stop_on: Option<CancellationToken>,
    pub(super) cancel_on_stop: Option<CancellationToken>,
    pub(super) on_hangup: OnHangup,
    /// The ids of the phases, and how long each may take to stop.
    pub(super) phases: Vec<(String, Option<Duration>)>,
    #[cfg(feature = "systemd")]
    #[cfg_attr(not(unix), allow(dead_code))]
    pub(super) systemd: Option<WatchdogPing>,
}

impl From<SupervisorSpec> for Run {
    fn from(tree: SupervisorSpec) -> Self {
        Run::new(tree)
    }
}

impl Run {
    /// Creates a run of this tree with all defaults. [`Run`] has an example.
    pub fn new(tree: impl Into<SupervisorSpec>) -> Self {
        Run {
            tree: tree.into(),
            runtime: None,
            deadline: STOP_DEADLINE,
            signals: true,
            stop_on: None,
            cancel_on_stop: None,
            on_hangup: OnHangup::default(),
            phases: Vec::new(),
            #[cfg(feature = "systemd")]
            systemd: None,
        }
    }

    /// Sets the runtime of the tree. By default the run creates a runtime, and shuts it down at the
    /// end.
    pub fn on(mut self, runtime: &Runtime) -> Self {
        self.runtime = Some(runtime.clone());
        self
    }

    /// Sets how long the whole stop may take. For each child, the earlier of this deadline and the
    /// child's own shutdown time applies. By default 25 s. It applies to a stop that the run begins.
    /// A tree that ends by itself has only the shutdown times of its children.
    pub fn deadline(mut self, limit: Duration) -> Self {
        self.deadline = limit;
        self
    }

    /// Leaves signals to the program around the run. By default `SIGTERM` and `SIGINT`, or
    /// `Ctrl-C` and `Ctrl-Break`, stop the tree, and a second signal forces the stop.
    ///
    /// Use this in a program that handles these signals itself before or after the run. After a run
    /// that listened to a signal has returned, the signal ends the process, unless the program
    /// caught or ignored it before the run.
    pub fn without_signals(mut self) -> Self {
        self.signals = false;
        self
    }

    /// Stops the tree when this token is cancelled. By default there is no token.
    pub fn stop_on(mut self, token: CancellationToken) -> Self {
        self.stop_on = Some(token);
        self
    }

    /// Cancels this token when the stop begins, for code that runs beside the tree. By default
    /// there is no token.
    pub fn cancel_on_stop(mut self, token: CancellationToken) -> Self {
        self.cancel_on_stop = Some(token);
        self
    }

    /// Restarts one child of the tree on each `SIGHUP`. The path consists of the ids from below the
    /// root down to the child, separated by `/`: `"ingest"`, or `"ingest/parser"`. By default the
    /// run does not listen to `SIGHUP`.
    ///
    /// The child is stopped as its specification says, and started again. The restart counts
    /// against no budget. It is not counted in [`restarts`](crate::ChildInfo::restarts), but in
    /// [`starts_by_hand`](crate::ChildInfo::starts_by_hand), and the history shows the incarnation
    /// that was stopped.
    ///
    /// Signals that arrive while the child is being stopped cause no further restart, unless there is
    /// an [`on_hangup`](Self::on_hangup) closure, which is then called once more. Signals that
    /// arrive while the child starts cause one more restart together, since the new incarnation may
    /// have read the configuration before the change. A failed start is logged at ERROR, and leaves
    /// the child stopped until the next signal.
    pub fn restart_on_hangup(mut self, path: impl Into<String>) -> Self {
        self.on_hangup.restart = Some(path.into());
        self
    }

    /// Calls this async closure on each `SIGHUP`, to reload the configuration. Each call gets a clone
    /// of the closure. By default the run does not listen to `SIGHUP`, which then ends the program.
    ///
    /// **An error refuses the reload, and never ends the program.** An error that the closure
    /// returns, or its panic, is logged at ERROR with the target `regrow::run`, and the tree runs on
    /// as before. With [`restart_on_hangup`](Self::restart_on_hangup) the child is restarted after
    /// the closure has returned `Ok(())`, and is left alone otherwise. So validate the new
    /// configuration in the closure, keep it where the child finds it, and let the child read it
    /// from there at its start: then no start of the child depends on a file that may be wrong.
    ///
    /// The calls don't overlap. Signals that arrive while the closure runs or the child is restarted
    /// cause one more call together, since the closure may have read the configuration before the
    /// change. Signals that arrive while the tree starts cause one call after the start. When the
    /// stop begins, a running call is dropped.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use std::process::ExitCode;
    /// use regrow::{ChildSpec, Program, Run, Supervisor};
    /// use tokio::sync::watch;
    ///
    /// fn main() -> ExitCode {
    ///     Program::new().run(async || {
    ///         let port: u16 = std::fs::read_to_string("port.conf")?.trim().parse()?;
    ///         let (set_port, port) = watch::channel(port);
    ///         let listener = ChildSpec::task("listener", move |_| async move {
    ///             let port = *port.borrow(); // never a number that could not be parsed
    ///             // … listen on it …
    /// #           let _ = port;
    ///             std::future::pending().await
    ///         });
    ///         let reload = async move || {
    ///             let port = tokio::fs::read_to_string("port.conf").await?.trim().parse()?;
    ///             set_port.send_replace(port);
    ///             Ok(())
    ///         };
    ///         let run = Run::new(Supervisor::one_for_one().child(listener));
    ///         Ok(run.on_hangup(reload).restart_on_hangup("listener"))
    ///     })
    /// }
    /// ```
    pub fn on_hangup<F, Fut>(mut self, closure: F) -> Self
    where
        F: FnOnce() -> Fut + Clone + Send + Sync + 'static,
        Fut: Future<Output = Result> + Send + 'static,
    {
        self.on_hangup.call = Some(HangupClosure::new(closure));
        self
    }

    /// Reports the state of the program to systemd, if systemd has started it with
    /// `Type=notify` or `Type=notify-reload`. Without systemd (the environment variable
    /// `NOTIFY_SOCKET` is not set) this has no effect. By default nothing is reported. Requires the
    /// feature `systemd`.
    ///
    /// | report | when |
    /// |---|---|
    /// | `READY=1` | all nodes of the tree serve for the first time; a start alone is not enough. And at the end of each reload, also of a refused one |
    /// | `RELOADING=1`, with `MONOTONIC_USEC` | at a `SIGHUP` that [`on_hangup`](Run::on_hangup) or [`restart_on_hangup`](Run::restart_on_hangup) handles |
    /// | `STOPPING=1` | the stop begins |
    /// | `WATCHDOG=1` | from the first `READY=1` on, about every half of `WatchdogSec`, as `ping` says; during the stop whatever the health, since the run has a deadline for it |
    /// | `STATUS=` | the health of the tree changes; the stop; the outcome |
    ///
    /// The health is read every 100 ms until the first `READY=1`, and then every 5 s, or every half
    /// of `WatchdogSec` if that is less. An async task reads it and sends the pings, so a program
    /// whose tokio runs no async code any more sends none. A thread outside tokio writes the reports
    /// to the socket, which may block. The programs of [commands](crate::ChildSpec) inherit the
    /// environment variables; systemd ignores their reports unless `NotifyAccess=all`.
    ///
    /// OTP: `heart`, which restarts a system that does not answer.
    ///
    /// ```no_run
    /// use std::process::ExitCode;
    /// use regrow::{ChildSpec, Program, Run, Supervisor, WatchdogPing};
    ///
    /// fn main() -> ExitCode {
    ///     Program::new().run(async || {
    ///         let flush = ChildSpec::task("flush", |_| std::future::pending());
    ///         let tree = Supervisor::one_for_one().child(flush);
    ///         Ok(Run::new(tree).systemd(WatchdogPing::WhileReady))
    ///     })
    /// }
    /// ```
    #[cfg(feature = "systemd")]
    #[cfg_attr(docsrs, doc(cfg(feature = "systemd")))]
    pub fn systemd(mut self, ping: WatchdogPing) -> Self {
        self.systemd = Some(ping);
        self
    }

    /// Starts the tree, and returns when the tree has stopped or ended. Installs the
    /// [panic hook](crate::install_panic_hook) first.
    ///
    /// If a stop is requested while the tree starts, the run first waits for the end of the start,
    /// and then stops the tree. If the deadline or a second signal comes before the end of the
    /// start, the run kills the tree.
    ///
    /// Unless it runs [`without_signals`](Self::without_signals), the run has a thread that listens
    /// to the signals. The thread also enforces the deadline when no task can: if bodies that do
    /// not await block every thread of tokio, no async code runs. In that case the thread reports
    /// the remaining processes on standard error and ends the process with code 1, two seconds
    /// after the deadline or the second signal. Under a paused clock the thread enforces no
    /// deadline.
    ///
    /// After the run has returned, signals have the effect again that they had before it. By
    /// default `SIGTERM` ends the process, even while `#[tokio::main]` waits for jobs that are
    /// still running. [`Program`](crate::Program) limits that wait.
    ///
    /// # Errors
    ///
    /// * [`RunError::Start`] if the tree does not start.
    /// * [`RunError::GaveUp`] if a child used up its restarts, and the root gave up.
    /// * [`RunError::Ended`] if the root ended for another reason that is not clean.
    /// * [`RunError::Signals`] if the run can't listen to signals, because the operating system
    ///   provides no thread or no file. No process was started.
    /// * [`RunError::NoUnwinding`] in a program built with `panic = "abort"`.
    ///
    /// # Panics
    ///
    /// If called outside a tokio runtime, or in one whose time is not enabled.
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe. If the future is dropped while the tree starts, the tree is killed. If it
    /// is dropped later, the tree runs on, or continues its stop. In both cases signals have the
    /// effect again that they had before the run.
    pub async fn run(self) -> Result<StopReport, RunError> {
        consume_budget().await;
        let signals = self.signals;
        self.run_with_watchdog(signals).await.0
    }

    /// Waits until the token of [`stop_on`](Self::stop_on) is cancelled; for ever if there is none.
    pub(super) async fn token_cancelled(&self) -> StopCause {
        match &self.stop_on {
            Some(token) => token.cancelled().await,
            None => pending().await,
        }
        StopCause::Token
    }
}

/// Waits for the next request of the operating system. Never returns without a watchdog.
pub(super) async fn next_request(watchdog: &mut Option<Watchdog>) -> SignalRequest {
    match watchdog {
        Some(watchdog) => watchdog.next().await,
        None => pending().await,
    }
}
