//! Waiting for several tasks.

use std::time::Duration;

use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use tokio::task::unconstrained;

use crate::base::consume_budget;
use crate::task::{Task, TaskError};

impl<T> Task<T> {
    /// Waits for all tasks, and returns their results in the order of the tasks. If a task fails,
    /// returns its error without waiting for the other tasks. OTP: `Task.await_many/2`, whose
    /// default limit is 5 s.
    ///
    /// # Errors
    ///
    /// The error of the first task that fails, which is the one that [`join`](Self::join) would
    /// return, or [`Timeout`](TaskError::Timeout) when the time is over. The other tasks continue
    /// with their links. If the caller returns the error by `?`, the caller crashes, and the linked
    /// tasks end too.
    ///
    /// # Panics
    ///
    /// If tokio's time is not enabled.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops all handles: the tasks continue, and their results are dropped.
    ///
    /// ```
    /// use std::time::Duration;
    /// use regrow::{Runtime, Task};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true)
    /// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// let tasks = [30, 10, 20].map(|seconds| {
    ///     Task::spawn_nolink(&rt, move |_| async move {
    ///         tokio::time::sleep(Duration::from_secs(seconds)).await;
    ///         seconds
    ///     })
    /// });
    /// assert_eq!(Task::join_many(tasks, Duration::from_secs(60)).await, Ok(vec![30, 10, 20]));
    /// # }));
    /// ```
    pub async fn join_many(
        tasks: impl IntoIterator<Item = Task<T>>,
        limit: Duration,
    ) -> Result<Vec<T>, TaskError> {
        consume_budget().await;
        let mut tasks: Vec<_> = tasks.into_iter().collect();
        let mut results: Vec<_> = tasks.iter().map(|_| None).collect();
        let mut ends: FuturesUnordered<_> = tasks
            .iter()
            .enumerate()
            .map(|(at, task)| unconstrained(task.handle.join()).map(move |reason| (at, reason)))
            .collect();
        let all = async {
            while let Some((at, reason)) = ends.next().await {
                results[at] = Some(tasks[at].outcome_at_end(reason)?);
            }
            Ok(results.into_iter().flatten().collect())
        };
        tokio::time::timeout(limit, all).await.unwrap_or(Err(TaskError::Timeout(limit)))
    }

    /// Waits until all tasks have ended, or the time is over, and returns the outcome of each, as
    /// [`yield_for`](Self::yield_for) does: `None` for a task that is still running. OTP:
    /// `Task.yield_many/2`.
    ///
    /// # Panics
    ///
    /// If tokio's time is not enabled.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: dropping the future loses no result.
    ///
    /// ```
    /// use std::time::Duration;
    /// use regrow::{Runtime, Shutdown, Task};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true)
    /// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// let mut tasks = [10, 90].map(|seconds| {
    ///     let time = Duration::from_secs(seconds);
    ///     Task::spawn_nolink(&rt, move |_| tokio::time::sleep(time))
    /// });
    /// let outcomes = Task::yield_many(&mut tasks, Duration::from_secs(60)).await;
    /// assert_eq!(outcomes, [Some(Ok(())), None]);
    /// let [_, slow] = tasks;
    /// assert_eq!(slow.shutdown(Shutdown::default()).await, None);
    /// # }));
    /// ```
    pub async fn yield_many(
        tasks: &mut [Task<T>],
        limit: Duration,
    ) -> Vec<Option<Result<T, TaskError>>> {
        consume_budget().await;
        let mut ends: FuturesUnordered<_> =
            tasks.iter().map(|task| unconstrained(task.handle.join())).collect();
        let all = async { while ends.next().await.is_some() {} };
        // A task that still runs after the timeout has an empty slot, so its outcome is `None`.
        let _ = tokio::time::timeout(limit, all).await;
        tasks.iter_mut().map(Task::take_outcome_now).collect()
    }
}
