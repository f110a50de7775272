//! Waiting for the answer of a call.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::call_error::CallError;
use crate::deadline::Deadline;
use crate::kernel::Kernel;
use crate::reply::{Answer, Lost};

/// The answer of one call, under its deadline.
pub(crate) struct Waiting<'a, T> {
    answer: oneshot::Receiver<Answer<T>>,
    deadline: Option<Deadline<'a>>,
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
