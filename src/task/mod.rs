//! Tasks: each task runs one function in a process of its own and returns the result of the
//! function.
//!
//! **Uses** `base`, `exit`, `message`, `time`, `process`, `kernel`, `mailbox`, `driver`, `runtime`,
//! `child`, `supervisor`.
//! **Knows nothing of** programs and snapshots.
//!
//! # The result slot
//!
//! The body puts its result into a slot, never into a mailbox. The owner of the handle waits for
//! the end of the process and then takes the result from the slot.
//!
//! # Invariants
//!
//! 1. The outcome is taken once: a taken slot is `None`.
//! 2. A result that comes too late, or that no handle waits for, is dropped and reaches no mailbox.
//! 3. A result in the slot counts, also if the task is killed before its body returns.
//! 4. A task is linked to its caller before its body runs. If the caller or the task has ended
//!    before the link, the body never runs.
//! 5. Taking the outcome unlinks the task. If the task's exit is already queued in the mailbox of a
//!    caller that traps exits, the unlink removes it.

mod error;
mod start;
mod shutdown;
mod join_many;
mod supervised_start;
mod supervisor_ref;
mod supervisor;
mod in_flight;
mod stream;
mod scope;

use std::fmt;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::sync::oneshot;
use tokio::task::unconstrained;

use crate::base::Pid;
use crate::child::TaskContext;
use crate::exit::ExitReason;
use crate::runtime::{Inside, ProcessHandle, Runtime, within};
use start::{deliver, launch};

pub use error::TaskError;
pub use scope::{Scope, ScopeError, ScopeOwner, ScopeTask, scope};
pub use stream::TaskStream;
pub use supervisor::TaskSupervisor;
pub use supervisor_ref::TaskSupervisorRef;

/// The default time limit of [`Task::join`] and of the tasks of a [`TaskStream`].
const LIMIT: Duration = Duration::from_secs(5);

/// A handle to a function that runs in a process of its own, and to its result.
///
/// A task is linked to the process that spawned it, its caller. If one of the two ends abnormally,
/// the other ends too: no task works for a process that has crashed, and no failure is lost. A
/// caller that traps exits gets the failure as the `Err` of its [`join`](Self::join) instead. A
/// task that ends normally sends no message to its caller, and a task continues when its caller
/// ends normally. [`spawn_nolink`](Self::spawn_nolink) spawns a task without a link.
///
/// Any owner of the handle may take the result, in any process or outside of processes. Dropping
/// the handle stops nothing: the task continues with its link, and its result is dropped.
///
/// OTP: Elixir's `Task`. There only the caller can await the result, which arrives in its mailbox.
///
/// # When not to use it
///
/// * A task whose result is not needed, or that must be stopped when the program stops, is better a
///   child of a [`TaskSupervisor`].
/// * A server runs work concurrently with its handlers by
///   [`ServerContext::spawn_task`](crate::ServerContext::spawn_task). Awaiting a task in a handler
///   delays all other requests.
///
/// # Examples
///
/// ```
/// use regrow::{Runtime, Task};
///
/// # tokio::runtime::Builder::new_current_thread().enable_time()
/// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
/// let rt = Runtime::new();
/// let body = rt.spawn_fallible(|ctx| async move {
///     let sum = Task::spawn(&ctx, |_| async { (1..=10).sum::<u32>() });
///     let product = Task::spawn(&ctx, |_| async { (1..=10).product::<u32>() });
///     assert_eq!((sum.join().await?, product.join().await?), (55, 3_628_800));
///
///     // This process does not trap exits, so it crashes with the task while it waits.
///     let bad = Task::spawn(&ctx, |_| async { panic!("no such number") });
///     bad.join().await?;
///     unreachable!()
/// });
/// assert_eq!(body.join().await.crash().unwrap().message(), "no such number");
/// assert_eq!(rt.process_count(), 0);
/// # }));
/// ```
#[must_use = "the result is dropped unless the task is joined; `ignore` makes that explicit"]
pub struct Task<T> {
    handle: ProcessHandle,
    /// The process that the task is linked to.
    caller: Option<Pid>,
    /// `None` once the outcome was taken. Invariant 1.
    slot: Option<oneshot::Receiver<T>>,
}

