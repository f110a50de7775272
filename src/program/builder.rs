//! A program that is one tree, from the first line of `main` to its exit code.
//!
//! `#[tokio::main]` waits without limit for each blocking job and each body that does not
//! await, after the tree has stopped. Here the wait has a limit, and the watchdog of the run
//! stays until it is over.

use std::fmt;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use tokio::runtime::{Builder, Runtime as Tokio};

use crate::base::error_chain::ErrorChain;
use crate::base::one_line::{PAGE, excerpt};
use crate::base::os_refusal::build_tokio;
use crate::exit::reason::{ExitReason, Result};
use crate::program::stop_report::{StopOutcome, StopReport};
use crate::program::watchdog::Watchdog;
use crate::program::{Run, RunError, outcome_log};
use crate::supervisor::SupervisorSpec;

/// How long tokio's shutdown waits for what still runs.
const SHUTDOWN: Duration = Duration::from_secs(1);

/// Runs a tree as the whole program, and gives its exit code: what [`Program`] does with all
/// its defaults. OTP: a release with one permanent application.
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
pub fn main(tree: impl Into<SupervisorSpec>) -> ExitCode {
    let run = Run::new(tree);
    Program::new().run(async || Ok(run))
}

/// What a [`Program`] does with the outcome of its run.
type Tell = Box<dyn FnOnce(&std::result::Result<StopReport, RunError>)>;

/// The whole life of a process that runs a tree: builds tokio, runs the tree, shuts tokio down
/// within a limit, and gives the exit code.
///
/// It does what `#[tokio::main]` with [`regrow::run`](crate::run) does not: it ends. After the
/// tree has stopped, `#[tokio::main]` waits for every job of `spawn_blocking` and every body that
/// never awaits, for ever if they do not end.
///
/// | exit code | |
/// |---|---|
/// | 0 | the stop was [clean](StopReport::is_clean), and tokio's shutdown was over in time |
/// | 1 | anything else: a child did not stop as it should have, the tree gave up or did not start, the setup failed, a blocking job was left behind |
///
/// OTP has no counterpart: there the virtual machine owns the process.
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
///         let over = CancellationToken::new();
///         let stop = over.clone();
///         let front = ChildSpec::task("front", move |_| {
///             stop.cancel(); // instead of a signal, here
///             std::future::pending()
///         });
///         # drop(listener);
///         Ok(Run::new(Supervisor::one_for_one().child(front)).stop_on(over))
///     });
/// assert_eq!(code, std::process::ExitCode::SUCCESS);
/// ```
#[must_use = "it does nothing until it is run"]
pub struct Program {
    tokio: Builder,
    shutdown: Duration,
    tell: Option<Tell>,
}

impl fmt::Debug for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Program")
            .field("tokio", &self.tokio)
            .field("shutdown", &self.shutdown)
            .finish_non_exhaustive()
    }
}

impl Default for Program {
    fn default() -> Self {
        Program::new()
    }
}

impl Program {
    /// A program with every default. [`Program`] has an example.
    pub fn new() -> Self {
        Program { tokio: Builder::new_multi_thread(), shutdown: SHUTDOWN, tell: None }
    }

    /// The tokio that it builds: how many threads, their names and all else. Time and I/O are
    /// enabled in any case. By default it is `Builder::new_multi_thread()`, as in
    /// `#[tokio::main]`. [`Program`] has an example.
    pub fn tokio(mut self, builder: Builder) -> Self {
        self.tokio = builder;
        self
    }

    /// How long tokio's shutdown may take once the tree has stopped: blocking jobs and bodies
    /// that do not await have so long to end. By default one second; zero waits for nothing, and
    /// does not find out what is left. [`Program`] has an example.
    pub fn shutdown_timeout(mut self, limit: Duration) -> Self {
        self.shutdown = limit;
        self
    }

    /// What is done with the outcome of the run, before tokio is shut down. By default the
    /// report, or the error, is written to standard error. [`Program`] has an example.
    pub fn report_with(
        mut self,
        tell: impl FnOnce(&std::result::Result<StopReport, RunError>) + 'static,
    ) -> Self {
        self.tell = Some(Box::new(tell));
        self
    }

    /// Runs the tree that `setup` gives, as a [`Run`] or as a [`SupervisorSpec`], until it has
    /// stopped; `setup` runs inside tokio. The code is what `main` is to return: what is still
    /// left then ends with the process.
    ///
    /// Signals do what they do by default until the tree starts, and again when it has stopped.
    /// [`Run::run`] says how the tree is run. The deadline of the stop holds whether or not tokio
    /// runs any async code: if it does not, the process is ended with code 1 two seconds after
    /// the deadline.
    ///
    /// An error of `setup`, or of tokio when it is built, is written to standard error, and the
    /// code is 1.
    ///
    /// # Panics
    ///
    /// If `setup` does, or if it is called inside of a tokio runtime.
    pub fn run<R: Into<Run>>(mut self, setup: impl AsyncFnOnce() -> Result<R>) -> ExitCode {
        let tokio = match build_tokio(&mut self.tokio, "tokio can't be started") {
            Ok(tokio) => ShutDown { tokio: Some(tokio), limit: self.shutdown },
            Err(error) => {
                outcome_log::say(&ErrorChain(&error).to_string());
                return ExitCode::FAILURE;
            }
        };
        let ran = tokio.block_on(async {
            let run: Run = setup().await?.into();
            Ok::<_, ExitReason>(run.run_watched(true).await)
        });
        match ran {
            Ok((outcome, watchdog)) => self.end(tokio, &outcome, watchdog),
            Err(reason) => {
                let reason = excerpt(reason, PAGE);
                outcome_log::say(&format!("the program did not start: {reason:#}"));
                ExitCode::FAILURE
            }
        }
    }

    /// Tells the outcome, and shuts tokio down while the watchdog watches.
    fn end(
        self,
        mut tokio: ShutDown,
        outcome: &std::result::Result<StopReport, RunError>,
        mut watchdog: Option<Watchdog>,
    ) -> ExitCode {
        if let Some(watchdog) = &mut watchdog {
            watchdog.returned(None);
        }
        match (self.tell, outcome) {
            (Some(tell), outcome) => tell(outcome),
            (None, Ok(report)) => outcome_log::say(&report.to_string()),
            (None, Err(error)) => outcome_log::say(&ErrorChain(error).to_string()),
        }
        if let Some(watchdog) = &mut watchdog {
            watchdog.returned(Some(self.shutdown));
        }
        let ended = tokio.shut_down();
        let clean = match outcome {
            Ok(report) => {
                let named = |child: &_| matches!(child, StopOutcome::NotYielding);
                if !ended && !report.children.iter().any(|child| named(&child.outcome)) {
                    outcome_log::tell_blocked(self.shutdown);
                }
                report.is_clean()
            }
            Err(_) => false,
        };
        if clean && ended { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}

/// A tokio that is shut down within a limit, also if the setup panics.
struct ShutDown {
    tokio: Option<Tokio>,
    limit: Duration,
}

impl ShutDown {
    fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.tokio.as_ref().expect("it is there until it is shut down").block_on(future)
    }

    /// Whether all that ran has ended in time.
    fn shut_down(&mut self) -> bool {
        let Some(tokio) = self.tokio.take() else { return true };
        let began = Instant::now();
        tokio.shutdown_timeout(self.limit);
        self.limit.is_zero() || began.elapsed() < self.limit
    }
}

impl Drop for ShutDown {
    fn drop(&mut self) {
        self.shut_down();
    }
}
