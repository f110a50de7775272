//! The in-flight tasks of a stream: tasks that were started or are being started, and whose outcome
//! the stream has not returned.
//!
//! Each task passes through these steps:
//!
//! ```text
//! Starting ──(the supervisor has started it)──▶ Started ──(it has ended)──▶ finished ──▶ returned
//! ```
//!
//! 1. A task without a supervisor begins as `Started`.
//! 2. Each task has an index, the number of tasks started before it. In input order a finished
//!    outcome waits in `finished` until all outcomes with a smaller index were returned.
//! 3. A task that is dropped before its end is killed, or never started.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::task::{self, Context, Poll};

use futures_util::StreamExt;
use futures_util::future::{BoxFuture, Join, Ready, join, ready};
use futures_util::stream::FuturesUnordered;

use crate::runtime::{Ended, StartError};
use crate::task::{Task, TaskError};

type Outcome<T> = Result<T, TaskError>;

/// All in-flight tasks of a stream.
pub(crate) struct InFlight<T> {
    /// The tasks that have not ended, each with its index.
    running: FuturesUnordered<Join<Ready<u64>, TaskState<T>>>,
    /// Finished outcomes by their index. Rule 2.
    finished: BTreeMap<u64, Outcome<T>>,
    in_order: bool,
    /// The number of tasks started so far.
    started: u64,
    /// The index of the next outcome to return, if the outcomes keep the input order.
    next: u64,
}

impl<T> InFlight<T> {
    /// Makes an empty collection that returns outcomes in the order in which the tasks were
    /// started.
    pub(crate) fn in_order() -> Self {
        InFlight {
            running: FuturesUnordered::new(),
            finished: BTreeMap::new(),
            in_order: true,
            started: 0,
            next: 0,
        }
    }

    /// Changes the collection to return each outcome as soon as its task has ended.
    pub(crate) fn set_unordered(&mut self) {
        self.in_order = false;
    }

    pub(crate) fn len(&self) -> usize {
        self.running.len() + self.finished.len()
    }

    pub(crate) fn push(&mut self, state: TaskState<T>) {
        self.running.push(join(ready(self.started), state));
        self.started += 1;
    }

    /// Returns the next outcome, or `None` if no task is in flight.
    pub(crate) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Outcome<T>>> {
        loop {
            if let Some(outcome) = self.pop_ready() {
                return Poll::Ready(Some(outcome));
            }
            match task::ready!(self.running.poll_next_unpin(cx)) {
                Some((index, outcome)) => drop(self.finished.insert(index, outcome)),
                None => return Poll::Ready(None),
            }
        }
    }

    /// Removes a finished outcome that may be returned now. Rule 2.
    fn pop_ready(&mut self) -> Option<Outcome<T>> {
        let first = self.finished.first_entry()?;
        if self.in_order && *first.key() != self.next {
            return None;
        }
        self.next = first.key() + 1;
        Some(first.remove())
    }
}

/// The state of an in-flight task. The drop of the state cancels the start of the task, or kills
/// the task. Rule 3.
pub(crate) enum TaskState<T> {
    /// The supervisor was asked to start the task.
    Starting(BoxFuture<'static, Result<Task<Outcome<T>>, StartError>>),
    Started {
        ended: Ended,
        task: Task<Outcome<T>>,
    },
}

impl<T> TaskState<T> {
    pub(crate) fn started(task: Task<Outcome<T>>) -> Self {
        TaskState::Started { ended: task.handle.join(), task }
    }
}

impl<T> Future for TaskState<T> {
    type Output = Outcome<T>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Outcome<T>> {
        loop {
            match &mut *self {
                TaskState::Starting(start) => match task::ready!(start.as_mut().poll(cx)) {
                    Ok(task) => *self = TaskState::started(task),
                    Err(error) => return Poll::Ready(Err(TaskError::NotStarted(error))),
                },
                TaskState::Started { ended, task } => {
                    let reason = task::ready!(Pin::new(ended).poll(cx));
                    return Poll::Ready(task.outcome_at_end(reason).and_then(|outcome| outcome));
                }
            }
        }
    }
}

impl<T> Drop for TaskState<T> {
    fn drop(&mut self) {
        if let TaskState::Started { task, .. } = self {
            task.kill_unless_taken();
        }
    }
}
