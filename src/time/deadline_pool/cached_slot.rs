//! One slot of the [per-task slot cache](crate::time::deadline_pool::slot_cache), whose header says
//! what its states are and which invariants hold.

use std::task::Waker;

use crate::base::sync::Mutex;
use crate::base::sync::atomic::{
    AtomicU64, AtomicUsize,
    Ordering::{Relaxed, Release, SeqCst},
};
use crate::base::user_panics::ignore_panic;
use crate::time::deadline_pool::slot_pool::NEVER;

/// The latest instant that a slot can be armed for, and the longest limit.
pub(crate) const LATEST_DUE: u64 = (1 << 62) - 1;
/// Marks the `due` of a slot that is armed for a limit, and not for an instant: the other bits are
/// the limit in nanoseconds. The next sweep replaces the limit by an instant.
pub(crate) const LIMIT: u64 = 1 << 63;

/// The `due` of a slot that no caller holds.
pub(super) const FREE: u64 = NEVER;
/// The `due` of a slot that is held but not armed: it has expired, or is about to be armed.
pub(super) const HELD: u64 = NEVER - 1;

/// The addresses of a waker's data and vtable. Together they identify the waker while it is stored.
pub(super) type WakerId = (usize, usize);

pub(super) fn waker_id(waker: &Waker) -> WakerId {
    (waker.data().addr(), vtable_addr(waker))
}

/// The address of a waker's vtable, which identifies the kind of the waker.
pub(crate) fn vtable_addr(waker: &Waker) -> usize {
    std::ptr::from_ref(waker.vtable()).addr()
}

/// One deadline slot, on cache lines of its own.
#[repr(align(64))]
#[derive(Debug)]
pub(crate) struct CachedSlot {
    /// The deadline in nanoseconds since the pool's base, or a limit with the mark [`LIMIT`], or
    /// [`FREE`], or [`HELD`].
    pub(super) due: AtomicU64,
    /// How often a task has found this slot again. Only the holder writes it.
    pub(super) uses: AtomicU64,
    /// The first part of the [`WakerId`] of the waker.
    data: AtomicUsize,
    /// The second part of the [`WakerId`]; 0, which is the address of no vtable, while there is no
    /// waker.
    vtable: AtomicUsize,
    waker: Mutex<Option<Waker>>,
}

impl CachedSlot {
    pub(super) fn new() -> Self {
        CachedSlot {
            due: AtomicU64::new(FREE),
            uses: AtomicU64::new(0),
            data: AtomicUsize::new(0),
            vtable: AtomicUsize::new(0),
            waker: Mutex::new(None),
        }
    }

    pub(super) fn belongs_to(&self, (data, vtable): WakerId) -> bool {
        self.data.load(SeqCst) == data && self.vtable.load(SeqCst) == vtable
    }

    pub(super) fn count_use(&self) {
        self.uses.store(self.uses.load(Relaxed).wrapping_add(1), Relaxed);
    }

    /// Whether a sweep has expired the slot. Only the holder calls this.
    pub(crate) fn has_expired(&self) -> bool {
        self.due.load(SeqCst) == HELD
    }

    /// Replaces the limit of a slot by an instant (invariant 4), and returns the instant. Returns
    /// [`NEVER`] if the holder has disarmed the slot meanwhile.
    pub(super) fn start_limit(&self, marked: u64, clock: &impl Fn() -> u64) -> u64 {
        let limit = marked & !LIMIT;
        let first = clock() + limit;
        if self.due.compare_exchange(marked, first, SeqCst, SeqCst).is_err() {
            return NEVER;
        }
        let due = clock() + limit;
        match self.due.compare_exchange(first, due, SeqCst, SeqCst) {
            Ok(_) => due,
            Err(_) => NEVER,
        }
    }

    /// Holds the slot, if it is free (invariant 1).
    pub(super) fn hold(&self, due: u64) -> bool {
        self.due.compare_exchange(FREE, due, SeqCst, SeqCst).is_ok()
    }

    /// Expires the slot, if it is due, and returns its waker (invariant 2).
    pub(super) fn expire(&self, now: u64) -> Option<Waker> {
        let mut kept = self.waker.lock();
        let due = self.due.load(SeqCst);
        if due > now {
            return None;
        }
        // The id is cleared before the exchange, so that a caller that arms the slot now finds it
        // cleared.
        let vtable = self.vtable.swap(0, SeqCst);
        if self.due.compare_exchange(due, HELD, SeqCst, SeqCst).is_ok() {
            return kept.take();
        }
        self.vtable.store(vtable, SeqCst);
        None
    }

    /// Whether a sweep will wake this waker, or has already taken it. Only the holder calls this.
    #[cfg(all(test, regrow_shuttle))]
    pub(crate) fn will_wake(&self, waker: &Waker) -> bool {
        let kept = self.waker.lock();
        let is_kept = kept.as_ref().is_some_and(|kept| kept.will_wake(waker));
        is_kept || self.has_expired()
    }

    /// Replaces the waker that is woken when the slot expires. Only the holder calls this.
    pub(crate) fn register(&self, waker: &Waker) {
        if !self.belongs_to(waker_id(waker)) {
            self.store_waker(waker.clone());
        }
    }

    pub(super) fn store_waker(&self, waker: Waker) {
        // The id of this clone is stored. The id of the original may differ, and is unique only
        // while the original exists.
        let (data, vtable) = waker_id(&waker);
        let mut kept = self.waker.lock();
        self.data.store(data, SeqCst);
        self.vtable.store(vtable, SeqCst);
        let old = kept.replace(waker);
        drop(kept);
        // The old waker may belong to another task, and may be user code.
        ignore_panic(|| drop(old));
    }

    /// Disarms the slot, whether it has expired or not. Only the holder calls this.
    #[inline]
    pub(crate) fn disarm(&self) {
        self.due.store(FREE, Release);
    }
}
