//! The counts of a mailbox that is measured or bounded.

use crate::process::overflow_policy::Overflow;

/// Exact counts of a mailbox. Calls and casts count as messages here.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Counts {
    /// The number of messages and streams that have room; `usize::MAX` if there is no bound.
    pub(crate) capacity: usize,
    pub(crate) overflow: Overflow,
    /// The number of queued messages and streams.
    pub(crate) users: usize,
    /// The number of all queued items.
    pub(crate) depth: usize,
    /// The number of messages and streams that were dropped because of the bound.
    pub(crate) dropped: u64,
    /// The number of items at the front of the inbox that a suspended server has passed over.
    pub(crate) passed: usize,
}

impl Counts {
    pub(crate) fn new(capacity: usize, overflow: Overflow) -> Self {
        Counts { capacity, overflow, users: 0, depth: 0, dropped: 0, passed: 0 }
    }

    pub(crate) fn count_in(&mut self, user: bool) {
        self.users += usize::from(user);
        self.depth += 1;
    }

    pub(crate) fn count_out(&mut self, user: bool) {
        self.users -= usize::from(user);
        self.depth = self.depth.saturating_sub(1);
    }

    /// The bound, if there is one. A mailbox may be counted without a bound.
    pub(crate) fn bound(&self) -> Option<usize> {
        Some(self.capacity).filter(|&capacity| capacity != usize::MAX)
    }
}
