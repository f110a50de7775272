//! A net under what is a user's and may panic.

use std::panic::{AssertUnwindSafe, catch_unwind};

/// Runs what may be a user's destructor, waker or formatter: its panic ends here.
pub(crate) fn quietly(act: impl FnOnce()) {
    if let Err(payload) = catch_unwind(AssertUnwindSafe(act)) {
        // Dropping the payload might panic as well.
        std::mem::forget(payload);
    }
}
