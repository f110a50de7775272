//! The per-task slot cache, where a task finds its last deadline slot again.
//!
//! **Guarantee.** A task that has armed a slot is woken once, by a sweep at its deadline or later,
//! whatever sweeps and other tasks did to the slot before. A task that makes one call after another
//! arms its slot with one compare-and-exchange, and disarms it with one store.
//!
//! The address in a waker determines the two slots that the waker may use. A slot keeps its waker
//! when it is disarmed, so that the same task need not store the waker again. If both slots are
//! held, the caller uses a [slot pool](crate::time::deadline_pool::slot_pool).
//!
//! ```text
//!            rearm: same waker                     a sweep: due
//!   FREE ---------------------------> an instant ----------------> HELD, waker taken
//!     |                                ^    ^                             |
//!     |  arm: another waker            |    | waker stored                |
//!     +--------------------------------|--- HELD                          |
//!     |  rearm for a limit             | a sweep                          |
//!     +------------------------> a limit                                  |
//!   FREE <----------------------------------------------------------------+
//!            disarm, from any state, by the holder
//! ```
//!
//! **Invariants**
//! 1. A slot is *held* by the caller that has exchanged [`FREE`] for another value, until that
//!    caller stores `FREE` again. Only the holder stores a waker in the slot, and only the holder
//!    changes `due`, except for the sweep.
//! 2. A sweep that expires a slot does three steps under the lock of the waker: it clears the
//!    vtable of the slot's [`WakerId`], exchanges the `due` that it read for [`HELD`], and takes
//!    the waker out. If the holder has disarmed the slot, or armed it again for another instant,
//!    the exchange fails, and the sweep restores the vtable.
//! 3. A caller that has armed a slot checks afterwards that the slot still has the id of its waker.
//!    This check and the steps of invariant 2 are sequentially consistent with the exchanges of
//!    `due`: if a sweep has cleared the id, the caller finds it cleared, disarms the slot, and arms
//!    a slot with a new clone of its waker.
//! 4. A slot that is armed for a limit never expires before the limit has passed. The sweep that
//!    replaces the limit by an instant reads the clock once more after its exchange, since the
//!    caller may have disarmed the slot and armed it again, for the same limit, just before the
//!    exchange. The second exchange sets the instant that the second reading gives.

use std::sync::OnceLock;
use std::task::Waker;

use crate::base::sync::atomic::Ordering::{Relaxed, SeqCst};
use crate::time::deadline_pool::cached_slot::{CachedSlot, FREE, HELD, LIMIT, WakerId, waker_id};
use crate::time::deadline_pool::slot_pool::NEVER;

/// The number of slots: two under a model checker, which explores all interleavings of their use.
const SLOTS: usize = if cfg!(any(regrow_loom, regrow_shuttle)) { 2 } else { 512 };

/// The slots. All are made when the first is needed.
#[derive(Debug, Default)]
pub(crate) struct SlotCache(OnceLock<Box<[CachedSlot; SLOTS]>>);

/// The slots are built on the heap: they are too many for the stack of a thread.
#[cold]
fn new_slots() -> Box<[CachedSlot; SLOTS]> {
    let slots: Vec<CachedSlot> = (0..SLOTS).map(|_| CachedSlot::new()).collect();
    slots.try_into().expect("as many slots as were made")
}

impl SlotCache {
    fn slots(&self) -> &[CachedSlot] {
        self.0.get().map_or(&[], |slots| &slots[..])
    }

    /// Arms the slot that the task of this waker used last, for an instant, or for a limit with the
    /// mark [`LIMIT`].
    #[inline]
    pub(crate) fn rearm(&self, due: u64, waker: &Waker) -> Option<&CachedSlot> {
        let id = waker_id(waker);
        let slot =
            self.candidates(id).into_iter().find(|slot| slot.belongs_to(id) && slot.hold(due))?;
        // Invariant 3.
        if slot.belongs_to(id) {
            slot.count_use();
            return Some(slot);
        }
        slot.disarm();
        None
    }

