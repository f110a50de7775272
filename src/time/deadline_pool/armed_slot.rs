//! A deadline slot while a caller waits on it.

use std::sync::atomic::Ordering;
use std::task::Waker;

use crate::time::deadline_pool::cached_slot::{CachedSlot, LIMIT};
use crate::time::deadline_pool::due::is_frequent;
use crate::time::deadline_pool::slot_pool::SlotPool;
use crate::time::deadline_pool::{DeadlinePool, FREQUENT, MAX_LEAD};

/// An armed deadline slot. Dropping it disarms the slot.
#[derive(Debug)]
pub(crate) struct ArmedSlot<'a> {
    pub(super) home: Home<'a>,
    /// An instant, or a limit with the mark [`LIMIT`].
    pub(super) due: u64,
    pub(super) deadlines: &'a DeadlinePool,
}

/// The cache or the pool to which a slot belongs, and in which it is disarmed.
#[derive(Debug)]
pub(super) enum Home<'a> {
    SlotCache(&'a CachedSlot),
    SlotPool(&'a SlotPool, usize),
}

impl ArmedSlot<'_> {
    /// Whether the caller may rely on the sweeper (invariant 2 of
    /// [`deadline_pool`](crate::time::deadline_pool)).
    ///
    /// Call this method only where the slot is stored for good: moving the slot after its fields
    /// were written costs as much as arming it.
    #[inline]
    pub(crate) fn is_in_time(&self) -> bool {
        let next = self.deadlines.next_sweep.load(Ordering::SeqCst);
        if self.due & LIMIT != 0 {
            return is_frequent(next);
        }
        // Without the mark, `NEVER` is still after every deadline.
        let next = next & !FREQUENT;
        next <= self.due && self.due - next < MAX_LEAD
    }

    /// Whether a sweep has expired the slot. Only for slots that are armed for a limit, which
    /// belong to the cache.
    pub(crate) fn has_expired(&self) -> bool {
        match self.home {
            Home::SlotCache(slot) => slot.has_expired(),
            Home::SlotPool(..) => false,
        }
    }

    /// Replaces the waker that is woken when the slot expires.
    pub(crate) fn register(&self, waker: &Waker) {
        match self.home {
            Home::SlotCache(slot) => slot.register(waker),
            Home::SlotPool(pool, at) => pool.register(at, waker),
        }
    }
}

impl Drop for ArmedSlot<'_> {
    fn drop(&mut self) {
        match self.home {
            Home::SlotCache(slot) => slot.disarm(),
            Home::SlotPool(pool, at) => pool.disarm(at),
        }
        if self.deadlines.closed.load(Ordering::Relaxed) {
            self.deadlines.end_if_idle();
        }
    }
}
