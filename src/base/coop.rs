//! Turns: how an async method that may return without having waited lets other tasks run.
//!
//! Tokio gives a task a budget for each poll. What asks for a share while the budget is used
//! up is pending, and its task is polled again after others have run. Whatever waits for
//! something of tokio's asks there; a method that fails at once, or finds its result at once,
//! must ask by itself, or a loop around it never returns from its poll: on one thread nothing
//! else runs, and what the loop waits for never happens.
//!
//! **A method takes its turn before it does anything.** A future that is dropped while it
//! waits for its turn has changed nothing: so a turn costs no cancel safety.
//!
//! A call is the exception: it takes a turn only where it returns without having waited, and
//! so pays nothing where it is answered. A question that is refused was not asked, so nothing
//! was done by then; and an answer that is there in the poll that asks is left where it is
//! until the turn comes.
//!
//! Outside of a tokio task there is no budget, and a turn is granted at once.

use std::future::{Future, poll_fn};
use std::task::{Context, Poll, Waker, ready};

use tokio::task::coop;

/// Takes a turn, for a future that is written by hand.
#[inline]
pub(crate) fn poll_budget(cx: &mut Context<'_>) -> Poll<()> {
    ready!(coop::poll_proceed(cx)).made_progress();
    Poll::Ready(())
}

/// Takes a turn.
#[inline]
pub(crate) fn consume_budget() -> impl Future<Output = ()> {
    poll_fn(poll_budget)
}

/// Takes a turn, then gives this: a failure that has changed nothing.
#[cold]
pub(crate) async fn after_budget<T>(outcome: T) -> T {
    consume_budget().await;
    outcome
}

/// The waker of the task that asks for it.
#[inline]
pub(crate) fn own_waker() -> impl Future<Output = Waker> {
    poll_fn(|cx| Poll::Ready(cx.waker().clone()))
}

/// Takes a turn, and gives the waker of the task that took it.
#[inline]
pub(crate) fn budget_then_waker() -> impl Future<Output = Waker> {
    poll_fn(|cx| poll_budget(cx).map(|()| cx.waker().clone()))
}
