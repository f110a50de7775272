//! Programs of the operating system as children.
//!
//! A process stands for the program, and is [held](Orders::hold): it ends when the program
//! has, and has been waited for, and not before. In between:
//!
//! * *stop, or the parent's end*: SIGTERM, once; its supervisor, or what a dead one left
//!   behind, kills it when its time is over;
//! * *kill*: SIGKILL, which no program can refuse, and its end is waited for;
//! * *tokio drops the process' task*: SIGKILL, for nobody is there any more to wait;
//! * *the program can't be started*: its process never runs, and the start has failed.
//!
//! * *the program ends without an order*: the process stays for the child's
//!   [stop window](ChildSpec::stop_window). `Ctrl-C` signals a whole group, and systemd every
//!   process of a unit, so this program may be asked to stop as well, a moment later. An order
//!   that arrives in time makes this end a stop. If at the end of the window a supervisor above
//!   is being stopped, its order will arrive, and is waited for without limit: the stop may take
//!   its time with other children first.
//!
//! No signal goes astray to a stranger of the same number: a program that has ended keeps its
//! number until it was waited for, and afterwards nothing is sent.

use std::io;
use std::time::Duration;

use async_trait::async_trait;
use tokio::process::Command;
use tokio_util::sync::CancellationToken;

use crate::base::coop::consume_budget;
use crate::base::os_refusal::refused;
use crate::child::stop_signals::StopSignals;
use crate::child::{ChildSpec, StartChild, StartContext, Started};
use crate::exit::reason::ExitReason;
use crate::message::received::Envelope;
use crate::process::AnyProcess;
use crate::runtime::errors::call_error::StartError;

mod output;
mod settings;
pub(crate) mod failed;
mod program;

use output::OutputLog;
use program::{Program, run_to_end};

/// How long after its end a program's stop may arrive, if the child does not say.
pub(super) const STOP_WINDOW: Duration = Duration::from_millis(100);

impl ChildSpec {
    /// A program of the operating system as a child. Each start runs what `command` makes. With
    /// the feature `process`.
    ///
    /// It is stopped by SIGTERM, and killed by SIGKILL when its [`shutdown`](Self::shutdown)
    /// time is over; where there are no such signals, it is killed at once. It never outlives the
    /// process that stands for it, also when its supervisor is killed or tokio shuts down; only if
    /// this program itself is killed, nobody is left to do that. A run that ends the process
    /// because no async code runs any more kills it first.
    ///
    /// | it ends | the child's reason |
    /// |---|---|
    /// | with success | [`Normal`](ExitReason::Normal) |
    /// | otherwise | a crash, by a [`CommandFailed`] |
    /// | asked to stop: with success, by SIGTERM or SIGINT, or with code 143 or 130, as shells say that | [`Shutdown`](ExitReason::Shutdown) |
    /// | in any way, and its stop arrives within its [`stop_window`](Self::stop_window) | [`Shutdown`](ExitReason::Shutdown) |
    ///
    /// The last line is for signals that reach more than this program: `Ctrl-C` in a terminal
    /// signals the program and its children at once, and systemd (`KillMode=control-group`, its
    /// default) every process of the unit. Such an end is no crash; one with a code that says
    /// nothing of a signal is logged, at INFO. What it costs: a program that crashes is started
    /// again 100 ms later than it could be, and processes that wait for its end learn of it as
    /// much later. A stop whose order takes longer than that to reach the child, because other
    /// children stop before it, is waited for. In a stop that a signal to [`Run`](crate::Run)
    /// began, any end within this time after the child was asked counts as a stop, too: the
    /// program may have got that signal itself.
    ///
    /// **What it prints** goes where `command` says, by default to where this program's goes.
    /// What is piped is logged, each line as an event of the target `regrow::command`: standard
    /// output as INFO, standard error as WARN. A line of more than 8 KiB is logged in pieces of
    /// whole characters; bytes that are no UTF-8 are replaced by U+FFFD. A program that prints
    /// without a pause is read a few lines at a time, both pipes in turn, so it does not hold up
    /// other tasks. All that it printed itself is logged before its end is announced; processes
    /// that it has started may hold the pipes for a second longer.
    ///
    /// Only the program itself is signalled, and not what it has started: a shell should `exec`
    /// its last command, or the child be given [a group of its own](Self::own_process_group). A
    /// program that can't be started at all is a start that failed.
    ///
    /// OTP: a port, opened by `open_port({spawn_executable, …}, …)`, which ends with its owner only
    /// if the program notices that its standard input was closed.
    ///
    /// # Panics
    ///
    /// At the start, in the supervisor: if `command` does, or tokio's I/O is not enabled.
    ///
    /// ```
    /// # #[cfg(unix)]
    /// # tokio::runtime::Builder::new_current_thread().enable_all()
    /// # .build().unwrap().block_on(async {
    /// use std::process::Stdio;
    /// use std::time::Duration;
    /// use regrow::{ChildSpec, CommandFailed, RestartLimitReached, Runtime, Supervisor};
    /// use tokio::process::Command;
    ///
    /// let rt = Runtime::new();
    /// let failing = ChildSpec::command("failing", || {
    ///     let mut command = Command::new("sh");
    ///     command.args(["-c", "echo told to the log; exit 3"]).stdout(Stdio::piped());
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
    /// tree.stop().await?; // at once: SIGTERM is enough for it
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    pub fn command(
        id: impl Into<String>,
        command: impl Fn() -> Command + Send + Sync + 'static,
    ) -> Self {
        ChildSpec::new(id, CommandStart(command))
    }
}

impl StartContext {
    /// Starts a program of the operating system as the child, as [`ChildSpec::command`] does,
    /// which has an example.
    ///
    /// # Errors
    ///
    /// As [`task`](Self::task), and [`StartError::Failed`] with the [`io::Error`] of a program
    /// that can't be started, whose source is the answer of the operating system.
    ///
    /// # Panics
    ///
    /// If tokio's I/O is not enabled.
    ///
    /// # Cancel safety
    ///
    /// It never waits: polled once, it is done.
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
        let signals = StopSignals::hold(process.clone(), stop);
        let output_log =
            OutputLog { child: self.spec.id.clone(), pid: process.pid(), os_pid: child.id() };
        #[cfg(unix)]
        let running = self.runtime.kernel.program_runs(child.id(), own_group);
        let program = Program {
            child,
            name: program,
            own_group,
            stop_window: self.spec.stop_window,
            #[cfg(unix)]
            running,
        };
        Ok(self.run(process, |ctx| {
            Box::pin(async move {
                let _ctx = ctx;
                run_to_end(program, signals, output_log).await
            })
        }))
    }

    /// The process ends without having run.
    fn spawn_failed(
        &mut self,
        program: &str,
        process: &dyn AnyProcess,
        error: io::Error,
    ) -> StartError {
        let error = refused(format!("`{program}` can't be started"), error);
        let reason = ExitReason::from_library(error);
        self.runtime.kernel.never_run(process, reason.clone());
        self.started_processes.remove(process.pid());
        StartError::Failed(reason)
    }
}

/// Starts what a closure makes.
struct CommandStart<F>(F);

#[async_trait]
impl<F: Fn() -> Command + Send + Sync + 'static> StartChild for CommandStart<F> {
    async fn start(&self, ctx: &mut StartContext) -> Result<Started, StartError> {
        ctx.command((self.0)()).await
    }
}
