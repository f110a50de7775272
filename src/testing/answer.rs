//! The answer to a call that a test makes by hand.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};

use crate::base::poll_budget;
use crate::call::AwaitedReply;
use crate::exit::Result;
use crate::process::AnyProcess;
use crate::runtime::CallError;
use crate::runtime::await_reply::outcome;
use crate::testing::bare_process::resolve_dropped_replies;

/// The answer to a [`question`](crate::testing::TestContext::question), as a caller would receive
/// it. [`TestContext`](crate::testing::TestContext) has an example.
///
/// # Cancel safety
///
/// Cancel safe: a dropped `Answer` has the same effect as a caller that stops waiting.
#[must_use = "it does nothing unless awaited or asked"]
pub struct Answer<T> {
    /// `None` once the answer was taken.
    pub(super) awaited: Option<AwaitedReply<T>>,
    pub(super) server: Arc<dyn AnyProcess>,
}

impl<T: Send + 'static> Answer<T> {
    /// Takes the answer, if there is one now. Returns `None` also if the answer was taken before.
    /// [`TestContext`](crate::testing::TestContext) has an example.
    pub fn by_now(&mut self) -> Option<Result<T, CallError>> {
        let mut cx = Context::from_waker(Waker::noop());
        self.awaited.as_ref()?;
        // Poll without tokio's budget, which may be used up: the result must not depend on the
        // budget.
        match self.poll_now(&mut cx) {
            Poll::Ready(answer) => Some(answer),
            Poll::Pending => None,
        }
    }

    fn poll_now(&mut self, cx: &mut Context<'_>) -> Poll<Result<T, CallError>> {
        let Answer { awaited: slot, server } = self;
        let Some(awaited) = slot else { panic!("the answer was taken already") };
        let answer = match awaited.poll(cx, &**server) {
            Poll::Pending => {
                // The handler may have dropped the reply. In that case the call is resolved here.
                resolve_dropped_replies(&**server);
                ready!(awaited.poll(cx, &**server))
            }
            Poll::Ready(answer) => answer,
        };
        *slot = None;
        Poll::Ready(outcome(answer))
    }
}

impl<T: Send + 'static> Future for Answer<T> {
    type Output = Result<T, CallError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        ready!(poll_budget(cx));
        self.poll_now(cx)
    }
}

impl<T> fmt::Debug for Answer<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Answer(of {})", self.server.pid())
    }
}