impl<T: Send + 'static> Task<T> {
    /// Spawns a task that is linked to the process of `caller`. The body is called inside the task.
    /// OTP: `Task.async/1`.
    ///
    /// With the [`TaskContext`] the body can spawn tasks of its own and detect a stop: its
    /// [`shutdown`](TaskContext::shutdown) resolves when [`Task::shutdown`] is called, or when the
    /// caller has ended with another reason than `Normal`. [`Task`] has an example.
    ///
    /// If the runtime was [shut down](Runtime::shutdown), or the caller has ended, the body never
    /// runs, and the task has already ended.
    ///
    /// # Panics
    ///
    /// In the same cases as [`Runtime::spawn`].
    pub fn spawn<F, Fut>(caller: &impl Inside, body: F) -> Self
    where
        F: FnOnce(TaskContext) -> Fut + Send + 'static,
        Fut: Future<Output = T> + Send + 'static,
    {
        launch(&caller.runtime(), Some(caller.pid()), |ctx, slot| body(ctx).map(deliver(slot)))
    }

    /// Spawns a task without a link: only its [`join`](Self::join) returns its crash, and the end
    /// of the process that spawned the task does not affect the task. Such a task can be spawned
    /// outside of processes too. OTP: `Task.Supervisor.async_nolink/2`.
    ///
    /// # Panics
    ///
    /// In the same cases as [`Runtime::spawn`].
    ///
    /// ```
    /// use regrow::{Runtime, Task, TaskError};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time()
    /// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// let good = Task::spawn_nolink(&rt, |_| async { 2 + 2 });
    /// let bad = Task::spawn_nolink(&rt, |_| async { panic!("out of numbers") });
    /// assert_eq!(good.join().await, Ok(4));
    /// let Err(TaskError::Exited(reason)) = Task::<u32>::join(bad).await else { panic!() };
    /// assert_eq!(reason.crash().unwrap().message(), "out of numbers");
    /// # }));
    /// ```
    pub fn spawn_nolink<F, Fut>(runtime: &Runtime, body: F) -> Self
    where
        F: FnOnce(TaskContext) -> Fut + Send + 'static,
        Fut: Future<Output = T> + Send + 'static,
    {
        launch(runtime, None, |ctx, slot| body(ctx).map(deliver(slot)))
    }
}

impl<T> Task<T> {
    /// Returns the pid of the task's process, also after its end.
    ///
    /// ```
    /// use regrow::{ExitReason, Runtime, Task, TaskError};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time()
    /// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// let task = Task::spawn_nolink(&rt, |_| std::future::pending::<()>());
    /// rt.set_label(task.pid(), "report");
    /// rt.kill(task.pid());
    /// assert_eq!(task.join().await, Err(TaskError::Exited(ExitReason::Killed)));
    /// # }));
    /// ```
    pub fn pid(&self) -> Pid {
        self.handle.pid()
    }

    /// Waits up to five seconds for the result. When `join` returns a result, the task has left no
    /// message in the caller's mailbox, and sends none later. OTP: `Task.await/1`. [`Task`] has an
    /// example.
    ///
    /// # Errors
    ///
    /// * [`Exited`](TaskError::Exited), at once, if the task ended without a result.
    /// * [`Timeout`](TaskError::Timeout) if the time is over. The task continues with its link, and
    ///   its result is dropped. Use [`yield_for`](Self::yield_for) to wait again later.
    ///
    /// # Panics
    ///
    /// If tokio's time is not enabled.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops the handle: the task continues, and its result is dropped.
    pub async fn join(self) -> Result<T, TaskError> {
        self.join_timeout(LIMIT).await
    }

