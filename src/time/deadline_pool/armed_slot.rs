//! A slot while a caller waits on it.

use std::sync::atomic::Ordering;
use std::task::Waker;

use crate::time::deadline_pool::slot_cache::CachedSlot;
use crate::time::deadline_pool::slot_pool::SlotPool;
use crate::time::deadline_pool::{DeadlinePool, MAX_LEAD};

/// A slot in use; dropping it takes it back.
#[derive(Debug)]
pub(crate) struct ArmedSlot<'a> {
    pub(super) home: Home<'a>,
    pub(super) due: u64,
    pub(super) deadlines: &'a DeadlinePool,
}

/// Where it came from, and is given back to.
#[derive(Debug)]
pub(super) enum Home<'a> {
    SlotCache(&'a CachedSlot),
    SlotPool(&'a SlotPool, usize),
}

impl ArmedSlot<'_> {
    /// Whether the sweeper's next look comes in time for it. To be asked at once where the slot
    /// is kept: to move it after its parts are written costs as much as to arm it.
    #[inline]
    pub(crate) fn is_in_time(&self) -> bool {
        let next = self.deadlines.next_sweep.load(Ordering::SeqCst);
        next <= self.due && self.due - next < MAX_LEAD
    }

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
