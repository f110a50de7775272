//! Polls the body of a scope and watches the ends of its tasks.
//!
//! # Steps
//!
//! 1. **Run.** The driver polls the body, and waits for the ends of the tasks.
//! 2. **Stop.** At the first failure, or at a request to stop, the scope is closed: no task is
//!    started any more. After a failure the body is dropped at its current await. Then all tasks are
//!    asked to stop at the same time, and those that have not ended when their time is over are
//!    killed.
//! 3. **Return.** When the body has returned or was dropped, and all tasks have ended, the scope is
//!    closed and returns.
//!
//! # Invariants
//!
//! 1. The driver returns only after all tasks have ended. If the driver is dropped earlier, it
//!    closes the scope and kills the tasks, but can't wait for their ends.
//! 2. If the body returns an error because it awaited a task that failed, the failure of the task is
//!    reported: the driver looks at the tasks themselves before it reports the error of the body,
//!    since the waker of the task's end may run later than the body.
//! 3. A scope whose owner has ended fails. The tasks end with the owner, before its end is announced
//!    to the driver, and their reason may be a clean one. So the driver also looks at the owner
//!    before it returns a value.
//! 4. A panic of the body, or of its destructors, is caught, and continues after all tasks have
//!    ended. Of two panics the first one continues.

use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::thread;

use futures_util::future::{BoxFuture, FutureExt};
use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::task::unconstrained;
use tokio::time::{Instant, Sleep, sleep_until};

use crate::base::Pid;
use crate::base::user_panics::ignore_panic;
use crate::exit::{ExitReason, Result, Shutdown};
use crate::runtime::{Ended, ProcessHandle};
use crate::task::scope::error::ScopeError;
use crate::task::scope::state::ScopeState;
use crate::task::shutdown::ask_to_stop;
use crate::time::timer_queue::after;

/// What the driver waits for.
enum Event<T> {
    Ended(Pid, ExitReason),
    OwnerEnded(ExitReason),
    /// A task was added, or a stop was requested.
    Changed,
    Returned(thread::Result<Result<T>>),
    /// The time to stop is over.
    Overdue,
}

/// Runs the body of a scope, and returns after its tasks have ended.
pub(super) async fn drive<T>(
    state: &ScopeState,
    body: impl Future<Output = Result<T>>,
) -> Result<T, ScopeError> {
    let mut driver = Driver::new(state);
    let mut body = Some(Box::pin(AssertUnwindSafe(body).catch_unwind()));
    let mut value = None;
    loop {
        match driver.next(&mut body).await {
            Event::Changed => driver.changed(),
            Event::Ended(task, reason) => driver.ended(task, reason),
            Event::OwnerEnded(reason) => driver.owner_ended(reason),
            Event::Overdue => driver.kill_all(),
            Event::Returned(outcome) => {
                value = driver.returned(outcome);
                driver.drop_body(&mut body);
            }
        }
        if driver.failure.is_some() || driver.panic.is_some() {
            driver.drop_body(&mut body);
            driver.begin_stop();
        }
        if body.is_none() && state.close_if_empty() {
            break;
        }
    }
    // The tasks have ended: nothing is left to kill.
    if let Some(panic) = driver.panic.take() {
        resume_unwind(panic);
    }
    driver.check_owner().await;
    match (driver.failure.take(), value) {
        (Some(failure), _) => Err(failure),
        (None, Some(value)) => Ok(value),
        (None, None) => unreachable!("a body without a value has failed or panicked"),
    }
}

struct Driver<'a> {
    state: &'a ScopeState,
    ends: FuturesUnordered<BoxFuture<'static, (Pid, ExitReason)>>,
    /// The end of the owner, until it was handled; `None` also if the owner is no process.
    owner: Option<Ended>,
    failure: Option<ScopeError>,
    panic: Option<Box<dyn std::any::Any + Send>>,
    /// Set when the tasks were asked to stop, or killed.
    stopping: Option<Shutdown>,
    due: Option<Pin<Box<Sleep>>>,
}

impl<'a> Driver<'a> {
    fn new(state: &'a ScopeState) -> Self {
        Driver {
            state,
            ends: FuturesUnordered::new(),
            owner: state.owner.map(|owner| state.runtime.ended(owner)),
            failure: None,
            panic: None,
            stopping: None,
            due: None,
        }
    }

