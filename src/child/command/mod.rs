//! Programs of the operating system as children.
//!
//! # Guarantees
//!
//! A process represents the program and [defers its exit](StopRequests::hold).
//!
//! 1. The process ends only after the program has ended and the operating system has reported its
//!    exit status, unless tokio drops the process' task.
//! 2. The program does not outlive the process: the process holds the program's handle, and
//!    dropping the handle kills the program.
//! 3. No signal reaches another program with the same process id: an ended program keeps its
//!    process id until it is reaped, and no signal is sent afterwards.
//!
//! # The life of an incarnation
//!
//! 1. The program is started. If it can't be started, the process never runs, and the start fails.
//! 2. The process waits for the program's end and for signals:
//!    * *a stop, or the parent's end*: SIGTERM, once. When the shutdown time is over, the
//!      supervisor kills the process. If the supervisor has ended, the kernel kills the process as
//!      an orphan.
//!    * *a kill, or another accepted exit signal*: SIGKILL, which no program can handle. The
//!      process then waits for the end of the program.
//!    * *tokio drops the process' task*: SIGKILL, because no task waits for the end any more.
//! 3. The program has ended. Its remaining output is logged.
//! 4. If the program was not asked to stop, the process waits for the child's
//!    [stop window](ChildSpec::stop_window): `Ctrl-C` signals a whole group, and systemd signals
//!    every process of a unit, so the stop of this program may arrive a moment later. If a stop
//!    arrives within the window, the exit reason is that of a stop.
//! 5. If an ancestor supervisor is being stopped when the window closes, the stop of this program
//!    is likely to follow. The process waits for that stop as long as the ancestor is being
//!    stopped, because the ancestor may stop other children first.

use std::io;
use std::process::ExitStatus;
use std::time::Duration;

use async_trait::async_trait;
use thiserror::Error;
use tokio::process::Command;
use tokio_util::sync::CancellationToken;

use crate::base::os_refusal::refused;
use crate::base::{consume_budget, one_line};
use crate::child::{ChildSpec, StartChild, StartContext, Started, StopRequests};
use crate::driver::host;
use crate::exit::ExitReason;
use crate::message::Envelope;
use crate::process::AnyProcess;
use crate::runtime::StartError;

mod output;
mod running_program;

use output::OutputLog;
use running_program::{Program, run_to_end};

/// The default of the time after a program's end in which its stop may still arrive.
pub(super) const STOP_WINDOW: Duration = Duration::from_millis(100);

/// The error in the crash of a [`ChildSpec::command`](crate::ChildSpec::command), which has an
/// example: the program ended without success, and the end does not count as a stop.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("`{}` failed: {status}", one_line(.program))]
#[non_exhaustive]
pub struct CommandFailed {
    /// The program, as the command names it.
    pub program: String,
    /// The exit status: a code, or the signal that ended the program.
    pub status: ExitStatus,
}

