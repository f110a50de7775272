//! A stand of bells, where a task finds the one again that it used last.
//!
//! Where a bell stands follows from the waker, and it keeps that waker when it is taken back.
//! So a task that makes one call after the other arms its bell by one exchange, and takes it
//! back by a store. Where others are in its hash, there are the [shelves](crate::time::deadline_pool::slot_pool).
//!
//! What happens between any two steps:
//!
//! 1. A bell is *held* by whoever has exchanged `FREE` for something else, until it stores
//!    `FREE` again. Only the holder gives it a waker, and another `due`, but for:
//! 2. The look, which rings: under the waker's lock it disowns the bell, exchanges `due` for
//!    `HELD`, and takes the waker out. If the holder has taken the bell back, or armed it anew,
//!    that fails, and the bell is owned as before.
//! 3. Who has armed a bell looks whether it owns it only then. If a look has disowned it, that
//!    is seen, for both are of one order with the exchanges of `due`: it takes the bell back, and
//!    arms one for its waker anew.

use std::sync::OnceLock;
use std::task::Waker;

use crate::base::catch::ignore_panic;
use crate::base::sync::Mutex;
use crate::base::sync::atomic::{AtomicU64, AtomicUsize, Ordering::SeqCst};
use crate::time::deadline_pool::slot_pool::NEVER;

/// The last instant that a bell can be armed for.
pub(crate) const LATEST_DUE: u64 = NEVER - 2;

/// Nobody holds it.
const FREE: u64 = NEVER;
/// It is held, but not armed: it has rung, or is about to be armed.
const HELD: u64 = NEVER - 1;

/// Few of them, where all ways that they may be used are gone through.
const SLOTS: usize = if cfg!(any(regrow_loom, regrow_shuttle)) { 2 } else { 512 };

/// Who was the last to use it: what tells a waker from others, as long as it is kept.
type WakerId = (usize, usize);

fn waker_id(waker: &Waker) -> WakerId {
    (waker.data().addr(), vtable_addr(waker))
}

/// What tells one kind of waker from others.
pub(crate) fn vtable_addr(waker: &Waker) -> usize {
    std::ptr::from_ref(waker.vtable()).addr()
}

/// One bell, on cache lines of its own.
#[repr(align(64))]
#[derive(Debug)]
pub(crate) struct CachedSlot {
    due: AtomicU64,
    /// A [`WakerId`]. Its table is 0, which none is at, while the waker is not there.
    data: AtomicUsize,
    vtable: AtomicUsize,
    waker: Mutex<Option<Waker>>,
}

impl CachedSlot {
    fn new() -> Self {
        CachedSlot {
            due: AtomicU64::new(FREE),
            data: AtomicUsize::new(0),
            vtable: AtomicUsize::new(0),
            waker: Mutex::new(None),
        }
    }

    fn belongs_to(&self, (data, vtable): WakerId) -> bool {
        self.data.load(SeqCst) == data && self.vtable.load(SeqCst) == vtable
    }

    fn hold(&self, due: u64) -> bool {
        self.due.compare_exchange(FREE, due, SeqCst, SeqCst).is_ok()
    }

    /// Whom it wakes, if it is due still.
    fn expire(&self, now: u64) -> Option<Waker> {
        let mut kept = self.waker.lock();
        let due = self.due.load(SeqCst);
        if due > now {
            return None;
        }
        let vtable = self.vtable.swap(0, SeqCst);
        if self.due.compare_exchange(due, HELD, SeqCst, SeqCst).is_ok() {
            return kept.take();
        }
        self.vtable.store(vtable, SeqCst);
        None
    }

    /// Whether a look that comes now or later wakes this waker, or one has. Of the holder.
    #[cfg(regrow_shuttle)]
    pub(crate) fn will_wake(&self, waker: &Waker) -> bool {
        let kept = self.waker.lock();
        let is_kept = kept.as_ref().is_some_and(|kept| kept.will_wake(waker));
        is_kept || self.due.load(SeqCst) == HELD
    }

    /// Another waker is woken by it from here on. Of the holder.
    pub(crate) fn register(&self, waker: &Waker) {
        if !self.belongs_to(waker_id(waker)) {
            self.store_waker(waker.clone());
        }
    }

    fn store_waker(&self, waker: Waker) {
        // Only while it is kept does it differ from all others; a clone may look otherwise.
        let (data, vtable) = waker_id(&waker);
        let mut kept = self.waker.lock();
        self.data.store(data, SeqCst);
        self.vtable.store(vtable, SeqCst);
        let old = kept.replace(waker);
        drop(kept);
        // Somebody else's.
        ignore_panic(|| drop(old));
    }

    /// Takes it back, rung or not. Of the holder.
    #[inline]
    pub(crate) fn disarm(&self) {
        self.due.store(FREE, std::sync::atomic::Ordering::Release);
    }
}

/// The bells. They are made when the first is needed.
#[derive(Debug, Default)]
pub(crate) struct SlotCache(OnceLock<Box<[CachedSlot]>>);

impl SlotCache {
    fn slots(&self) -> &[CachedSlot] {
        self.0.get().map_or(&[], |slots| slots)
    }

    /// Arms the bell that this waker's task used last.
    #[inline]
    pub(crate) fn rearm(&self, due: u64, waker: &Waker) -> Option<&CachedSlot> {
        let id = waker_id(waker);
        let slot =
            self.candidates(id).into_iter().find(|slot| slot.belongs_to(id) && slot.hold(due))?;
        if slot.belongs_to(id) {
            return Some(slot);
        }
        slot.disarm();
        None
    }

