//! Catches the panics of a server's callbacks, and makes the crash that the server ends with. The
//! futures whose panics are caught are the loop, which runs the handlers, and `terminate`.
//!
//! The code that catches a panic is compiled once, and not for each server: it polls through a trait
//! object.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;

use crate::exit::{Crash, ExitReason};
use crate::kernel::End;

/// The payload of a panic.
type Panic = Box<dyn Any + Send>;

pin_project! {
    /// Resolves with the output of the future, or with its panic.
    pub(super) struct Caught<Fut> {
        #[pin]
        future: Fut,
    }
}

/// Catches the panics of a future.
pub(super) fn caught<Fut: Future>(future: Fut) -> Caught<Fut> {
    Caught { future }
}

impl<T, Fut: Future<Output = T>> Future for Caught<Fut> {
    type Output = Result<T, Panic>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<T, Panic>> {
        poll_caught(self.project().future, cx)
    }
}

fn poll_caught<T>(
    future: Pin<&mut (dyn Future<Output = T> + '_)>,
    cx: &mut Context<'_>,
) -> Poll<Result<T, Panic>> {
    match catch_unwind(AssertUnwindSafe(|| future.poll(cx))) {
        Ok(Poll::Pending) => Poll::Pending,
        Ok(Poll::Ready(output)) => Poll::Ready(Ok(output)),
        Err(panic) => Poll::Ready(Err(panic)),
    }
}

/// Returns the end of a server whose loop or `terminate` has panicked.
pub(super) fn panicked(panic: Panic) -> End {
    End::Panicked(ExitReason::Crashed(Crash::from_panic(panic)))
}
