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
    /// Calls `begin` at its first poll, runs what that returns, and says what came of it.
    #[project = Step]
    enum BodyFuture<Begin, Fut, Finish> {
        Begins { act: Option<(Begin, Finish)> },
        Goes { #[pin] future: Fut, finish: Option<Finish> },
    }
}

/// A body of a closure, and of what its result says about the end.
pub(crate) fn body<Begin, Fut, Finish>(begin: Begin, finish: Finish) -> Body
where
    Begin: FnOnce() -> Fut + Send + 'static,
    Fut: Future + Send + 'static,
    Finish: FnOnce(Fut::Output) -> End + Send + 'static,
{
    Box::pin(BodyFuture::Begins { act: Some((begin, finish)) })
}

impl<Begin, Fut, Finish> Future for BodyFuture<Begin, Fut, Finish>
where
    Begin: FnOnce() -> Fut,
    Fut: Future,
    Finish: FnOnce(Fut::Output) -> End,
{
    type Output = End;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<End> {
        loop {
            let (future, finish) = match self.as_mut().project() {
                Step::Goes { future, finish } => {
                    let output = ready!(future.poll(cx));
                    let finish = finish.take().expect("a body is not polled after its end");
                    return Poll::Ready(finish(output));
                }
                Step::Begins { act } => {
                    let (begin, finish) = act.take().expect("a body begins once");
                    (begin(), finish)
                }
            };
            self.set(BodyFuture::Goes { future, finish: Some(finish) });
        }
    }
}
