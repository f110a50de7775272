//! The tasks of a stream that were started, and whose outcome was not given yet.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;

use crate::runtime::ended::Ended;
use crate::runtime::errors::start_error::StartError;
use crate::task::{Task, TaskError};

type Outcome<T> = Result<T, TaskError>;

/// All that is under way. Each has a place: how many were started before it.
pub(crate) struct UnderWay<T> {
    running: FuturesUnordered<Running<T>>,
    /// By their place, those that wait for one before them.
    finished: BTreeMap<u64, Outcome<T>>,
    in_order: bool,
    started: u64,
    /// In order, the place of the next to be given.
    next: u64,
}

impl<T> UnderWay<T> {
    /// Gives the outcomes in the order in which the tasks were started.
    pub(crate) fn in_order() -> Self {
        UnderWay {
            running: FuturesUnordered::new(),
            finished: BTreeMap::new(),
            in_order: true,
            started: 0,
            next: 0,
        }
    }

    /// Gives each outcome as soon as it is there.
    pub(crate) fn as_they_finish(&mut self) {
        self.in_order = false;
    }

    pub(crate) fn len(&self) -> usize {
        self.running.len() + self.finished.len()
    }

    pub(crate) fn push(&mut self, stage: Stage<T>) {
        self.running.push(Running { place: self.started, stage });
        self.started += 1;
    }

    /// The next outcome, or `None` if nothing is under way.
    pub(crate) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Outcome<T>>> {
        loop {
            if let Some(outcome) = self.take() {
                return Poll::Ready(Some(outcome));
            }
            match ready!(self.running.poll_next_unpin(cx)) {
                Some((place, outcome)) => drop(self.finished.insert(place, outcome)),
                None => return Poll::Ready(None),
            }
        }
    }

    /// A finished one whose turn it is.
    fn take(&mut self) -> Option<Outcome<T>> {
        let first = self.finished.first_entry()?;
        if self.in_order && *first.key() != self.next {
            return None;
        }
        self.next = first.key() + 1;
        Some(first.remove())
    }
}

/// A task under way.
struct Running<T> {
    place: u64,
    stage: Stage<T>,
}

impl<T> Future for Running<T> {
    type Output = (u64, Outcome<T>);

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let outcome = ready!(self.stage.poll(cx));
        Poll::Ready((self.place, outcome))
    }
}

/// How far a task has come. Dropped before its end, it is killed, or never started.
pub(crate) enum Stage<T> {
    /// Its supervisor is asked to start it.
    Starting(BoxFuture<'static, Result<Task<Outcome<T>>, StartError>>),
    Started {
        ended: Ended,
        task: Task<Outcome<T>>,
    },
}

impl<T> Stage<T> {
    pub(crate) fn started(task: Task<Outcome<T>>) -> Self {
        Stage::Started { ended: task.handle.join(), task }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Outcome<T>> {
        loop {
            match self {
                Stage::Starting(start) => match ready!(start.as_mut().poll(cx)) {
                    Ok(task) => *self = Stage::started(task),
                    Err(error) => return Poll::Ready(Err(TaskError::NotStarted(error))),
                },
                Stage::Started { ended, task } => {
                    let reason = ready!(Pin::new(ended).poll(cx));
                    return Poll::Ready(task.outcome(reason).and_then(|outcome| outcome));
                }
            }
        }
    }
}

impl<T> Drop for Stage<T> {
    fn drop(&mut self) {
        if let Stage::Started { task, .. } = self {
            task.discard();
        }
    }
}
