//! The handle to a task of a scope.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use crate::base::Pid;
use crate::runtime::Ended;
use crate::task::{Task, TaskError};

/// A handle to a task of a [`scope`](crate::scope()), and a future of its result.
///
/// Dropping the handle loses only the result: the task continues, and its failure still ends the
/// scope. [`scope`](crate::scope()) has an example. OTP: `Task`.
///
/// # The result
///
/// The future resolves when the task has ended, without a time limit. Its error is that of
/// [`Task::join_unlimited`]. If the task has failed, the scope drops its body at the next await, so
/// the error is seen only by code that awaits nothing after it.
///
/// # Cancel safety
///
/// Cancel safe: a dropped future has not taken the result. The result is taken once; after that the
/// future resolves with [`TaskError::Taken`].
pub struct ScopeTask<T> {
    task: Task<T>,
    ended: Ended,
}

impl<T> ScopeTask<T> {
    pub(super) fn new(task: Task<T>) -> Self {
        let ended = task.handle.join();
        ScopeTask { task, ended }
    }

    /// Returns the pid of the task's process, also after its end.
    pub fn pid(&self) -> Pid {
        self.task.pid()
    }

    /// Returns a handle that can wait with a time limit, and stop the task. The task remains in the
    /// scope.
    ///
    /// ```
    /// use regrow::{Runtime, Shutdown};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time()
    /// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// let all = regrow::scope(&rt, async |scope| {
    ///     let ticks = scope.spawn(|_| std::future::pending::<regrow::Result>()).into_task();
    ///     assert_eq!(ticks.shutdown(Shutdown::default()).await, None); // no failure
    ///     Ok("stopped")
    /// });
    /// assert_eq!(all.await, Ok("stopped"));
    /// # }));
    /// ```
    pub fn into_task(self) -> Task<T> {
        self.task
    }
}

impl<T> Future for ScopeTask<T> {
    type Output = Result<T, TaskError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let reason = ready!(Pin::new(&mut self.ended).poll(cx));
        Poll::Ready(self.task.outcome_at_end(reason))
    }
}

impl<T> fmt::Debug for ScopeTask<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ScopeTask").field(&self.pid()).finish()
    }
}