    /// Waits as [`join`](Self::join) does, with this time limit. OTP: `Task.await/2`.
    ///
    /// # Errors
    ///
    /// The same as those of [`join`](Self::join).
    ///
    /// # Panics
    ///
    /// If tokio's time is not enabled.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future has the same effect as for [`join`](Self::join).
    ///
    /// ```
    /// use std::time::Duration;
    /// use regrow::{Runtime, Task, TaskError};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true)
    /// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// let task = Task::spawn_nolink(&rt, |_| tokio::time::sleep(Duration::from_secs(60)));
    /// let limit = Duration::from_secs(10);
    /// assert_eq!(task.join_timeout(limit).await, Err(TaskError::Timeout(limit)));
    /// # }));
    /// ```
    pub async fn join_timeout(mut self, limit: Duration) -> Result<T, TaskError> {
        self.yield_for(limit).await.unwrap_or(Err(TaskError::Timeout(limit)))
    }

    /// Waits as [`join`](Self::join) does, without a time limit. OTP:
    /// `Task.await(task, :infinity)`.
    ///
    /// # Errors
    ///
    /// [`TaskError::Exited`] if the task ended without a result.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future has the same effect as for [`join`](Self::join).
    ///
    /// ```
    /// use std::time::Duration;
    /// use regrow::{Runtime, Task};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true)
    /// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// let task = Task::spawn_nolink(&rt, |_| tokio::time::sleep(Duration::from_secs(60)));
    /// assert_eq!(task.join_unlimited().await, Ok(()));
    /// # }));
    /// ```
    pub async fn join_unlimited(mut self) -> Result<T, TaskError> {
        let reason = self.handle.join().await;
        self.outcome_at_end(reason)
    }

    /// Waits up to `limit` for the result. `None` means that the task is still running; the result
    /// can be awaited again. A zero limit returns at once. OTP: `Task.yield/2`.
    ///
    /// The inner `Result` is that of [`join`](Self::join), without `Timeout`. The result is
    /// returned once; later calls return [`Taken`](TaskError::Taken).
    ///
    /// # Panics
    ///
    /// If tokio's time is not enabled.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: dropping the future does not take the result.
    ///
    /// ```
    /// use std::time::Duration;
    /// use regrow::{Runtime, Task};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true)
    /// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// let mut task = Task::spawn_nolink(&rt, |_| async {
    ///     tokio::time::sleep(Duration::from_secs(40)).await;
    ///     "done"
    /// });
    /// while task.yield_for(Duration::from_secs(15)).await.is_none() {
    ///     // … report progress …
    /// }
    /// # }));
    /// ```
    pub async fn yield_for(&mut self, limit: Duration) -> Option<Result<T, TaskError>> {
        let ended = within(&self.handle.runtime.kernel, limit, self.handle.join()).await;
        self.take_outcome(ended)
    }

    /// Takes the outcome, if there is one. `ended` is the exit reason of the process, if the
    /// process has ended. Invariants 1, 3 and 5.
    fn take_outcome(&mut self, ended: Option<ExitReason>) -> Option<Result<T, TaskError>> {
        let Some(slot) = &mut self.slot else { return Some(Err(TaskError::Taken)) };
        let outcome = match (slot.try_recv(), ended) {
            (Ok(value), _) => Ok(value),
            (Err(_), Some(ExitReason::Killed)) if self.handle.runtime.kernel.tokio_is_gone() => {
                Err(TaskError::TokioGone)
            }
            (Err(_), Some(reason)) => Err(TaskError::Exited(reason)),
            (Err(_), None) => return None,
        };
        self.slot = None;
        self.unlink();
        Some(outcome)
    }

    /// Takes the outcome after the end of the process.
    fn outcome_at_end(&mut self, reason: ExitReason) -> Result<T, TaskError> {
        self.take_outcome(Some(reason)).unwrap_or(Err(TaskError::Taken))
    }

    /// Takes the outcome without waiting, if there is one.
    fn take_outcome_now(&mut self) -> Option<Result<T, TaskError>> {
        let ended = unconstrained(self.handle.join()).now_or_never();
        self.take_outcome(ended)
    }

    fn unlink(&self) {
        if let Some(caller) = self.caller {
            self.handle.runtime.unlink(caller, self.pid());
        }
    }
}

impl<T> fmt::Debug for Task<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Task")
            .field("pid", &self.pid())
            .field("caller", &self.caller)
            .finish_non_exhaustive()
    }
}