impl ChildSpec {
    /// Specifies a child that is a program of the operating system. Each start runs the command
    /// that `command` returns. Needs the feature `process`.
    ///
    /// A stop sends SIGTERM, and SIGKILL when the [`shutdown`](Self::shutdown) time is over. Where
    /// these signals do not exist, a stop kills the program at once. The program does not outlive
    /// the process that represents it, even if its supervisor is killed or tokio shuts down; only a
    /// kill of this whole program leaves the child's program running. A [`Run`](crate::Run) that
    /// ends this program because no async code runs any more kills the child's program first. If
    /// the program can't be started, the start fails.
    ///
    /// | the program ends | the child's exit reason |
    /// |---|---|
    /// | with success | [`Normal`](ExitReason::Normal) |
    /// | without success | a crash with [`CommandFailed`] |
    /// | asked to stop: with success, by SIGTERM or SIGINT, or with code 143 or 130, by which shells report these signals | [`Shutdown`](ExitReason::Shutdown) |
    /// | in any way, and its stop arrives within its [`stop_window`](Self::stop_window) | [`Shutdown`](ExitReason::Shutdown) |
    ///
    /// The last row is for signals that reach several programs: `Ctrl-C` in a terminal signals this
    /// program and its children at once, and systemd (`KillMode=control-group`, its default)
    /// signals every process of the unit. Such an end is no crash. The end is logged at INFO unless
    /// the program ended with success or by one of the signals in the table.
    ///
    /// * The stop window delays the handling of ends: a program that crashes is restarted 100 ms
    ///   later, and its end is announced 100 ms later.
    /// * If a stop takes longer than the window to reach the child, because other children stop
    ///   first, the child waits for the stop.
    /// * If a signal to [`Run`](crate::Run) began the stop, any end within the window after the
    ///   child was asked to stop counts as a stop too, because the program may have received that
    ///   signal itself.
    ///
    /// **Output** goes where `command` says, by default to the output of this program. Piped output
    /// is logged, each line as an event of the target `regrow::command`: standard output at INFO,
    /// standard error at WARN.
    ///
    /// * A line of more than 8 KiB is logged in pieces of whole characters. Bytes that are not
    ///   UTF-8 are replaced by U+FFFD.
    /// * The output of a program that prints without a pause is read a few lines at a time, from
    ///   both pipes in turn, so it does not delay other tasks.
    /// * All output of the program itself is logged before its end is announced. If processes that
    ///   the program has started still hold the pipes, their output is logged for up to a second
    ///   longer.
    ///
    /// **Signals** go to the program only, and not to the processes that it has started. Let a
    /// shell `exec` its last command, or give the child
    /// [a group of its own](Self::own_process_group).
    ///
    /// OTP: a port, opened by `open_port({spawn_executable, …}, …)`, which ends with its owner only
    /// if the program notices that its standard input was closed.
    ///
    /// # Panics
    ///
    /// The [start](StartChild::start) panics if `command` panics or tokio's I/O is not enabled.
    ///
    /// ```
    /// # #[cfg(unix)]
    /// # tokio::runtime::Builder::new_current_thread().enable_all()
    /// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// use std::process::Stdio;
    /// use std::time::Duration;
    /// use regrow::{ChildSpec, CommandFailed, RestartLimitReached, Runtime, Supervisor};
    /// use tokio::process::Command;
    ///
    /// let rt = Runtime::new();
    /// let failing = ChildSpec::command("failing", || {
    ///     let mut command = Command::new("sh");
    ///     command.args(["-c", "echo this is logged; exit 3"]).stdout(Stdio::piped());
    ///     command
    /// });
    /// let once = Supervisor::one_for_one().intensity(0, Duration::from_secs(1));
    /// let reason = once.child(failing).start(&rt).await?.ended().await;
    /// let limit = reason.crash().unwrap().downcast_ref::<RestartLimitReached>().unwrap();
    /// let failed = limit.last.crash().unwrap().downcast_ref::<CommandFailed>().unwrap();
    /// assert_eq!(failed.status.code(), Some(3));
    ///
    /// let sleeping = ChildSpec::command("sleeping", || {
    ///     let mut command = Command::new("sleep");
    ///     command.arg("1000");
    ///     command
    /// });
    /// let tree = Supervisor::one_for_one().child(sleeping).start(&rt).await?;
    /// tree.stop().await?; // at once: SIGTERM ends the program
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })).unwrap();
    /// ```
    pub fn command(
        id: impl Into<String>,
        command: impl Fn() -> Command + Send + Sync + 'static,
    ) -> Self {
        ChildSpec::new(id, CommandStart(command))
    }

    /// Sets how long the exit reason of a program that ended without a stop request stays
    /// undecided: if a stop arrives within this time, the exit reason is
    /// [`Shutdown`](crate::ExitReason::Shutdown). Applies only to a [`command`](Self::command). By
    /// default 100 ms; with zero, the exit reason is decided at once. The window is real time,
    /// unless tokio's clock is paused.
    ///
    /// ```
    /// use std::time::Duration;
    /// use regrow::ChildSpec;
    /// use tokio::process::Command;
    ///
    /// let encoder = ChildSpec::command("encoder", || Command::new("encoder"));
    /// assert_eq!(encoder.get_stop_window(), Duration::from_millis(100));
    /// // Under heavy load a signal to all programs may reach some of them later.
    /// let encoder = encoder.stop_window(Duration::from_secs(1));
    /// assert_eq!(encoder.get_stop_window(), Duration::from_secs(1));
    /// ```
    pub fn stop_window(mut self, window: Duration) -> Self {
        self.edit().stop_window = window;
        self
    }

    /// Sets whether the program of a [`command`](Self::command) gets a process group of its own, on
    /// Unix. By default it is in the group of this program. With a group of its own:
    ///
    /// * `Ctrl-C` does not signal the program: it is stopped in the stop order of its tree. Signals
    ///   that are not sent to a group, such as those of systemd, still reach the program.
    /// * A stop and a kill signal the whole group: the program, and the processes that it has
    ///   started and that are still in its group. These processes are signalled only while the
    ///   program itself exists. When tokio shuts down, only the program is killed.
    /// * The program must not read from a terminal: the terminal suspends a background group that
    ///   reads from it.
    ///
    /// ```
    /// use regrow::ChildSpec;
    /// use tokio::process::Command;
    ///
    /// let pipeline = ChildSpec::command("pipeline", || {
    ///     let mut command = Command::new("sh");
    ///     command.args(["-c", "capture | encode | upload"]);
    ///     command
    /// });
    /// assert!(!pipeline.has_own_process_group());
    /// assert!(pipeline.own_process_group(true).has_own_process_group());
    /// ```
    pub fn own_process_group(mut self, own: bool) -> Self {
        self.edit().own_group = own;
        self
    }
}

