//! A net under what is a user's and may panic.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::Waker;

/// Runs what may be a user's destructor, waker or formatter: its panic ends here.
pub(crate) fn quietly(act: impl FnOnce()) {
    if let Err(payload) = catch_unwind(AssertUnwindSafe(act)) {
        // Dropping the payload might panic as well.
        std::mem::forget(payload);
    }
}

/// Whoever it is of, nobody else is harmed by what it does.
#[inline]
pub(crate) fn wake(waker: Option<Waker>) {
    if let Some(waker) = waker {
        quietly(|| waker.wake());
    }
}
