//! What a process does until it ends: a closure that is called inside of it, and the
//! future that it makes.
//!
//! The future lies where the closure lay, so a body is as large as the larger of the two.
//! It is one step deep: each frame that a panic unwinds costs about as much as a message.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use pin_project_lite::pin_project;

use crate::kernel::closing::End;

/// What a process does until it ends.
pub(crate) type Body = Pin<Box<dyn Future<Output = End> + Send>>;

pin_project! {
    /// Calls `start` at its first poll, runs what that returns, and says what came of it.
    #[project = Projected]
    enum BodyFuture<Start, Fut, Finish> {
        Unstarted { closures: Option<(Start, Finish)> },
        Running { #[pin] future: Fut, finish: Option<Finish> },
    }
}

/// A body of a closure, and of what its result says about the end.
pub(crate) fn body<Start, Fut, Finish>(start: Start, finish: Finish) -> Body
where
    Start: FnOnce() -> Fut + Send + 'static,
    Fut: Future + Send + 'static,
    Finish: FnOnce(Fut::Output) -> End + Send + 'static,
{
    Box::pin(BodyFuture::Unstarted { closures: Some((start, finish)) })
}

impl<Start, Fut, Finish> Future for BodyFuture<Start, Fut, Finish>
where
    Start: FnOnce() -> Fut,
    Fut: Future,
    Finish: FnOnce(Fut::Output) -> End,
{
    type Output = End;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<End> {
        loop {
            let (future, finish) = match self.as_mut().project() {
                Projected::Running { future, finish } => {
                    let output = ready!(future.poll(cx));
                    let finish = finish.take().expect("a body is not polled after its end");
                    return Poll::Ready(finish(output));
                }
                Projected::Unstarted { closures } => {
                    let (start, finish) = closures.take().expect("a body begins once");
                    (start(), finish)
                }
            };
            self.set(BodyFuture::Running { future, finish: Some(finish) });
        }
    }
}