    async fn next<T>(
        &mut self,
        body: &mut Option<Pin<Box<impl Future<Output = thread::Result<Result<T>>>>>>,
    ) -> Event<T> {
        let Driver { state, ends, owner, due, .. } = self;
        let mut changed = pin!(state.changed.notified());
        poll_fn(|cx| {
            if let Poll::Ready(Some((task, reason))) = ends.poll_next_unpin(cx) {
                return Poll::Ready(Event::Ended(task, reason));
            }
            if let Some(ended) = owner
                && let Poll::Ready(reason) = ended.poll_unpin(cx)
            {
                return Poll::Ready(Event::OwnerEnded(reason));
            }
            if changed.as_mut().poll(cx).is_ready() {
                return Poll::Ready(Event::Changed);
            }
            if let Some(body) = body
                && let Poll::Ready(outcome) = body.as_mut().poll(cx)
            {
                return Poll::Ready(Event::Returned(outcome));
            }
            poll_due(due, cx).map(|()| Event::Overdue)
        })
        .await
    }

    fn changed(&mut self) {
        self.watch_added();
        if self.state.is_stop_requested() {
            self.begin_stop();
        }
    }

    /// Watches the ends of the tasks that were added.
    fn watch_added(&self) {
        for task in self.state.take_added() {
            let (pid, ended) = (task.pid(), task.join());
            self.ends.push(ended.map(move |reason| (pid, reason)).boxed());
        }
    }

    fn ended(&mut self, task: Pid, reason: ExitReason) {
        self.state.remove(task);
        if self.failure.is_none() && self.is_failure(&reason) {
            self.failure = Some(ScopeError::Task { pid: task, reason });
        }
    }

    fn owner_ended(&mut self, reason: ExitReason) {
        self.owner = None;
        self.failure.get_or_insert(ScopeError::OwnerEnded(reason));
    }

    /// Invariant 3.
    async fn check_owner(&mut self) {
        let ended = |owner: &Pid| !self.state.runtime.is_alive(*owner);
        if self.failure.is_none()
            && self.state.owner.as_ref().is_some_and(ended)
            && let Some(owner) = &mut self.owner
        {
            let reason = owner.await;
            self.owner_ended(reason);
        }
    }

    fn is_failure(&self, reason: &ExitReason) -> bool {
        let killed_as_specified =
            self.stopping == Some(Shutdown::BrutalKill) && *reason == ExitReason::Killed;
        !reason.is_clean() && !killed_as_specified
    }

    fn returned<T>(&mut self, outcome: thread::Result<Result<T>>) -> Option<T> {
        match outcome {
            Ok(Ok(value)) => return Some(value),
            Ok(Err(reason)) => self.body_failed(reason),
            Err(panic) => self.panic = Some(panic),
        }
        None
    }

    /// Drops the body. Invariant 4.
    fn drop_body<T>(&mut self, body: &mut Option<T>) {
        let body = body.take();
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| drop(body))) {
            match self.panic {
                None => self.panic = Some(panic),
                Some(_) => ignore_panic(|| drop(panic)),
            }
        }
    }

    /// Invariant 2.
    fn body_failed(&mut self, reason: ExitReason) {
        let failed = self.state.tasks().into_iter().find_map(|task| {
            let reason = unconstrained(task.join()).now_or_never()?;
            self.is_failure(&reason).then(|| ScopeError::Task { pid: task.pid(), reason })
        });
        self.failure.get_or_insert(failed.unwrap_or(ScopeError::Body(reason)));
    }

    /// Closes the scope, and asks all tasks to stop. Takes effect once.
    fn begin_stop(&mut self) {
        if self.stopping.is_some() {
            return;
        }
        let how = self.state.shutdown();
        self.stopping = Some(how);
        let tasks = self.state.close();
        self.watch_added();
        if how == Shutdown::BrutalKill {
            return self.kill_all();
        }
        if tasks.is_empty() {
            return;
        }
        tasks.iter().for_each(ask_to_stop);
        let due = how.grace().map(|grace| after(Instant::now(), grace));
        self.due = due.map(|due| Box::pin(sleep_until(due)));
    }

    fn kill_all(&mut self) {
        self.due = None;
        self.state.tasks().iter().for_each(|task: &ProcessHandle| {
            task.kill();
        });
    }
}

/// Invariant 1.
impl Drop for Driver<'_> {
    fn drop(&mut self) {
        self.state.close().iter().for_each(|task| {
            task.kill();
        });
    }
}

fn poll_due(due: &mut Option<Pin<Box<Sleep>>>, cx: &mut Context<'_>) -> Poll<()> {
    match due {
        Some(due) => due.as_mut().poll(cx),
        None => Poll::Pending,
    }
}
