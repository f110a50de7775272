//! A shelf of bells: each is one deadline, and who is woken when it comes.
//!
//! All bells of a shelf lie behind one lock, which is held for a few stores. It is mostly one
//! thread's own, so that arming a bell and taking it back cost one lock each, and no other
//! exchange. Nothing of the user's is run under it: a waker is cloned, dropped and woken outside.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::Waker;

use crate::base::catch::ignore_panic;

/// Of a bell: it is not armed. Of an instant: it never comes.
pub(crate) const NEVER: u64 = u64::MAX;
pub(crate) const SLOT_POOLS: usize = 8;
/// So many are kept while nobody uses any.
const MAX_IDLE: usize = 64;

thread_local! {
    static THREAD_LOCAL: u8 = const { 0 };
}

/// A number below [`SLOT_POOLS`] that differs between most threads.
pub(crate) fn own_pool() -> usize {
    let address = THREAD_LOCAL.with(|local| std::ptr::from_ref(local).addr()) as u64;
    // Addresses of threads differ in a few bits in the middle: this brings them to the top.
    (address.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 61) as usize
}

/// One deadline, used again and again.
#[derive(Debug)]
struct PooledSlot {
    /// Nanoseconds since the base, or [`NEVER`].
    due: u64,
    /// Stays when the bell is taken back: the next to arm it is mostly the same task.
    waker: Option<Waker>,
}

#[derive(Debug, Default)]
struct Slots {
    all: Vec<PooledSlot>,
    free: Vec<usize>,
}

impl Slots {
    /// The place of a bell that nobody uses.
    fn take_free(&mut self) -> usize {
        self.free.pop().unwrap_or_else(|| {
            self.all.push(PooledSlot { due: NEVER, waker: None });
            self.all.len() - 1
        })
    }

    fn will_wake(&self, at: usize, waker: &Waker) -> bool {
        self.all[at].waker.as_ref().is_some_and(|kept| kept.will_wake(waker))
    }
}

/// Bells that are apart from those of other threads, on cache lines of their own.
#[derive(Debug, Default)]
#[repr(align(64))]
pub(crate) struct SlotPool(Mutex<Slots>);

impl SlotPool {
    fn lock(&self) -> MutexGuard<'_, Slots> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Arms a bell, and gives its place.
    pub(crate) fn arm(&self, due: u64, waker: &Waker) -> usize {
        let mut slots = self.lock();
        let at = slots.take_free();
        if slots.will_wake(at, waker) {
            slots.all[at].due = due;
            return at;
        }
        slots.free.push(at);
        drop(slots);
        // It may panic, and nobody would take the bell back.
        let waker = waker.clone();
        let mut slots = self.lock();
        let at = slots.take_free();
        slots.all[at].due = due;
        let old = slots.all[at].waker.replace(waker);
        drop(slots);
        ignore_panic(|| drop(old));
        at
    }

    /// Another waker is woken by an armed bell.
    pub(crate) fn register(&self, at: usize, waker: &Waker) {
        if self.lock().will_wake(at, waker) {
            return;
        }
        let waker = waker.clone();
        let old = self.lock().all[at].waker.replace(waker);
        ignore_panic(|| drop(old));
    }

    /// Takes a bell back, rung or not. When the last of many comes back they are let go, or
    /// each look would go through all that were ever needed at once.
    pub(crate) fn disarm(&self, at: usize) {
        let mut slots = self.lock();
        slots.all[at].due = NEVER;
        slots.free.push(at);
        if slots.free.len() > MAX_IDLE && slots.free.len() == slots.all.len() {
            let many = std::mem::take(&mut *slots);
            drop(slots);
            // Wakers of whom nobody waits for any more.
            ignore_panic(|| drop(many));
        }
    }

    /// Disarms all bells that are due, and hands out whom they wake. The next deadline of the
    /// others.
    pub(crate) fn expire_due(&self, now: u64, due: &mut Vec<Waker>) -> u64 {
        let mut next = NEVER;
        for slot in &mut self.lock().all {
            if slot.due > now {
                next = next.min(slot.due);
            } else {
                slot.due = NEVER;
                due.extend(slot.waker.take());
            }
        }
        next
    }

    /// How many are armed.
    pub(crate) fn armed(&self) -> usize {
        self.lock().all.iter().filter(|slot| slot.due != NEVER).count()
    }
}

#[cfg(test)]
mod tests {
    use super::{NEVER, SlotPool};
    use std::task::Waker;

    #[test]
    fn what_is_due_is_handed_out_once_and_the_next_is_known() {
        let (pool, waker) = (SlotPool::default(), Waker::noop());
        let slots = [30, 10, 20].map(|due| pool.arm(due, waker));
        let mut due = Vec::new();
        assert_eq!((pool.expire_due(9, &mut due), due.len()), (10, 0));
        assert_eq!((pool.expire_due(20, &mut due), due.len(), pool.armed()), (30, 2, 1));
        assert_eq!((pool.expire_due(20, &mut due), due.len()), (30, 2));
        slots.into_iter().for_each(|slot| pool.disarm(slot));
        assert_eq!((pool.expire_due(99, &mut due), due.len()), (NEVER, 2));
    }

    #[test]
    fn many_are_let_go_when_the_last_comes_back() {
        let pool = SlotPool::default();
        for many in [super::MAX_IDLE, 10 * super::MAX_IDLE] {
            let slots: Vec<usize> = (0..many).map(|_| pool.arm(1, Waker::noop())).collect();
            slots.into_iter().for_each(|slot| pool.disarm(slot));
            assert_eq!(pool.lock().all.len(), if many > super::MAX_IDLE { 0 } else { many });
        }
    }

    /// Of what was handed out, nothing can be taken for the next that uses the bell.
    #[test]
    fn a_bell_is_used_again() {
        let pool = SlotPool::default();
        let first = pool.arm(10, Waker::noop());
        pool.disarm(first);
        assert_eq!(pool.arm(20, Waker::noop()), first);
        let mut due = Vec::new();
        assert_eq!((pool.expire_due(10, &mut due), due.len()), (20, 0));
    }
}
