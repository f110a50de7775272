//! Tasks that are not wanted any more.

use crate::base::coop::consume_budget;
use crate::exit::reason::ExitReason;
use crate::exit::shutdown::Shutdown;
use crate::exit::signal::ExitKind;
use crate::kernel::exits::ExitSignal;
use crate::runtime::deadline::within;
use crate::runtime::ended::ProcessHandle;
use crate::task::{Task, TaskError};

impl<T> Task<T> {
    /// Stops the task and waits for its end. The caller's link is gone at once, so whether or not
    /// it traps, it hears nothing of that end. OTP: `Task.shutdown/2`, whose default is
    /// [`Shutdown::default`].
    ///
    /// | the task | gives |
    /// |---|---|
    /// | had its result by then, or returned one when it was asked to stop | `Some(Ok(result))` |
    /// | ended with `Shutdown`, now or before the call | `None`; after `BrutalKill` the `Exited` below |
    /// | ended with `Killed` after `BrutalKill`, now or before the call | `None` |
    /// | ignored its time, and was killed when that was over | `Some(Err(Exited(Killed)))` |
    /// | ended otherwise | `Some(Err(Exited(reason)))` |
    ///
    /// So `None` says that the task ended as it was asked to, and had no result.
    ///
    /// [`BrutalKill`](Shutdown::BrutalKill) kills it at its next await. Otherwise it is asked to
    /// stop first: one that has asked for its [`TaskContext`](crate::TaskContext)'s token is
    /// told by that, and any other is dropped at its next await.
    ///
    /// # Panics
    ///
    /// If tokio's time is not enabled, and it is not `BrutalKill`.
    ///
    /// # Cancel safety
    ///
    /// Dropped half way, it kills the task.
    ///
    /// ```
    /// use std::time::Duration;
    /// use regrow::{Runtime, Shutdown, Task};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true)
    /// # .build().unwrap().block_on(async {
    /// let rt = Runtime::new();
    /// let mut endless = Task::spawn_nolink(&rt, |_| std::future::pending::<u32>());
    /// assert!(endless.yield_for(Duration::from_secs(1)).await.is_none());
    /// assert_eq!(endless.shutdown(Shutdown::default()).await, None);
    ///
    /// // One that has something to say when it is asked.
    /// let mut asked = Task::spawn_nolink(&rt, |mut ctx| async move {
    ///     ctx.shutdown().await;
    ///     "all is written"
    /// });
    /// assert!(asked.yield_for(Duration::from_secs(1)).await.is_none());
    /// assert_eq!(asked.shutdown(Shutdown::default()).await, Some(Ok("all is written")));
    /// assert_eq!(rt.process_count(), 0);
    /// # });
    /// ```
    pub async fn shutdown(mut self, how: Shutdown) -> Option<Result<T, TaskError>> {
        consume_budget().await;
        self.unlink();
        let outcome = match self.take_outcome_now() {
            Some(outcome) => outcome,
            None => {
                let killed = KillOnDrop(&self.handle);
                let reason = stop(&self.handle, how).await;
                drop(killed);
                self.outcome_at_end(reason)
            }
        };
        match outcome {
            Err(TaskError::Exited(reason)) if reason == expected_reason(how) => None,
            outcome => Some(outcome),
        }
    }

    /// Lets go of the task: it goes on, linked to nobody any more, and its result goes
    /// nowhere. Gives what had come of it already. OTP: `Task.ignore/1`.
    ///
    /// ```
    /// use std::time::Duration;
    /// use regrow::{Runtime, Task};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true)
    /// # .build().unwrap().block_on(async {
    /// let rt = Runtime::new();
    /// let slow = Task::spawn_nolink(&rt, |_| tokio::time::sleep(Duration::from_secs(60)));
    /// let pid = slow.pid();
    /// assert_eq!(slow.ignore(), None);
    /// assert!(rt.is_alive(pid));
    /// # });
    /// ```
    pub fn ignore(mut self) -> Option<Result<T, TaskError>> {
        self.unlink();
        self.take_outcome_now()
    }

    /// Makes an end of a task whose outcome was not handed out.
    pub(crate) fn kill_unless_taken(&self) {
        if self.slot.is_some() {
            self.unlink();
            self.handle.kill();
        }
    }
}

/// Stops a process, and waits for its end: politely, as long as it is given for that.
async fn stop(handle: &ProcessHandle, how: Shutdown) -> ExitReason {
    if how != Shutdown::BrutalKill {
        ask_to_stop(handle);
    }
    let in_time = match how {
        Shutdown::BrutalKill => None,
        Shutdown::Timeout(grace) => within(&handle.runtime.kernel, grace, handle.join()).await,
        Shutdown::Infinity => Some(handle.join().await),
    };
    match in_time {
        Some(reason) => reason,
        None => {
            handle.kill();
            handle.join().await
        }
    }
}

fn ask_to_stop(ProcessHandle { runtime, process }: &ProcessHandle) {
    let (from, reason) = (runtime.current_pid(), &ExitReason::Shutdown);
    runtime.kernel.signal_exit(&**process, ExitSignal { from, reason, kind: ExitKind::Stop });
}

/// The reason of a task that ends as this asks it to. A task that had to be killed because its
/// time was over did not: its caller is told.
fn expected_reason(how: Shutdown) -> ExitReason {
    match how {
        Shutdown::BrutalKill => ExitReason::Killed,
        Shutdown::Timeout(_) | Shutdown::Infinity => ExitReason::Shutdown,
    }
}

/// Kills the process when dropped; one that has ended doesn't mind.
struct KillOnDrop<'a>(&'a ProcessHandle);

impl Drop for KillOnDrop<'_> {
    fn drop(&mut self) {
        self.0.kill();
    }
}
