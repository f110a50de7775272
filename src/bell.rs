//! One deadline, and who is woken when it comes.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;

use crate::quietly::quietly;

/// Of a bell: it is not armed. Of an instant: it never comes.
pub(crate) const NEVER: u64 = u64::MAX;
pub(crate) const LANES: usize = 8;

thread_local! {
    static PLACE: u8 = const { 0 };
}

/// A number below [`LANES`] that differs between most threads.
pub(crate) fn lane() -> usize {
    let address = PLACE.with(|place| std::ptr::from_ref(place).addr()) as u64;
    // Addresses of threads differ in a few bits in the middle: this brings them to the top.
    (address.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 61) as usize
}

/// One deadline, used again and again. On a cache line of its own: its neighbours are other
/// threads'.
#[derive(Debug)]
#[repr(align(64))]
pub(crate) struct Bell {
    /// Nanoseconds since the base, or [`NEVER`].
    pub(crate) due: AtomicU64,
    waker: Mutex<Option<Waker>>,
}

/// Bells that nobody uses, apart from those of other threads.
#[derive(Debug, Default)]
#[repr(align(64))]
pub(crate) struct Lane(Mutex<Vec<Arc<Bell>>>);

impl Lane {
    pub(crate) fn lock(&self) -> MutexGuard<'_, Vec<Arc<Bell>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Bell {
    pub(crate) fn new() -> Self {
        Bell { due: AtomicU64::new(NEVER), waker: Mutex::new(None) }
    }

    /// Who is woken when it rings.
    pub(crate) fn register(&self, waker: &Waker) {
        let mut slot = self.waker.lock().unwrap_or_else(PoisonError::into_inner);
        if !slot.as_ref().is_some_and(|old| old.will_wake(waker)) {
            let old = slot.replace(waker.clone());
            drop(slot);
            drop(old);
        }
    }

    /// Rings for the deadline that was seen, unless another was set meanwhile: the bell may
    /// have gone from a call that is over to one that has just begun.
    pub(crate) fn ring(&self, seen: u64) {
        if self.due.compare_exchange(seen, NEVER, Ordering::SeqCst, Ordering::SeqCst).is_err() {
            return;
        }
        let waker = self.waker.lock().unwrap_or_else(PoisonError::into_inner).take();
        // It may be a user's, and the others are waiting.
        if let Some(waker) = waker {
            quietly(|| waker.wake());
        }
    }
}
