//! Requests about exactly one incarnation of a child, which the requester may withdraw.
//!
//! **Invariants**
//! 1. The supervisor compares the incarnation and begins the action in one handler, so no other
//!    incarnation is stopped, however long the request was queued.
//! 2. A request is either begun or withdrawn: both sides change one atomic value. A requester that
//!    has withdrawn its request knows that nothing was done and that nothing will be done.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use crate::base::{Pid, SharedStr};

/// The child of a request.
#[derive(Debug)]
pub(crate) struct ExactChild {
    pub(crate) id: SharedStr,
    /// The process of the child. `None` if the child must not run.
    pub(crate) pid: Option<Pid>,
    pub(crate) claim: Claim,
}

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
