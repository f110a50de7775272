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
//! No signal goes astray to a stranger of the same number: a program that has ended keeps its
//! number until it was waited for, and afterwards nothing is sent.

use std::io;
use std::pin::pin;
use std::process::ExitStatus;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::{Either, join, select};
use thiserror::Error;
use tokio::process::{Child, Command};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::call_error::StartError;
use crate::child::orders::{Order, Orders, end_of};
use crate::child::output::Printing;
use crate::child::{ChildSpec, StartChild, StartContext, Started};
use crate::exit::{ExitReason, Result};
use crate::kernel::closing::End;
use crate::message::Envelope;
use crate::process::AnyProcess;
use crate::turn::turn;

/// How long a program that has ended may be outlived by who still holds its pipes, before
/// what they print is lost.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// A program ended, by itself, otherwise than with success: the crash of a
/// [`ChildSpec::command`], which has an example.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("`{program}` failed: {status}")]
#[non_exhaustive]
pub struct CommandFailed {
    /// The program, as it was called.
    pub program: String,
    /// How it ended: its code, or the signal that ended it.
    pub status: ExitStatus,
}

impl ChildSpec {
    /// A program of the operating system as a child. Each start runs what `command` makes. With
    /// the feature `process`.
    ///
    /// It is stopped by SIGTERM, and killed by SIGKILL when its [`shutdown`](Self::shutdown)
    /// time is over; where there are no such signals, it is killed at once. It never outlives the
    /// process that stands for it, also when its supervisor is killed or tokio shuts down; only if
    /// this program itself is killed, nobody is left to do that.
    ///
    /// | it ends | the child's reason |
    /// |---|---|
    /// | with success | [`Normal`](ExitReason::Normal) |
    /// | otherwise | a crash, by a [`CommandFailed`] |
    /// | asked to stop: with success, by SIGTERM, or with code 143, as shells say that | [`Shutdown`](ExitReason::Shutdown) |
    ///
    /// **What it prints** goes where `command` says, by default to where this program's goes.
    /// What is piped is told to the log, each line an event of the target `regrow::command`:
    /// standard output as INFO, standard error as WARN.
    ///
    /// Only the program itself is signalled, and not what it has started: a shell should `exec`
    /// its last command. A program that can't be started at all is a start that failed.
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
    /// that can't be started.
    ///
    /// # Panics
    ///
    /// If tokio's I/O is not enabled.
    ///
    /// # Cancel safety
    ///
    /// It never waits: polled once, it is done.
    pub async fn command(&mut self, mut command: Command) -> Result<Started, StartError> {
        turn().await;
        let program = command.as_std().get_program().to_string_lossy().into_owned();
        let stop = CancellationToken::new();
        let starting = self.starting().stopped_by(stop.clone());
        let process = self.bear::<Envelope>(&starting)?;
        let child = match command.kill_on_drop(true).spawn() {
            Ok(child) => child,
            Err(error) => {
                let text = format!("`{program}` can't be started: {error}");
                let reason = ExitReason::from_library(io::Error::new(error.kind(), text));
                self.runtime.kernel.never_run(&*process, reason.clone());
                self.begun.remove(process.pid());
                return Err(StartError::Failed(reason));
            }
        };
        self.runtime.kernel.acknowledge(self.supervisor, process.pid());
        let orders = Orders::hold(process.clone(), stop);
        let printing =
            Printing { child: self.spec.id.clone(), pid: process.pid(), os_pid: child.id() };
        Ok(self.run(process, |ctx| {
            Box::pin(async move {
                let _ctx = ctx;
                attend(child, orders, printing, program).await
            })
        }))
    }
}

/// Waits for the program, passes orders on, and tells what it prints.
async fn attend(mut child: Child, mut orders: Orders, printing: Printing, program: String) -> End {
    let output = printing.output(child.stdout.take());
    let printed = pin!(join(output, printing.errors(child.stderr.take())));
    let waited = pin!(wait(&mut child, &mut orders));
    let (status, told) = match select(waited, printed).await {
        Either::Left((ended, printed)) => {
            drop(timeout(LAST_WORDS, printed).await);
            ended
        }
        Either::Right((_, waited)) => waited.await,
    };
    match status {
        Err(error) => End::Returned(ExitReason::from_library(error)),
        Ok(status) if status.success() || (told && is_terminated(status)) => end_of(Ok(()), told),
        Ok(status) => End::Returned(ExitReason::from_library(CommandFailed { program, status })),
    }
}

/// How it ended, and whether it was told to.
async fn wait(child: &mut Child, orders: &mut Orders) -> (io::Result<ExitStatus>, bool) {
    loop {
        match orders.or(child.wait()).await {
            Ok(status) => return (status, orders.were_given()),
            Err(Order::Stop) => terminate(child),
            // It fails only if the program has ended, which the next round finds.
            Err(Order::Kill) => drop(child.start_kill()),
        }
    }
}

/// Asks it to stop. A program that may not be asked, because it has become another user's, is
/// killed later.
#[cfg(unix)]
fn terminate(child: &mut Child) {
    use nix::sys::signal::{Signal, kill};
    use nix::unistd::Pid;

    let number = child.id().and_then(|id| i32::try_from(id).ok());
    if let Some(number) = number {
        // As above, and it may have ended just now.
        let _ = kill(Pid::from_raw(number), Signal::SIGTERM);
    }
}

#[cfg(not(unix))]
fn terminate(child: &mut Child) {
    drop(child.start_kill());
}

/// Whether it ended as one does that was asked to stop.
#[cfg(unix)]
fn is_terminated(status: ExitStatus) -> bool {
    use std::os::unix::process::ExitStatusExt;

    const SIGTERM: i32 = nix::sys::signal::Signal::SIGTERM as i32;
    status.signal() == Some(SIGTERM) || status.code() == Some(128 + SIGTERM)
}

/// It was killed.
#[cfg(not(unix))]
fn is_terminated(_: ExitStatus) -> bool {
    true
}

/// Starts what a closure makes.
struct CommandStart<F>(F);

#[async_trait]
impl<F: Fn() -> Command + Send + Sync + 'static> StartChild for CommandStart<F> {
    async fn start(&self, ctx: &mut StartContext) -> Result<Started, StartError> {
        ctx.command((self.0)()).await
    }
}