    /// Arms a slot for this waker, if one of its two slots is free.
    pub(crate) fn arm(&self, due: u64, waker: &Waker) -> Option<&CachedSlot> {
        self.rearm(due, waker).or_else(|| self.arm_with_new_waker(due, waker))
    }

    /// The two slots that a waker may use.
    #[inline]
    fn candidates(&self, (data, _): WakerId) -> [&CachedSlot; 2] {
        let slots = self.0.get_or_init(new_slots);
        // The addresses of tasks differ in their middle bits. The multiplication moves the
        // difference to the high bits.
        let hash = (data as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32;
        let own = hash as usize % SLOTS;
        [&slots[own], &slots[own ^ 1]]
    }

    /// Arms a slot that has another waker, or none.
    #[cold]
    #[inline(never)]
    fn arm_with_new_waker(&self, due: u64, waker: &Waker) -> Option<&CachedSlot> {
        // The waker is cloned before a slot is held: the clone may panic, and then no caller would
        // disarm the slot.
        let own = waker.clone();
        let candidates = self.candidates(waker_id(waker));
        let slot = candidates.into_iter().find(|slot| slot.hold(HELD))?;
        slot.store_waker(own);
        slot.due.store(due, SeqCst);
        Some(slot)
    }

    /// Expires all slots that are due, adds their wakers to `due`, and replaces limits by instants.
    /// Returns the earliest deadline of the other slots.
    pub(crate) fn expire_due(&self, clock: impl Fn() -> u64, due: &mut Vec<Waker>) -> u64 {
        let now = clock();
        let mut earliest = NEVER;
        for slot in self.slots() {
            let mut at = slot.due.load(SeqCst);
            if at <= now {
                due.extend(slot.expire(now));
                at = slot.due.load(SeqCst);
            }
            earliest = earliest.min(match at {
                FREE | HELD => NEVER,
                marked if marked & LIMIT != 0 => slot.start_limit(marked, &clock),
                at => at,
            });
        }
        earliest
    }

    /// How often tasks have found their slots again, up to now. The number wraps around.
    pub(crate) fn uses(&self) -> u64 {
        self.slots().iter().fold(0, |sum, slot| sum.wrapping_add(slot.uses.load(Relaxed)))
    }

    /// The number of armed slots.
    pub(crate) fn armed(&self) -> usize {
        self.slots().iter().filter(|slot| slot.due.load(SeqCst) < HELD).count()
    }
}

#[cfg(test)]
mod tests {
    use super::SlotCache;
    use crate::time::deadline_pool::cached_slot::{LATEST_DUE, LIMIT};
    use crate::time::deadline_pool::slot_pool::NEVER;
    use std::cell::Cell;
    use std::sync::Arc;
    use std::task::{Wake, Waker};

    struct Task;

    impl Wake for Task {
        fn wake(self: Arc<Self>) {}
    }

    fn sweep(cache: &SlotCache, now: u64) -> (u64, Vec<Waker>) {
        let mut due = Vec::new();
        (cache.expire_due(|| now, &mut due), due)
    }

    /// A sweep at the deadline or later expires a slot once, and returns the waker that armed it.
    /// After the slot is armed again, by the same waker or another one, it expires again.
    #[test]
    fn a_slot_that_is_due_expires_for_the_waker_that_armed_it_last() {
        let (cache, tasks) =
            (SlotCache::default(), [Waker::from(Arc::new(Task)), Waker::noop().clone()]);
        assert_eq!((sweep(&cache, LATEST_DUE).0, cache.armed()), (NEVER, 0));
        for (waker, due) in [(&tasks[0], 10), (&tasks[1], 20), (&tasks[0], 30), (&tasks[0], 40)] {
            let slot = cache.arm(due, waker).unwrap();
            assert_eq!((sweep(&cache, due - 1).0, cache.armed()), (due, 1));
            let (next, expired) = sweep(&cache, due);
            assert!(expired.len() == 1 && expired[0].will_wake(waker));
            assert_eq!((next, sweep(&cache, due).1.len(), cache.armed()), (NEVER, 0, 0));
            slot.disarm();
        }
    }

