//! A shared pool of deadline slots, behind one lock.
//!
//! **Guarantee.** A slot that stays armed expires once: the first sweep at its deadline or later
//! gets the waker of the slot. Any number of slots can be armed.
//!
//! A runtime has [`SLOT_POOLS`] pools, and most threads use one that few other threads use. So
//! arming a slot usually takes one uncontended lock, and so does disarming it.
//!
//! **Invariants**
//! 1. The lock is held for a few stores, or while a sweep visits the slots. No user code runs under
//!    the lock: wakers are cloned, dropped and woken while the lock is not held.
//! 2. A slot is either in `free`, or held: one caller has its index until that caller disarms the
//!    slot. An expired slot is still held.
//! 3. A slot keeps its waker when it is disarmed, since the next caller is usually the same task.
//!    The waker is taken out when the slot expires.

use std::task::Waker;

use crate::base::sync::PlainMutex;
use crate::base::user_panics::ignore_panic;

/// As the `due` of a slot: the slot is not armed. As an instant: never.
pub(crate) const NEVER: u64 = u64::MAX;
/// The number of slot pools of a runtime.
pub(crate) const SLOT_POOLS: usize = 8;
/// How many slots a pool keeps while no caller uses any.
const MAX_IDLE: usize = 64;

thread_local! {
    /// Only the address of this value is used, which differs between threads.
    static THREAD_LOCAL: u8 = const { 0 };
}

/// The index of the pool that this thread uses. It spreads the threads over the [`SLOT_POOLS`]
/// pools.
pub(crate) fn own_pool() -> usize {
    let address = THREAD_LOCAL.with(|local| std::ptr::from_ref(local).addr()) as u64;
    // The addresses differ between threads in a few middle bits. The multiplication moves the
    // difference to the highest bits.
    (address.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 61) as usize
}

/// One deadline slot, which is used again and again.
#[derive(Debug)]
struct PooledSlot {
    /// Nanoseconds since the base, or [`NEVER`].
    due: u64,
    /// Invariant 3.
    waker: Option<Waker>,
}

#[derive(Debug, Default)]
struct Slots {
    all: Vec<PooledSlot>,
    free: Vec<usize>,
}

impl Slots {
    /// Takes a free slot, and returns its index. The caller holds the slot from now on.
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

/// A pool of deadline slots, on cache lines of its own.
#[derive(Debug, Default)]
#[repr(align(64))]
pub(crate) struct SlotPool(PlainMutex<Slots>);

impl SlotPool {
    /// Arms a slot, and returns its index.
    pub(crate) fn arm(&self, due: u64, waker: &Waker) -> usize {
        let mut slots = self.0.lock();
        let at = slots.take_free();
        if slots.will_wake(at, waker) {
            slots.all[at].due = due;
            return at;
        }
        slots.free.push(at);
        drop(slots);
        // The waker is cloned while no slot is held: the clone may panic, and then no caller would
        // disarm the slot.
        let waker = waker.clone();
        let mut slots = self.0.lock();
        let at = slots.take_free();
        slots.all[at].due = due;
        let old = slots.all[at].waker.replace(waker);
        drop(slots);
        ignore_panic(|| drop(old));
        at
    }

    /// Replaces the waker that is woken when the slot expires.
    pub(crate) fn register(&self, at: usize, waker: &Waker) {
        if self.0.lock().will_wake(at, waker) {
            return;
        }
        let waker = waker.clone();
        let old = self.0.lock().all[at].waker.replace(waker);
        ignore_panic(|| drop(old));
    }

    /// Disarms a slot, whether it has expired or not. When the last held slot is disarmed, and
    /// there are more than [`MAX_IDLE`] slots, all slots are freed. Otherwise each sweep would
    /// visit as many slots as were ever held at the same time.
    pub(crate) fn disarm(&self, at: usize) {
        let mut slots = self.0.lock();
        slots.all[at].due = NEVER;
        slots.free.push(at);
        if slots.free.len() > MAX_IDLE && slots.free.len() == slots.all.len() {
            let many = std::mem::take(&mut *slots);
            drop(slots);
            // The wakers may be user code.
            ignore_panic(|| drop(many));
        }
    }

    /// Expires all slots that are due, and adds their wakers to `due`. Returns the earliest
    /// deadline of the other slots.
    pub(crate) fn expire_due(&self, now: u64, due: &mut Vec<Waker>) -> u64 {
        let mut next = NEVER;
        for slot in &mut self.0.lock().all {
            if slot.due > now {
                next = next.min(slot.due);
            } else {
                slot.due = NEVER;
                due.extend(slot.waker.take());
            }
        }
        next
    }

    /// The number of armed slots.
    pub(crate) fn armed(&self) -> usize {
        self.0.lock().all.iter().filter(|slot| slot.due != NEVER).count()
    }
}

#[cfg(test)]
mod tests {
    use super::{NEVER, SlotPool};
    use std::task::Waker;

    #[test]
    fn a_slot_that_is_due_expires_once_and_the_next_deadline_is_returned() {
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
    fn more_than_a_few_slots_are_freed_when_the_last_is_disarmed() {
        let pool = SlotPool::default();
        for many in [super::MAX_IDLE, 10 * super::MAX_IDLE] {
            let slots: Vec<usize> = (0..many).map(|_| pool.arm(1, Waker::noop())).collect();
            slots.into_iter().for_each(|slot| pool.disarm(slot));
            assert_eq!(pool.0.lock().all.len(), if many > super::MAX_IDLE { 0 } else { many });
        }
    }

    /// A slot that was disarmed and armed again expires at its new deadline, not at that of the
    /// earlier caller.
    #[test]
    fn a_disarmed_slot_is_used_again() {
        let pool = SlotPool::default();
        let first = pool.arm(10, Waker::noop());
        pool.disarm(first);
        assert_eq!(pool.arm(20, Waker::noop()), first);
        let mut due = Vec::new();
        assert_eq!((pool.expire_due(10, &mut due), due.len()), (20, 0));
    }
}
