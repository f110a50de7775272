//! Tasks: one piece of work each, in a process of its own, whose result is awaited.
//!
//! **Uses** `base`, `exit`, `message`, `process`, `kernel`, `driver`, `runtime`, `child`,
//! `supervisor`.
//! **Knows nothing of** programs and snapshots.
//!
//! The result is put into a slot beside the process, never into a mailbox, so a result that comes too
//! late is dropped. A caller waits for the end of the process, and reads the slot then.
//!
//! What happens when one side ends:
//! 1. The task ends before it is linked: its body has not run. The link finds it ended, and its
//!    caller receives the exit signal of an ended peer.
//! 2. The caller ends before the task is linked: the body never runs.
//! 3. The task has put its result into the slot and is killed before it returns: the result counts.
//! 4. The task has ended and its exit is queued with a caller that traps exits: taking the result
//!    unlinks, which removes that exit from the mailbox.

mod error;
mod start;
mod shutdown;
mod join_many;
mod supervised_start;
mod supervisor_ref;
mod supervisor;
mod in_flight;
mod stream;

use std::fmt;
use std::future::Future;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::sync::oneshot;
use tokio::task::unconstrained;

use crate::base::pid::Pid;
use crate::child::TaskContext;
use crate::exit::reason::ExitReason;
use crate::runtime::Runtime;
use crate::runtime::deadline::within;
use crate::runtime::ended::ProcessHandle;
use crate::runtime::inside::Inside;
use start::launch_returning;

pub use error::TaskError;
pub use stream::TaskStream;
pub use supervisor::TaskSupervisor;
pub use supervisor_ref::TaskSupervisorRef;

/// How long [`Task::join`] and the items of a [`TaskStream`] have, unless told otherwise.
const LIMIT: Duration = Duration::from_secs(5);

/// A piece of work in a process of its own, and the way to its result.
///
/// A task is linked to the process that spawned it, its caller: if one of them crashes the
/// other does, so that nobody works for a process that is no more, and no failure goes
/// unseen. A caller that traps exits gets the failure as the `Err` of its [`join`](Self::join)
/// instead. The normal end of a task is no message to its caller, whether that traps or not. When
/// the caller ends normally, the task goes on. [`spawn_nolink`](Self::spawn_nolink)
/// makes one that shares nobody's fate.
///
/// The handle is the right to the result: whoever holds it may ask for it, from any process,
/// or from outside. Dropping it stops nothing: the task goes on, linked as it was, and its
/// result goes nowhere. OTP: Elixir's `Task`; there only the caller may ask, and the result
/// comes through its mailbox.
///
/// # When not to use it
///
/// What nobody waits for is better a child of a [`TaskSupervisor`], and so is whatever must not be
/// left behind when the program stops. What a server does beside its
/// other work is [`ServerContext::spawn_task`](crate::ServerContext::spawn_task): awaiting a task
/// in a handler keeps everybody else waiting.
///
/// # Examples
///
/// ```
/// use regrow::{Runtime, Task};
///
/// # tokio::runtime::Builder::new_current_thread().enable_time()
/// # .build().unwrap().block_on(async {
/// let rt = Runtime::new();
/// let body = rt.spawn_fallible(|ctx| async move {
///     let sum = Task::spawn(&ctx, |_| async { (1..=10).sum::<u32>() });
///     let product = Task::spawn(&ctx, |_| async { (1..=10).product::<u32>() });
///     assert_eq!((sum.join().await?, product.join().await?), (55, 3_628_800));
///
///     // It does not trap, so it falls with this one, in the middle of its wait.
///     let bad = Task::spawn(&ctx, |_| async { panic!("no such number") });
///     bad.join().await?;
///     unreachable!()
/// });
/// assert_eq!(body.join().await.crash().unwrap().message(), "no such number");
/// assert_eq!(rt.process_count(), 0);
/// # });
/// ```
#[must_use = "its result goes nowhere unless it is joined; `ignore` says that this is meant"]
pub struct Task<T> {
    handle: ProcessHandle,
    /// Whom it is linked to.
    caller: Option<Pid>,
    /// `None` once the outcome was handed out.
    slot: Option<oneshot::Receiver<T>>,
}

impl<T: Send + 'static> Task<T> {
    /// Starts a task, linked to the process this is called in. Its body's future is made
    /// inside the task. OTP: `Task.async/1`.
    ///
    /// With the [`TaskContext`] a body can spawn tasks of its own, and hear that it is to stop:
    /// its [`shutdown`](TaskContext::shutdown) resolves when [`Task::shutdown`] asks for it, and
    /// when the caller crashed. [`Task`] has an example.
    ///
    /// On a runtime that was [shut down](Runtime::shutdown), or with a caller that has ended
    /// meanwhile, the body never runs, and the task has ended.
    ///
    /// # Panics
    ///
    /// As [`Runtime::spawn`].
    pub fn spawn<F, Fut>(caller: &impl Inside, body: F) -> Self
    where
        F: FnOnce(TaskContext) -> Fut + Send + 'static,
        Fut: Future<Output = T> + Send + 'static,
    {
        launch_returning(&caller.runtime(), Some(caller.pid()), body)
    }

    /// Starts a task that is linked to nobody: its crash is told by its
    /// [`join`](Self::join) alone, and it outlives whoever spawned it. So it can be spawned
    /// outside of any process, too. OTP: a `Task.Supervisor`'s `async_nolink/2`.
    ///
    /// # Panics
    ///
    /// As [`Runtime::spawn`].
    ///
    /// ```
    /// use regrow::{Runtime, Task, TaskError};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time()
    /// # .build().unwrap().block_on(async {
    /// let rt = Runtime::new();
    /// let good = Task::spawn_nolink(&rt, |_| async { 2 + 2 });
    /// let bad = Task::spawn_nolink(&rt, |_| async { panic!("out of numbers") });
    /// assert_eq!(good.join().await, Ok(4));
    /// let Err(TaskError::Exited(reason)) = Task::<u32>::join(bad).await else { panic!() };
    /// assert_eq!(reason.crash().unwrap().message(), "out of numbers");
    /// # });
    /// ```
    pub fn spawn_nolink<F, Fut>(runtime: &Runtime, body: F) -> Self
    where
        F: FnOnce(TaskContext) -> Fut + Send + 'static,
        Fut: Future<Output = T> + Send + 'static,
    {
        launch_returning(runtime, None, body)
    }
}

