//! Waiting for the answer of a call, up to its deadline.

use std::pin::Pin;
use std::task::{Context, Poll};

use crate::call::{Answer, AwaitedReply, Lost};
use crate::mailbox::{Item, Process};
use crate::process::AnyProcess;
use crate::runtime::CallError;
use crate::runtime::deadline::Deadline;
use crate::time::deadline_pool::Due;

/// A future that waits for the answer of one call, up to its deadline.
pub(crate) struct AwaitReply<'a, T> {
    answer: AwaitedReply<T>,
    server: &'a dyn AnyProcess,
    deadline: Option<Deadline<'a>>,
}

impl<'a, T> AwaitReply<'a, T> {
    /// Creates a wait up to `due`, or without a limit if `due` is `None`.
    #[inline]
    pub(crate) fn until<M: Item>(
        answer: AwaitedReply<T>,
        due: Option<Due>,
        server: &'a Process<M>,
    ) -> Self {
        let deadline = due.map(|due| Deadline::new(due, &server.kernel));
        AwaitReply { answer, server, deadline }
    }
}

/// Converts the answer in the slot of a call to the result of the call.
pub(crate) fn outcome<T>(answer: Answer<T>) -> Result<T, CallError> {
    answer.map_err(|lost| match lost {
        Lost::Exited(reason) => CallError::Exited(reason),
        Lost::Overloaded => CallError::Overloaded,
        // `Pending` is replaced by the result of the call before a caller can take it, and so is
        // `HandedOn`, unless the reply is dropped: then the server that it names is asked.
        Lost::NoReply | Lost::Pending(_) | Lost::HandedOn(_) => CallError::NoReply,
    })
}

impl<T: Send + 'static> Future for AwaitReply<'_, T> {
    type Output = Result<T, CallError>;

    // Inlined, so that a call has one stack frame for each poll, and not two.
    #[inline(always)]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let server = self.server;
        if let Poll::Ready(answer) = self.answer.poll(cx, server) {
            return Poll::Ready(outcome(answer));
        }
        let Some(deadline) = self.deadline.as_mut() else { return Poll::Pending };
        if !deadline.is_due(cx) {
            return Poll::Pending;
        }
        deadline.count_time_out();
        Poll::Ready(Err(CallError::Timeout))
    }
}