impl StartContext {
    /// Starts a program of the operating system as the child. [`ChildSpec::command`] describes it
    /// and has an example.
    ///
    /// # Errors
    ///
    /// As [`task`](Self::task), and [`StartError::Failed`] with an [`io::Error`] if the program
    /// can't be started. The source of the [`io::Error`] is the error of the operating system.
    ///
    /// # Panics
    ///
    /// If tokio's I/O is not enabled.
    ///
    /// # Cancel safety
    /// Cancel safe: the future waits only for tokio's cooperative budget, before it starts the
    /// child.
    pub async fn command(&mut self, mut command: Command) -> Result<Started, StartError> {
        consume_budget().await;
        let program = command.as_std().get_program().to_string_lossy().into_owned();
        let stop = CancellationToken::new();
        let starting = self.starting().stopped_by(stop.clone());
        let process = self.admit::<Envelope>(&starting)?;
        let own_group = self.spec.own_group;
        #[cfg(unix)]
        if own_group {
            command.process_group(0);
        }
        let child = match command.kill_on_drop(true).spawn() {
            Ok(child) => child,
            Err(error) => return Err(self.spawn_failed(&program, &*process, error)),
        };
        self.runtime.kernel.acknowledge(self.supervisor, process.pid());
        let requests = StopRequests::hold(process.clone(), stop);
        let output_log =
            OutputLog { child: self.spec.id.clone(), pid: process.pid(), os_pid: child.id() };
        #[cfg(unix)]
        let running = self.runtime.kernel.track_program(child.id(), own_group);
        let program = Program {
            child,
            name: program,
            own_group,
            stop_window: self.spec.stop_window,
            #[cfg(unix)]
            running,
        };
        Ok(self.run(process, |ctx| {
            host(ctx.process().clone(), async move {
                let _ctx = ctx;
                run_to_end(program, requests, output_log).await
            })
        }))
    }

    /// Ends the process, which never runs, and returns the error of the start.
    fn spawn_failed(
        &mut self,
        program: &str,
        process: &dyn AnyProcess,
        error: io::Error,
    ) -> StartError {
        let error = refused(format!("`{program}` can't be started"), error);
        let reason = ExitReason::from_library(error);
        self.runtime.kernel.end_unstarted(process, reason.clone());
        self.started_processes.remove(process.pid());
        StartError::Failed(reason)
    }
}

/// A start function that starts the command that a closure returns.
struct CommandStart<F>(F);

#[async_trait]
impl<F: Fn() -> Command + Send + Sync + 'static> StartChild for CommandStart<F> {
    async fn start(&self, ctx: &mut StartContext) -> Result<Started, StartError> {
        ctx.command((self.0)()).await
    }
}
