//! tokio's cooperative budget, for async methods that may return without having waited.
//!
//! Tokio gives a task a budget for each poll. Each operation of tokio consumes one unit of the
//! budget. When the budget is used up, all operations are pending, and tokio polls the task again
//! after other tasks have run. A method of this crate can fail at once, or have its result at once.
//! Such a method uses no operation of tokio, so it consumes one unit itself. Otherwise a loop
//! around the method would never return from its poll. On a current-thread runtime no other task
//! would run, and the state that the loop waits for would never be reached.
//!
//! **A method consumes budget before its first effect.** A future that is dropped while it waits
//! for budget has changed nothing, so the method stays cancel safe.
//!
//! A call is the exception. A call consumes budget only if it returns without having waited, so a
//! call that waits for its reply consumes none. If the request is refused, it was not sent, so the
//! call has changed nothing when it waits for budget. If the reply arrives during the poll that
//! sends the request, the reply stays in its slot until the budget is granted.
//!
//! Code that tokio does not poll has no budget. In such code the futures of this module are ready
//! at once.

use std::future::{Future, poll_fn};
use std::task::{Context, Poll, Waker, ready};

use tokio::task::coop;

/// Consumes one unit of budget. For use in the `poll` method of a future.
#[inline]
pub(crate) fn poll_budget(cx: &mut Context<'_>) -> Poll<()> {
    ready!(coop::poll_proceed(cx)).made_progress();
    Poll::Ready(())
}

/// Consumes one unit of budget.
#[inline]
pub(crate) fn consume_budget() -> impl Future<Output = ()> {
    poll_fn(poll_budget)
}

/// Consumes one unit of budget, then returns `outcome`, which must be a failure that has changed
/// nothing.
#[cold]
pub(crate) async fn after_budget<T>(outcome: T) -> T {
    consume_budget().await;
    outcome
}

/// Returns the waker of the task that polls this future.
#[inline]
pub(crate) fn own_waker() -> impl Future<Output = Waker> {
    poll_fn(|cx| Poll::Ready(cx.waker().clone()))
}

/// Consumes one unit of budget, then returns the waker of the task that polls this future.
#[inline]
pub(crate) fn budget_then_waker() -> impl Future<Output = Waker> {
    poll_fn(|cx| poll_budget(cx).map(|()| cx.waker().clone()))
}
