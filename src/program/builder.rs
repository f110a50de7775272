//! `Program` runs a tree as a whole program, from the first line of `main` to the exit code.
//!
//! After the tree has stopped, `#[tokio::main]` waits without limit for each blocking job and each
//! body that does not await. `Program` limits that wait. The watchdog of the run stays active until
//! the wait is over.

use std::fmt;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use tokio::runtime::{Builder, Runtime as Tokio};

use crate::base::os_refusal::build_tokio;
use crate::base::{ErrorChain, PAGE, excerpt};
use crate::exit::{ExitReason, Result};
use crate::program::{Run, RunError, StopOutcome, StopReport, Watchdog, outcome_log};

/// The default time that tokio's shutdown waits for jobs that are still running.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(1);

/// Runs a tree, or several trees as [`Phases`](crate::Phases), as the whole program, and returns the
/// exit code. This is [`Program::run`] with all
/// defaults. OTP: a release with one permanent application.
///
/// ```no_run
/// use std::process::ExitCode;
/// use regrow::{ChildSpec, Supervisor};
///
/// fn main() -> ExitCode {
///     let flush = ChildSpec::task("flush", |_| std::future::pending());
///     regrow::main(Supervisor::one_for_one().child(flush))
/// }
/// ```
pub fn main(tree: impl Into<Run>) -> ExitCode {
    let run: Run = tree.into();
    Program::new().run(async || Ok(run))
}

/// The handler of [`Program::report_with`].
type OutcomeHandler = Box<dyn FnOnce(&std::result::Result<StopReport, RunError>)>;

/// A tree as the whole program: builds tokio, runs the tree, shuts tokio down within a limit, and
/// returns the exit code.
///
/// A `Program` ends after its tree has stopped, even if jobs are still running. A program of
/// `#[tokio::main]` and [`regrow::run`](crate::run) may not: after the tree has stopped,
/// `#[tokio::main]` waits for every job of `spawn_blocking` and every body that never awaits. If
/// one of these does not end, the program does not end either.
///
/// | exit code | |
/// |---|---|
/// | 0 | the stop was [clean](StopReport::is_clean), and tokio's shutdown ended in time |
/// | 1 | anything else: a child did not stop cleanly, the tree gave up or did not start, the setup failed, a blocking job was left behind |
///
/// OTP has no counterpart: there the virtual machine owns the operating system process.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use regrow::{ChildSpec, Program, Run, Supervisor};
/// use tokio::runtime::Builder;
/// use tokio_util::sync::CancellationToken;
///
/// let code = Program::new()
///     .tokio(Builder::new_current_thread())
///     .shutdown_timeout(Duration::from_millis(500))
///     .report_with(|outcome| assert!(outcome.as_ref().unwrap().is_clean()))
///     .run(async || {
///         let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
///         let stop = CancellationToken::new();
///         let token = stop.clone();
///         let front = ChildSpec::task("front", move |_| {
///             token.cancel(); // in place of a signal
///             std::future::pending()
///         });
///         # drop(listener);
///         Ok(Run::new(Supervisor::one_for_one().child(front)).stop_on(stop))
///     });
/// assert_eq!(code, std::process::ExitCode::SUCCESS);
/// ```
#[must_use = "it does nothing until it is run"]
pub struct Program {
    tokio: Builder,
    shutdown_timeout: Duration,
    on_outcome: Option<OutcomeHandler>,
}

impl fmt::Debug for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Program")
            .field("tokio", &self.tokio)
            .field("shutdown", &self.shutdown_timeout)
            .finish_non_exhaustive()
    }
}

impl Default for Program {
    fn default() -> Self {
        Program::new()
    }
}

impl Program {
    /// Creates a program with all defaults. [`Program`] has an example.
    pub fn new() -> Self {
        Program {
            tokio: Builder::new_multi_thread(),
            shutdown_timeout: SHUTDOWN_TIMEOUT,
            on_outcome: None,
        }
    }

    /// Sets the builder of the tokio runtime, for example to choose the number of threads. The
    /// program enables time and I/O in any case. The default is `Builder::new_multi_thread()`, as
    /// in `#[tokio::main]`. [`Program`] has an example.
    pub fn tokio(mut self, builder: Builder) -> Self {
        self.tokio = builder;
        self
    }

