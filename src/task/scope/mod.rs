//! Scopes: structured concurrency for plain code. The tasks of a scope end before it returns.
//!
//! A scope has no process of its own. Its driver runs inside the future of the scope. Each task is a
//! process that is linked to the owner in one direction: the end of the owner ends the task, and the
//! end of the task has no effect on the owner, since the scope reports it.

mod error;
mod owner;
mod state;
mod handle;
mod run_and_stop;

use std::fmt;
use std::sync::Arc;

use tokio::sync::oneshot;

use crate::base::{Pid, consume_budget};
use crate::child::TaskContext;
use crate::exit::{Result, Shutdown};
use crate::runtime::fallible;
use crate::task::Task;
use crate::task::start::deliver;
use state::ScopeState;

pub use error::ScopeError;
pub use handle::ScopeTask;
pub use owner::ScopeOwner;

/// Runs an async closure that may spawn tasks, and returns after all of these tasks have ended.
///
/// | event | the scope |
/// |---|---|
/// | the body returns `Ok` | waits for the remaining tasks, and returns the value |
/// | a task fails: its body returns an error or panics, or the task is killed | drops the body at its current await, stops the other tasks, and returns the failure |
/// | the body returns `Err` | stops the tasks, and returns the error |
/// | the body panics | stops the tasks, and continues the panic |
/// | [`Scope::stop`] | stops the tasks; the body continues |
/// | the future of the scope is dropped | kills the tasks, and does not wait for their ends |
/// | the owner ends, for whatever reason | its tasks end with the same reason, and the scope fails if it is still polled |
///
/// The first failure is the result; later ones are only logged, as each crash is. A task that ends
/// with a [clean](crate::ExitReason::is_clean) reason has not failed. The tasks are stopped at the
/// same time: each is asked to stop as by [`Task::shutdown`], and is killed if it has not ended
/// after 5 s. [`Scope::set_shutdown`] sets another time.
///
/// `owner` is the context of the process that this code runs in, or a [`Runtime`] for code outside
/// of processes. Scopes can be nested: a task passes its [`TaskContext`] as the owner.
///
/// **Tasks are `'static`.** The body may borrow from its surroundings, a task may not. Rust can't
/// promise that a future is polled until it returns, so a task that borrows could outlive what it
/// borrows. For the same reason **only an awaited scope** promises that no task outlives it: a
/// dropped scope kills its tasks, which end at their next await, and a forgotten one
/// ([`std::mem::forget`]) leaves them running until the owner ends. `std::thread::scope` can promise
/// more, since it blocks its thread.
///
/// OTP has no counterpart: there a process that spawns linked processes is one. In tokio a
/// `JoinSet` holds tasks of one type, and a failure has no effect on the others.
///
/// # Errors
///
/// The first failure, with its reason: see [`ScopeError`].
///
/// # Panics
///
/// If the body panics, after all tasks have ended. If tokio's time is not enabled and tasks have to
/// be stopped within a time.
///
/// # Cancel safety
///
/// Not cancel safe: dropping the future drops the body and kills all tasks.
///
/// # Examples
///
/// ```
/// use regrow::{Runtime, ScopeError};
///
/// # tokio::runtime::Builder::new_current_thread().enable_time()
/// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
/// let rt = Runtime::new();
/// let sum = regrow::scope(&rt, async |scope| {
///     let low = scope.spawn(|_| async { Ok((1..=50).sum::<u32>()) });
///     let high = scope.spawn(|_| async { Ok((51..=100).sum::<u32>()) });
///     Ok(low.await? + high.await?)
/// });
/// assert_eq!(sum.await, Ok(5050));
///
/// let failed = regrow::scope(&rt, async |scope| {
///     scope.spawn(|_| std::future::pending::<regrow::Result>()); // stopped with the scope
///     let port = scope.spawn(|_| async { Ok("http".parse::<u16>()?) });
///     Ok(port.await?)
/// });
/// let error = failed.await.unwrap_err();
/// assert!(matches!(error, ScopeError::Task { .. }));
/// assert!(error.reason().crash().unwrap().downcast_ref::<std::num::ParseIntError>().is_some());
/// assert_eq!(rt.process_count(), 0);
/// # }));
/// ```
///
/// [`Runtime`]: crate::Runtime
pub fn scope<O, T, F>(
    owner: &O,
    body: F,
) -> impl Future<Output = Result<T, ScopeError>> + use<O, T, F>
where
    O: ScopeOwner,
    F: AsyncFnOnce(Scope) -> Result<T>,
{
    let state = ScopeState::new(owner.runtime_of_owner(), owner.pid_of_owner());
    async move {
        consume_budget().await;
        let scope = Scope { state: state.clone() };
        run_and_stop::drive(&state, async move { body(scope).await }).await
    }
}

/// A handle to a running [`scope`](crate::scope()), which spawns its tasks. Cheap to clone, so a
/// task can spawn further tasks of the same scope.
///
/// A handle that outlives its scope spawns nothing any more: see [`spawn`](Self::spawn).
#[derive(Clone)]
pub struct Scope {
    state: Arc<ScopeState>,
}

