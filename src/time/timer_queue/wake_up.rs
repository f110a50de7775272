//! When the driving task is to be polled next, and how it is woken earlier.
//!
//! ```text
//!   a thread that changes a shard             the driving task
//!   1  changes the shard under its lock,      a  sets `until` to AWAKE
//!      and sets the shard's `next`            b  takes what is due, frees a slice
//!   2  reads `until`: before `next`, or       c  reads `next` of all shards
//!      AWAKE: nothing to do                   d  stores its waker, and sets `until`
//!      otherwise: wakes the driving task      e  reads `next` of all shards again:
//!                                                changed: goes on with a
//! ```
//!
//! **Invariant.** While the driving task waits, it waits for an instant that is not after the `next`
//! of any shard, or a thread is about to wake it. All these accesses are sequentially consistent: if
//! the thread reads the value of step a, the driving task reads the thread's `next` in step e.

use std::task::Waker;

use crate::base::sync::Mutex;
use crate::base::sync::atomic::{AtomicU64, Ordering};
use crate::base::user_panics::ignore_panic;

/// The driving task is not waiting.
const AWAKE: u64 = 0;

#[derive(Debug)]
pub(super) struct WakeUp {
    /// [`AWAKE`], or the instant until which the driving task waits.
    until: AtomicU64,
    waker: Mutex<Option<Waker>>,
}

impl Default for WakeUp {
    fn default() -> Self {
        WakeUp { until: AtomicU64::new(AWAKE), waker: Mutex::new(None) }
    }
}

impl WakeUp {
    /// Step a.
    pub(super) fn set_awake(&self) {
        self.until.store(AWAKE, Ordering::SeqCst);
    }

    /// Step d.
    pub(super) fn set_waiting(&self, until: u64, waker: &Waker) {
        let mut stored = self.waker.lock();
        if !stored.as_ref().is_some_and(|stored| stored.will_wake(waker)) {
            *stored = Some(waker.clone());
        }
        drop(stored);
        self.until.store(until.max(AWAKE + 1), Ordering::SeqCst);
    }

    /// Step 2. Wakes the driving task if it waits for an instant that comes after `next`.
    #[inline]
    pub(super) fn wake_if_after(&self, next: u64) {
        if self.until.load(Ordering::SeqCst) > next {
            self.wake();
        }
    }

    /// Wakes the driving task if it waits for the instant `next`.
    #[inline]
    pub(super) fn wake_if_at(&self, next: u64) {
        if self.until.load(Ordering::SeqCst) == next {
            self.wake();
        }
    }

    /// Wakes the driving task, if it has ever waited.
    #[cold]
    pub(super) fn wake(&self) {
        let waker = self.waker.lock().take();
        if let Some(waker) = waker {
            ignore_panic(|| waker.wake());
        }
    }
}