    /// Sets how long tokio's shutdown may take after the tree has stopped: the time that blocking
    /// jobs and bodies that do not await have to end. The default is one second. With zero, the
    /// program does not wait, and does not detect jobs that are left. [`Program`] has an example.
    pub fn shutdown_timeout(mut self, limit: Duration) -> Self {
        self.shutdown_timeout = limit;
        self
    }

    /// Sets a handler for the outcome of the run, which is called before tokio is shut down. By
    /// default the report, or the error, is written to standard error. [`Program`] has an example.
    pub fn report_with(
        mut self,
        handler: impl FnOnce(&std::result::Result<StopReport, RunError>) + 'static,
    ) -> Self {
        self.on_outcome = Some(Box::new(handler));
        self
    }

    /// Runs the tree that `setup` returns, as a [`Run`], as a
    /// [`SupervisorSpec`](crate::SupervisorSpec) or as [`Phases`](crate::Phases), until the tree
    /// has stopped. `setup` runs inside tokio. Return the code from `main`: jobs that are still
    /// running end with the process.
    ///
    /// Signals have their default actions until the tree starts, and again after it has stopped.
    /// [`Run::run`] describes how the tree is run. The deadline of the stop holds even if tokio
    /// runs no async code any more: in that case the watchdog ends the process with code 1, two
    /// seconds after the deadline.
    ///
    /// If `setup` fails, or if tokio can't be built, the error is written to standard error, and
    /// the code is 1.
    ///
    /// # Panics
    ///
    /// If `setup` panics, or if this is called inside a tokio runtime.
    pub fn run<R: Into<Run>>(mut self, setup: impl AsyncFnOnce() -> Result<R>) -> ExitCode {
        let tokio = match build_tokio(&mut self.tokio, "tokio can't be started") {
            Ok(tokio) => TokioGuard { tokio: Some(tokio), limit: self.shutdown_timeout },
            Err(error) => {
                outcome_log::print_to_stderr(&ErrorChain(&error).to_string());
                return ExitCode::FAILURE;
            }
        };
        let ran = tokio.block_on(async {
            let run: Run = setup().await?.into();
            Ok::<_, ExitReason>(run.run_with_watchdog(true).await)
        });
        match ran {
            Ok((outcome, watchdog)) => self.finish(tokio, &outcome, watchdog),
            Err(reason) => {
                let reason = excerpt(reason, PAGE);
                outcome_log::print_to_stderr(&format!("the program did not start: {reason:#}"));
                ExitCode::FAILURE
            }
        }
    }

    /// Reports the outcome, shuts tokio down while the watchdog is still active, and returns the
    /// exit code.
    fn finish(
        self,
        mut tokio: TokioGuard,
        outcome: &std::result::Result<StopReport, RunError>,
        mut watchdog: Option<Watchdog>,
    ) -> ExitCode {
        if let Some(watchdog) = &mut watchdog {
            watchdog.run_returned(None);
        }
        match (self.on_outcome, outcome) {
            (Some(on_outcome), outcome) => on_outcome(outcome),
            (None, Ok(report)) => outcome_log::print_to_stderr(&report.to_string()),
            (None, Err(error)) => outcome_log::print_to_stderr(&ErrorChain(error).to_string()),
        }
        if let Some(watchdog) = &mut watchdog {
            watchdog.run_returned(Some(self.shutdown_timeout));
        }
        let in_time = tokio.shut_down();
        let clean = match outcome {
            Ok(report) => {
                let is_not_yielding = |child: &_| matches!(child, StopOutcome::NotYielding);
                if !in_time && !report.children.iter().any(|child| is_not_yielding(&child.outcome))
                {
                    outcome_log::report_blocked_jobs(self.shutdown_timeout);
                }
                report.is_clean()
            }
            Err(_) => false,
        };
        if clean && in_time { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}

/// Shuts tokio down within a limit when dropped, even if the setup panics.
struct TokioGuard {
    tokio: Option<Tokio>,
    limit: Duration,
}

impl TokioGuard {
    fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.tokio.as_ref().expect("tokio is shut down last").block_on(future)
    }

    /// Shuts tokio down. Returns whether all tasks and blocking jobs ended within the limit; always
    /// true if the limit is zero.
    fn shut_down(&mut self) -> bool {
        let Some(tokio) = self.tokio.take() else { return true };
        let began = Instant::now();
        tokio.shutdown_timeout(self.limit);
        self.limit.is_zero() || began.elapsed() < self.limit
    }
}

impl Drop for TokioGuard {
    fn drop(&mut self) {
        self.shut_down();
    }
}