    /// A disarmed slot does not expire, and keeps its waker, so that its task finds it again.
    #[test]
    fn a_task_finds_its_slot_again() {
        let (cache, task) = (SlotCache::default(), Arc::new(Task));
        let waker = Waker::from(task.clone());
        let addresses = [1, 2, 3].map(|due| {
            let slot = cache.arm(due, &waker).unwrap();
            slot.disarm();
            std::ptr::from_ref(slot).addr()
        });
        assert!(addresses.iter().all(|address| *address == addresses[0]));
        assert_eq!(Arc::strong_count(&task), 3, "the slot keeps one waker");
        assert_eq!(sweep(&cache, LATEST_DUE).1.len(), 0);
    }

    /// A task may use two slots. If other callers hold both, the cache arms none for this task.
    #[test]
    fn a_held_slot_is_not_armed_for_another_caller() {
        let (cache, waker) = (SlotCache::default(), Waker::noop());
        let both = [cache.arm(1, waker).unwrap(), cache.arm(2, waker).unwrap()];
        assert!(cache.arm(3, waker).is_none());
        both[0].disarm();
        assert!(cache.arm(3, waker).is_some());
        assert_eq!(cache.armed(), 2);
        // An expired slot is held until its holder disarms it.
        assert_eq!(sweep(&cache, 3).1.len(), 2);
        assert!(cache.arm(4, waker).is_none());
    }

    /// The sweep that finds a slot armed for a limit starts the limit.
    #[test]
    fn a_slot_armed_for_a_limit_expires_when_the_limit_has_passed_since_the_next_sweep() {
        let (cache, task) = (SlotCache::default(), Waker::from(Arc::new(Task)));
        cache.arm(1, &task).unwrap().disarm();
        for start in [1_000, 2_000] {
            let slot = cache.rearm(LIMIT | 500, &task).unwrap();
            for now in [start, start + 499] {
                let (earliest, expired) = sweep(&cache, now);
                assert_eq!((earliest, expired.len(), cache.armed()), (start + 500, 0, 1));
                assert!(!slot.has_expired());
            }
            assert_eq!(sweep(&cache, start + 500).1.len(), 1);
            assert!(slot.has_expired());
            slot.disarm();
            cache.arm(1, &task).unwrap().disarm(); // the slot gets its waker again
        }
        assert_eq!(cache.uses(), 2);
    }

    /// Invariant 4: the caller arms the slot again while a sweep starts the limit of its last call.
    #[test]
    fn a_slot_armed_again_during_a_sweep_does_not_expire_too_early() {
        let (cache, task) = (SlotCache::default(), Waker::from(Arc::new(Task)));
        cache.arm(1, &task).unwrap().disarm();
        let slot = cache.rearm(LIMIT | 500, &task).unwrap();
        let (time, readings) = (Cell::new(1_000), Cell::new(0));
        let clock = || {
            readings.set(readings.get() + 1);
            let now = time.get();
            if readings.get() == 2 {
                slot.disarm();
                time.set(1_400);
                cache.rearm(LIMIT | 500, &task).unwrap();
            }
            now
        };
        assert_eq!(cache.expire_due(clock, &mut Vec::new()), 1_900);
        assert!(sweep(&cache, 1_899).1.is_empty() && !slot.has_expired());
        assert_eq!(sweep(&cache, 1_900).1.len(), 1);
    }

    /// The data of a waker may be null, and may differ in a clone.
    #[test]
    fn a_slot_expires_for_wakers_of_every_kind() {
        let cache = SlotCache::default();
        for _ in 0..3 {
            let slot = cache.arm(1, Waker::noop()).unwrap();
            assert_eq!(sweep(&cache, 1).1.len(), 1, "the data of a noop waker is null");
            slot.disarm();
        }
    }

    /// The future that armed a slot may move to another task. The slot then wakes the waker of that
    /// task.
    #[test]
    fn an_armed_slot_wakes_the_waker_that_was_registered_last() {
        let (cache, other) = (SlotCache::default(), Waker::from(Arc::new(Task)));
        let slot = cache.arm(1, Waker::noop()).unwrap();
        slot.register(&other);
        assert!(sweep(&cache, 1).1[0].will_wake(&other));
    }
}
