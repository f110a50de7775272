//! Waiting no longer than to an instant, without a timer of one's own.
//!
//! A timer that is made for each wait is put into tokio's wheel and taken out again; and if
//! nothing else is in there, the worker that sleeps over it is woken each time, to look at
//! the time anew. A stop of a hundred children woke it a hundred times. A [bell](crate::bells)
//! is a few stores. It is for waits that are mostly over before their time is up: of those that
//! are not, each has all bells looked at.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::Instant;

use crate::bells::ArmedBell;
use crate::kernel::Kernel;
use crate::timer_queue::after;

/// Waits for a future no longer than to a deadline: then `None`.
pub(crate) struct Within<'a, F> {
    future: F,
    deadline: Option<Deadline<'a>>,
}

/// Waits for a future no longer than this time.
pub(crate) fn within<F>(kernel: &Arc<Kernel>, limit: Duration, future: F) -> Within<'_, F> {
    until(kernel, Some(after(Instant::now(), limit)), future)
}

/// Waits for a future no longer than to this instant, if there is one.
pub(crate) fn until<F>(kernel: &Arc<Kernel>, due: Option<Instant>, future: F) -> Within<'_, F> {
    Within { future, deadline: due.map(|due| Deadline::new(due, kernel)) }
}

impl<F: Future + Unpin> Future for Within<'_, F> {
    type Output = Option<F::Output>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if let Poll::Ready(output) = Pin::new(&mut self.future).poll(cx) {
            return Poll::Ready(Some(output));
        }
        let due = self.deadline.as_mut().is_some_and(|deadline| deadline.is_due(cx));
        if due { Poll::Ready(None) } else { Poll::Pending }
    }
}

/// When to give up, and who says so.
pub(crate) struct Deadline<'a> {
    due: Instant,
    kernel: &'a Arc<Kernel>,
    /// Armed at the first poll that has to wait.
    bell: Option<ArmedBell<'a>>,
}

impl<'a> Deadline<'a> {
    pub(crate) fn new(due: Instant, kernel: &'a Arc<Kernel>) -> Self {
        Deadline { due, kernel, bell: None }
    }

    /// Whether the time is up; if not, the bell will wake this waker.
    pub(crate) fn is_due(&mut self, cx: &Context<'_>) -> bool {
        match &self.bell {
            None => {
                let kernel = self.kernel;
                let bell = self.bell.insert(kernel.bells.arm(self.due, cx.waker()));
                bell.announce(|| kernel.tokio());
                false
            }
            Some(bell) => {
                bell.register(cx.waker());
                Instant::now() >= self.due
            }
        }
    }
}
