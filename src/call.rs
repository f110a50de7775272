//! Waiting for the answer of a call.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::bell::ArmedBell;
use crate::call_error::CallError;
use crate::kernel::Kernel;
use crate::reply::{Answer, Lost};

/// The answer of one call, under its deadline.
pub(crate) struct Waiting<'a, T> {
    answer: oneshot::Receiver<Answer<T>>,
    deadline: Option<Deadline<'a>>,
}

/// Waits for a future no longer than to a deadline: then `None`.
pub(crate) struct Within<'a, F> {
    pub(crate) future: F,
    pub(crate) deadline: Option<Deadline<'a>>,
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
    kernel: &'a std::sync::Arc<Kernel>,
    /// Armed at the first poll that has to wait.
    bell: Option<ArmedBell<'a>>,
}

impl<'a, T> Waiting<'a, T> {
    pub(crate) fn unlimited(answer: oneshot::Receiver<Answer<T>>) -> Self {
        Waiting { answer, deadline: None }
    }

    pub(crate) fn until(
        answer: oneshot::Receiver<Answer<T>>,
        due: Instant,
        kernel: &'a std::sync::Arc<Kernel>,
    ) -> Self {
        Waiting { answer, deadline: Some(Deadline::new(due, kernel)) }
    }
}

impl<T> Future for Waiting<'_, T> {
    type Output = Result<T, CallError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match Pin::new(&mut self.answer).poll(cx) {
            Poll::Ready(Ok(Ok(value))) => return Poll::Ready(Ok(value)),
            Poll::Ready(Ok(Err(Lost::Exited(reason)))) => {
                return Poll::Ready(Err(CallError::Exited(reason)));
            }
            Poll::Ready(Ok(Err(Lost::Overloaded))) => {
                return Poll::Ready(Err(CallError::Overloaded));
            }
            Poll::Ready(Ok(Err(Lost::NoReply)) | Err(_)) => {
                return Poll::Ready(Err(CallError::NoReply));
            }
            Poll::Pending => {}
        }
        let due = self.deadline.as_mut().is_some_and(|deadline| deadline.is_due(cx));
        if due { Poll::Ready(Err(CallError::Timeout)) } else { Poll::Pending }
    }
}

impl<'a> Deadline<'a> {
    pub(crate) fn new(due: Instant, kernel: &'a std::sync::Arc<Kernel>) -> Self {
        Deadline { due, kernel, bell: None }
    }

    /// Whether the time is up; if not, the bell will wake this waker.
    fn is_due(&mut self, cx: &Context<'_>) -> bool {
        match &self.bell {
            None => {
                let bells = &self.kernel.bells;
                let handle = self.kernel.tokio();
                self.bell = Some(bells.arm(handle, self.due, cx.waker()));
                false
            }
            Some(bell) => {
                bell.register(cx.waker());
                Instant::now() >= self.due
            }
        }
    }
}