impl Scope {
    /// Spawns a task of this scope, as a process of its own. The body is called inside the task.
    /// [`scope`](crate::scope()) has an example.
    ///
    /// With the [`TaskContext`] the body can detect a stop, by
    /// [`shutdown`](TaskContext::shutdown) or its token. A task that does not use them is dropped at
    /// its current await when it is asked to stop.
    ///
    /// If the scope has ended or is being stopped, the body never runs, and the task has already
    /// ended with [`NoProc`](crate::ExitReason::NoProc).
    ///
    /// # Panics
    ///
    /// In the same cases as [`Runtime::spawn`](crate::Runtime::spawn).
    pub fn spawn<T, F, Fut>(&self, body: F) -> ScopeTask<T>
    where
        T: Send + 'static,
        F: FnOnce(TaskContext) -> Fut + Send + 'static,
        Fut: Future<Output = Result<T>> + Send + 'static,
    {
        let (slot, result) = oneshot::channel();
        let limit = self.state.limit();
        let metadata = self.state.runtime.kernel.captured();
        let body = fallible(move |ctx| {
            metadata.hand_on(async move {
                let _permit = match &limit {
                    Some(limit) => limit.acquire().await.ok(),
                    None => None,
                };
                deliver(slot)(body(TaskContext::new(ctx)).await?);
                Ok(())
            })
        });
        let (process, runs) = self.state.admit();
        let handle = self.state.runtime.run(process, runs, body);
        ScopeTask::new(Task { handle, caller: None, slot: Some(result) })
    }

    /// Asks all tasks to stop, and refuses further ones. The body continues. The scope returns when
    /// its body has returned and all tasks have ended. A task that does not end within its time is
    /// killed, which is a failure. Calls after the first one have no effect.
    ///
    /// ```
    /// use std::time::Duration;
    /// use regrow::Runtime;
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true)
    /// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// let copied = regrow::scope(&rt, async |scope| {
    ///     scope.spawn::<(), _, _>(|_| async {
    ///         loop {
    ///             tokio::time::sleep(Duration::from_secs(1)).await; // … show the progress …
    ///         }
    ///     });
    ///     let copy = scope.spawn(|_| async { Ok(7) }); // … copy the files …
    ///     let files = copy.await?;
    ///     scope.stop(); // the task that shows the progress has no end of its own
    ///     Ok(files)
    /// });
    /// assert_eq!(copied.await, Ok(7));
    /// # }));
    /// ```
    pub fn stop(&self) {
        self.state.request_stop();
    }

    /// Sets how the tasks are stopped: how long they have to end after they were asked to, or that
    /// they are killed at once. By default they have 5 s.
    ///
    /// ```
    /// use std::time::Duration;
    /// use regrow::{Runtime, Shutdown};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true)
    /// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// let begin = tokio::time::Instant::now();
    /// let flushed = regrow::scope(&rt, async |scope| {
    ///     scope.set_shutdown(Shutdown::Timeout(Duration::from_secs(60)));
    ///     let flush = scope.spawn(|mut ctx| async move {
    ///         ctx.shutdown().await;
    ///         tokio::time::sleep(Duration::from_secs(40)).await;
    ///         Ok("flushed")
    ///     });
    ///     tokio::time::sleep(Duration::from_secs(1)).await;
    ///     scope.stop();
    ///     Ok(flush.await?)
    /// });
    /// assert_eq!(flushed.await, Ok("flushed"));
    /// assert_eq!(begin.elapsed(), Duration::from_secs(41));
    /// # }));
    /// ```
    pub fn set_shutdown(&self, how: Shutdown) {
        self.state.set_shutdown(how);
    }

    /// Limits how many tasks of this scope run at once; the bodies of further tasks are not called
    /// until others have ended. The limit applies to tasks that are spawned after this call. By
    /// default there is no limit.
    ///
    /// A task that awaits another task of the same limit may wait for ever: give its tasks a
    /// [scope](crate::scope()) of their own.
    ///
    /// # Panics
    ///
    /// If `tasks` is 0: no task could ever run.
    ///
    /// ```
    /// use std::time::Duration;
    /// use regrow::Runtime;
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true)
    /// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// let begin = tokio::time::Instant::now();
    /// let pages = regrow::scope(&rt, async |scope| {
    ///     scope.limit_tasks(10);
    ///     let fetch = |page: u32| async move {
    ///         tokio::time::sleep(Duration::from_secs(1)).await; // … fetch it …
    ///         Ok(page)
    ///     };
    ///     let tasks: Vec<_> = (0..30).map(|page| scope.spawn(move |_| fetch(page))).collect();
    ///     let mut pages = Vec::new();
    ///     for task in tasks {
    ///         pages.push(task.await?);
    ///     }
    ///     Ok(pages)
    /// });
    /// assert_eq!(pages.await, Ok((0..30).collect()));
    /// assert_eq!(begin.elapsed(), Duration::from_secs(3));
    /// # }));
    /// ```
    pub fn limit_tasks(&self, tasks: usize) {
        assert!(tasks > 0, "a limit of no tasks at all lets none run");
        self.state.set_limit(tasks);
    }

    /// Returns the owner of this scope, if it is a process.
    pub fn owner(&self) -> Option<Pid> {
        self.state.owner
    }
}

impl fmt::Debug for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scope").field("owner", &self.state.owner).finish_non_exhaustive()
    }
}