    /// Arms a bell for this waker, if one is free where it may stand.
    pub(crate) fn arm(&self, due: u64, waker: &Waker) -> Option<&CachedSlot> {
        let again = self.rearm(due, waker);
        again
            .or_else(|| SlotCache::arm_with_new_waker(self.candidates(waker_id(waker)), due, waker))
    }

    #[inline]
    fn candidates(&self, (data, _): WakerId) -> [&CachedSlot; 2] {
        let slots = self.0.get_or_init(|| (0..SLOTS).map(|_| CachedSlot::new()).collect());
        // The addresses of tasks differ in the middle: this brings that to the top.
        let hash = (data as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32;
        let own = hash as usize % SLOTS;
        [&slots[own], &slots[own ^ 1]]
    }

    /// Arms one with another waker than it has.
    #[cold]
    #[inline(never)]
    fn arm_with_new_waker<'a>(
        candidates: [&'a CachedSlot; 2],
        due: u64,
        waker: &Waker,
    ) -> Option<&'a CachedSlot> {
        // It may panic, and nobody would take the bell back.
        let waker = waker.clone();
        let slot = candidates.into_iter().find(|slot| slot.hold(HELD))?;
        slot.store_waker(waker);
        slot.due.store(due, SeqCst);
        Some(slot)
    }

    /// Rings all bells that are due: hands out whom they wake. The next deadline of the others.
    pub(crate) fn expire_due(&self, now: u64, due: &mut Vec<Waker>) -> u64 {
        let armed = |slot: &&CachedSlot| slot.due.load(SeqCst) <= now;
        for slot in self.slots().iter().filter(armed) {
            due.extend(slot.expire(now));
        }
        let dues = self.slots().iter().map(|slot| slot.due.load(SeqCst));
        dues.filter(|due| *due <= LATEST_DUE).min().unwrap_or(NEVER)
    }

    /// How many are armed.
    pub(crate) fn armed(&self) -> usize {
        self.slots().iter().filter(|slot| slot.due.load(SeqCst) <= LATEST_DUE).count()
    }
}

#[cfg(test)]
mod tests {
    use super::{LATEST_DUE, SlotCache};
    use crate::time::deadline_pool::slot_pool::NEVER;
    use std::sync::Arc;
    use std::task::{Wake, Waker};

    struct Task;

    impl Wake for Task {
        fn wake(self: Arc<Self>) {}
    }

    fn look(cache: &SlotCache, now: u64) -> (u64, Vec<Waker>) {
        let mut due = Vec::new();
        (cache.expire_due(now, &mut due), due)
    }

    /// It is rung once, by a look at its time or later, for whom it was armed; armed again, for
    /// the same one or another, it is again.
    #[test]
    fn a_bell_rings_when_it_is_due_for_who_armed_it_last() {
        let (cache, tasks) =
            (SlotCache::default(), [Waker::from(Arc::new(Task)), Waker::noop().clone()]);
        assert_eq!((look(&cache, LATEST_DUE).0, cache.armed()), (NEVER, 0));
        for (waker, due) in [(&tasks[0], 10), (&tasks[1], 20), (&tasks[0], 30), (&tasks[0], 40)] {
            let slot = cache.arm(due, waker).unwrap();
            assert_eq!((look(&cache, due - 1).0, cache.armed()), (due, 1));
            let (next, rung) = look(&cache, due);
            assert!(rung.len() == 1 && rung[0].will_wake(waker));
            assert_eq!((next, look(&cache, due).1.len(), cache.armed()), (NEVER, 0, 0));
            slot.disarm();
        }
    }

    /// One that is taken back is silent, and stays where its task finds it: with its waker.
    #[test]
    fn a_bell_is_found_again() {
        let (cache, task) = (SlotCache::default(), Arc::new(Task));
        let waker = Waker::from(task.clone());
        let candidates = [1, 2, 3].map(|due| {
            let slot = cache.arm(due, &waker).unwrap();
            slot.disarm();
            std::ptr::from_ref(slot).addr()
        });
        assert!(candidates.iter().all(|hash| *hash == candidates[0]));
        assert_eq!(Arc::strong_count(&task), 3, "one waker is kept");
        assert_eq!(look(&cache, LATEST_DUE).1.len(), 0);
    }

    /// A task has two candidates, where others may be; then it is to look elsewhere.
    #[test]
    fn a_place_that_is_taken_is_not_given_away() {
        let (cache, waker) = (SlotCache::default(), Waker::noop());
        let both = [cache.arm(1, waker).unwrap(), cache.arm(2, waker).unwrap()];
        assert!(cache.arm(3, waker).is_none());
        both[0].disarm();
        assert!(cache.arm(3, waker).is_some());
        assert_eq!(cache.armed(), 2);
        // One that has rung is its holder's until it is taken back.
        assert_eq!(look(&cache, 3).1.len(), 2);
        assert!(cache.arm(4, waker).is_none());
    }

    /// Of whatever kind its waker is: its data may be null, or another's after a clone.
    #[test]
    fn a_bell_rings_for_wakers_of_all_kinds() {
        let cache = SlotCache::default();
        for _ in 0..3 {
            let slot = cache.arm(1, Waker::noop()).unwrap();
            assert_eq!(look(&cache, 1).1.len(), 1, "noop's data are null");
            slot.disarm();
        }
    }

    /// Who waits may be polled by another task than the one that armed the bell.
    #[test]
    fn another_can_be_woken_by_an_armed_bell() {
        let (cache, other) = (SlotCache::default(), Waker::from(Arc::new(Task)));
        let slot = cache.arm(1, Waker::noop()).unwrap();
        slot.register(&other);
        assert!(look(&cache, 1).1[0].will_wake(&other));
    }
}
