//! Stopping and ignoring tasks.

use tokio::time::Instant;

use crate::base::consume_budget;
use crate::exit::{ExitKind, ExitReason, Shutdown};
use crate::kernel::exits::ExitSignal;
use crate::runtime::{ProcessHandle, until};
use crate::task::{Task, TaskError};
use crate::time::timer_queue::after;

impl<T> Task<T> {
    /// Stops the task and waits for its end. The caller is unlinked first, so the caller gets no
    /// exit signal of the task, whether or not it traps exits. OTP: `Task.shutdown/2`, whose
    /// default is [`Shutdown::default`].
    ///
    /// | the task | returns |
    /// |---|---|
    /// | had a result, or returned one when it was asked to stop | `Some(Ok(result))` |
    /// | ended with `Shutdown`, now or before the call, and `how` is not `BrutalKill` | `None` |
    /// | ended with `Killed`, now or before the call, and `how` is `BrutalKill` | `None` |
    /// | did not stop within its time, and was killed then | `Some(Err(Exited(Killed)))` |
    /// | ended in another way | `Some(Err(Exited(reason)))` |
    /// | had a result that was already taken | `Some(Err(Taken))` |
    ///
    /// So `None` means that the task ended as requested and had no result.
    ///
    /// [`BrutalKill`](Shutdown::BrutalKill) kills the task at its next await. Otherwise the task is
    /// asked to stop first. If the task uses the token of its [`TaskContext`](crate::TaskContext),
    /// the token is cancelled. A task that does not use the token is dropped at its next await.
    ///
    /// # Panics
    ///
    /// If tokio's time is not enabled, except with `BrutalKill` and `Infinity`.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future while it waits for the end of the task kills the task. If the future is
    /// dropped before its first poll, the task continues.
    ///
    /// ```
    /// use std::time::Duration;
    /// use regrow::{Runtime, Shutdown, Task};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true)
    /// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// let mut endless = Task::spawn_nolink(&rt, |_| std::future::pending::<u32>());
    /// assert!(endless.yield_for(Duration::from_secs(1)).await.is_none());
    /// assert_eq!(endless.shutdown(Shutdown::default()).await, None);
    ///
    /// // A task that returns a result when it is asked to stop.
    /// let mut asked = Task::spawn_nolink(&rt, |mut ctx| async move {
    ///     ctx.shutdown().await;
    ///     "all is written"
    /// });
    /// assert!(asked.yield_for(Duration::from_secs(1)).await.is_none());
    /// assert_eq!(asked.shutdown(Shutdown::default()).await, Some(Ok("all is written")));
    /// assert_eq!(rt.process_count(), 0);
    /// # }));
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
        // A task that is killed because its shutdown time is over ends with `Killed`, not with
        // `Shutdown`.
        let expected = match how {
            Shutdown::BrutalKill => ExitReason::Killed,
            _ => ExitReason::Shutdown,
        };
        match outcome {
            Err(TaskError::Exited(reason)) if reason == expected => None,
            outcome => Some(outcome),
        }
    }

    /// Unlinks the task and drops the handle: the task continues, and its result is dropped.
    /// Returns the outcome if the task already has one. OTP: `Task.ignore/1`.
    ///
    /// ```
    /// use std::time::Duration;
    /// use regrow::{Runtime, Task};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true)
    /// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// let slow = Task::spawn_nolink(&rt, |_| tokio::time::sleep(Duration::from_secs(60)));
    /// let pid = slow.pid();
    /// assert_eq!(slow.ignore(), None);
    /// assert!(rt.is_alive(pid));
    /// # }));
    /// ```
    pub fn ignore(mut self) -> Option<Result<T, TaskError>> {
        self.unlink();
        self.take_outcome_now()
    }

    /// Unlinks and kills a task whose outcome was not taken.
    pub(crate) fn kill_unless_taken(&self) {
        if self.slot.is_some() {
            self.unlink();
            self.handle.kill();
        }
    }
}

/// Stops a process as `how` says, and waits for its end.
async fn stop(handle: &ProcessHandle, how: Shutdown) -> ExitReason {
    if how != Shutdown::BrutalKill {
        ask_to_stop(handle);
        let due = how.grace().map(|grace| after(Instant::now(), grace));
        if let Some(reason) = until(&handle.runtime.kernel, due, handle.join()).await {
            return reason;
        }
    }
    handle.kill();
    handle.join().await
}

/// Asks a task to stop: cancels its token, or drops its body at the next await.
pub(super) fn ask_to_stop(task: &ProcessHandle) {
    let ProcessHandle { runtime, process } = task;
    let (from, reason) = (runtime.current_pid(), &ExitReason::Shutdown);
    let signal = ExitSignal { from, reason, kind: ExitKind::Stop };
    runtime.kernel.signal_exit(&**process, signal);
}

/// Kills the process when dropped. The drop has no effect on an ended process.
struct KillOnDrop<'a>(&'a ProcessHandle);

impl Drop for KillOnDrop<'_> {
    fn drop(&mut self) {
        self.0.kill();
    }
}
