//! The body of a process: a closure that is called inside the process, and the future that the
//! closure returns.
//!
//! The future is stored in the place of the closure, so a body is as large as the larger of the
//! two. A body adds only one stack frame to its future, because a panic unwinds each frame, which
//! takes about as long as sending a message.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use pin_project_lite::pin_project;

use crate::driver::Body;
use crate::driver::hosted::{Slot, host_in};
use crate::kernel::End;
use crate::mailbox::{Item, Process};

pin_project! {
    /// Calls `start` at the first poll, and polls the future that `start` returns. `finish` turns
    /// the output of that future into the end of the process.
    #[project = Projected]
    enum BodyFuture<Start, Fut, Finish> {
        Unstarted { closures: Option<(Start, Finish)> },
        Running { #[pin] future: Fut, finish: Option<Finish> },
        Cleared,
    }
}

/// Creates the body of a process from a closure that returns its future, and a function that turns the
/// output of that future into the end of the process.
pub(crate) fn body<M: Item, Start, Fut, Finish>(
    process: Arc<Process<M>>,
    start: Start,
    finish: Finish,
) -> Body
where
    Start: FnOnce() -> Fut + Send + 'static,
    Fut: Future + Send + 'static,
    Finish: FnOnce(Fut::Output) -> End + Send + 'static,
{
    host_in(process, BodyFuture::Unstarted { closures: Some((start, finish)) })
}

impl<Start, Fut, Finish> Slot for BodyFuture<Start, Fut, Finish>
where
    Start: FnOnce() -> Fut,
    Fut: Future,
    Finish: FnOnce(Fut::Output) -> End,
{
    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<End> {
        loop {
            let (future, finish) = match self.as_mut().project() {
                Projected::Running { future, finish } => {
                    let output = ready!(future.poll(cx));
                    let finish = finish.take().expect("a body is not polled after its end");
                    return Poll::Ready(finish(output));
                }
                Projected::Unstarted { closures } => {
                    let (start, finish) = closures.take().expect("a body starts once");
                    (start(), finish)
                }
                // A body is not polled after its drop.
                Projected::Cleared => return Poll::Pending,
            };
            self.set(BodyFuture::Running { future, finish: Some(finish) });
        }
    }

    fn clear(mut self: Pin<&mut Self>) {
        self.set(BodyFuture::Cleared);
    }
}
