//! Whether a request was begun or withdrawn.
//!
//! **Invariant.** A request is either begun or withdrawn: both sides change one atomic value. A requester
//! that has withdrawn its request knows that nothing was done and that nothing will be done.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

const QUEUED: u8 = 0;
const BEGUN: u8 = 1;
const WITHDRAWN: u8 = 2;

/// Whether a request was begun or withdrawn. The requester and the request share it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Claim(Arc<AtomicU8>);

impl Claim {
    /// Begins the request. Returns false if it was withdrawn.
    pub(crate) fn begin(&self) -> bool {
        self.leave_queue(BEGUN)
    }

    /// Withdraws the request. Returns false if it was begun.
    pub(crate) fn withdraw(&self) -> bool {
        self.leave_queue(WITHDRAWN)
    }

    /// Returns whether the request was begun.
    pub(crate) fn has_begun(&self) -> bool {
        self.0.load(Ordering::Acquire) == BEGUN
    }

    fn leave_queue(&self, to: u8) -> bool {
        self.0.compare_exchange(QUEUED, to, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }
}