impl<T> Task<T> {
    /// The pid of its process, also when it has ended.
    ///
    /// ```
    /// use regrow::{ExitReason, Runtime, Task, TaskError};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time()
    /// # .build().unwrap().block_on(async {
    /// let rt = Runtime::new();
    /// let task = Task::spawn_nolink(&rt, |_| std::future::pending::<()>());
    /// rt.set_label(task.pid(), "report");
    /// rt.kill(task.pid());
    /// assert_eq!(task.join().await, Err(TaskError::Exited(ExitReason::Killed)));
    /// # });
    /// ```
    pub fn pid(&self) -> Pid {
        self.handle.pid()
    }

    /// Waits five seconds for the result. When it has it, the task's process has ended, and
    /// nothing of it is left, not in the caller's mailbox either. OTP: `Task.await/1`.
    /// [`Task`] has an example.
    ///
    /// # Errors
    ///
    /// [`Exited`](TaskError::Exited), at once, if it ended before it had a result.
    /// [`Timeout`](TaskError::Timeout) if the time was up: the task goes on, linked as it was,
    /// and its result goes nowhere. To ask again later: [`yield_for`](Self::yield_for).
    ///
    /// # Panics
    ///
    /// If tokio's time is not enabled.
    ///
    /// # Cancel safety
    ///
    /// Dropped half way, it has dropped the handle: the task goes on, its result goes
    /// nowhere.
    pub async fn join(self) -> Result<T, TaskError> {
        self.join_timeout(LIMIT).await
    }

    /// The same within a time of your own. OTP: `Task.await/2`.
    ///
    /// # Errors
    ///
    /// As [`join`](Self::join).
    ///
    /// # Panics
    ///
    /// If tokio's time is not enabled.
    ///
    /// # Cancel safety
    ///
    /// As [`join`](Self::join).
    ///
    /// ```
    /// use std::time::Duration;
    /// use regrow::{Runtime, Task, TaskError};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true)
    /// # .build().unwrap().block_on(async {
    /// let rt = Runtime::new();
    /// let task = Task::spawn_nolink(&rt, |_| tokio::time::sleep(Duration::from_secs(60)));
    /// let limit = Duration::from_secs(10);
    /// assert_eq!(task.join_timeout(limit).await, Err(TaskError::Timeout(limit)));
    /// # });
    /// ```
    pub async fn join_timeout(mut self, limit: Duration) -> Result<T, TaskError> {
        self.yield_for(limit).await.unwrap_or(Err(TaskError::Timeout(limit)))
    }

    /// The same, however long it takes. OTP: `Task.await(task, :infinity)`.
    ///
    /// # Errors
    ///
    /// [`TaskError::Exited`], as [`join`](Self::join).
    ///
    /// # Cancel safety
    ///
    /// As [`join`](Self::join).
    ///
    /// ```
    /// use std::time::Duration;
    /// use regrow::{Runtime, Task};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true)
    /// # .build().unwrap().block_on(async {
    /// let rt = Runtime::new();
    /// let task = Task::spawn_nolink(&rt, |_| tokio::time::sleep(Duration::from_secs(60)));
    /// assert_eq!(task.join_unlimited().await, Ok(()));
    /// # });
    /// ```
    pub async fn join_unlimited(mut self) -> Result<T, TaskError> {
        let reason = self.handle.join().await;
        self.outcome_at_end(reason)
    }

    /// Waits so long for the result, and keeps the task if there is none: `None` says that it
    /// is still running. With a zero limit it only looks. OTP: `Task.yield/2`.
    ///
    /// The inner `Result` is what [`join`](Self::join) gives, except for its `Timeout`. It is
    /// handed out once: after that it is [`Taken`](TaskError::Taken).
    ///
    /// # Panics
    ///
    /// If tokio's time is not enabled.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: dropped, it has taken nothing.
    ///
    /// ```
    /// use std::time::Duration;
    /// use regrow::{Runtime, Task};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true)
    /// # .build().unwrap().block_on(async {
    /// let rt = Runtime::new();
    /// let mut task = Task::spawn_nolink(&rt, |_| async {
    ///     tokio::time::sleep(Duration::from_secs(40)).await;
    ///     "done"
    /// });
    /// while task.yield_for(Duration::from_secs(15)).await.is_none() {
    ///     // … tell whoever waits that there is progress …
    /// }
    /// # });
    /// ```
    pub async fn yield_for(&mut self, limit: Duration) -> Option<Result<T, TaskError>> {
        let ended = within(&self.handle.runtime.kernel, limit, self.handle.join()).await;
        self.take_outcome(ended)
    }

    /// What has come of it until now; `ended`: its process has, for this reason.
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

    /// What has come of it, now that its process has ended.
    fn outcome_at_end(&mut self, reason: ExitReason) -> Result<T, TaskError> {
        self.take_outcome(Some(reason)).unwrap_or(Err(TaskError::Taken))
    }

    /// The same as [`look`](Self::look), without waiting.
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
