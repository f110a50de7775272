//! A stand of bells, where a task finds the one again that it used last.
//!
//! Where a bell stands follows from the waker, and it keeps that waker when it is taken back.
//! So a task that makes one call after the other arms its bell by one exchange, and takes it
//! back by a store. Where others are in its place, there are the [shelves](crate::time::deadline_pool::slot_pool).
//!
//! What happens between any two steps:
//!
//! 1. A bell is *held* by whoever has exchanged `FREE` for something else, until it stores
//!    `FREE` again. Only the holder gives it a waker, and another `due`, but for:
//! 2. The look, which rings: under the waker's lock it disowns the bell, exchanges `due` for
//!    `RUNG`, and takes the waker out. If the holder has taken the bell back, or armed it anew,
//!    that fails, and the bell is owned as before.
//! 3. Who has armed a bell looks whether it owns it only then. If a look has disowned it, that
//!    is seen, for both are of one order with the exchanges of `due`: it takes the bell back, and
//!    arms one for its waker anew.

use std::sync::OnceLock;
use std::task::Waker;

use crate::base::catch::quietly;
use crate::base::sync::Mutex;
use crate::base::sync::atomic::{AtomicU64, AtomicUsize, Ordering::SeqCst};
use crate::time::deadline_pool::slot_pool::NEVER;

/// The last instant that a bell can be armed for.
pub(crate) const LAST: u64 = NEVER - 2;

/// Nobody holds it.
const FREE: u64 = NEVER;
/// It is held, but not armed: it has rung, or is about to be armed.
const RUNG: u64 = NEVER - 1;

/// Few of them, where all ways that they may be used are gone through.
const BELLS: usize = if cfg!(any(regrow_loom, regrow_shuttle)) { 2 } else { 512 };

/// Who was the last to use it: what tells a waker from others, as long as it is kept.
type Mark = (usize, usize);

fn mark(waker: &Waker) -> Mark {
    (waker.data().addr(), table(waker))
}

/// What tells one kind of waker from others.
pub(crate) fn table(waker: &Waker) -> usize {
    std::ptr::from_ref(waker.vtable()).addr()
}

/// One bell, on cache lines of its own.
#[repr(align(64))]
#[derive(Debug)]
pub(crate) struct Bell {
    due: AtomicU64,
    /// A [`Mark`]. Its table is 0, which none is at, while the waker is not there.
    data: AtomicUsize,
    vtable: AtomicUsize,
    waker: Mutex<Option<Waker>>,
}

impl Bell {
    fn new() -> Self {
        Bell {
            due: AtomicU64::new(FREE),
            data: AtomicUsize::new(0),
            vtable: AtomicUsize::new(0),
            waker: Mutex::new(None),
        }
    }

    fn is_of(&self, (data, vtable): Mark) -> bool {
        self.data.load(SeqCst) == data && self.vtable.load(SeqCst) == vtable
    }

    fn take(&self, due: u64) -> bool {
        self.due.compare_exchange(FREE, due, SeqCst, SeqCst).is_ok()
    }

    /// Whom it wakes, if it is due still.
    fn ring(&self, now: u64) -> Option<Waker> {
        let mut kept = self.waker.lock();
        let due = self.due.load(SeqCst);
        if due > now {
            return None;
        }
        let vtable = self.vtable.swap(0, SeqCst);
        if self.due.compare_exchange(due, RUNG, SeqCst, SeqCst).is_ok() {
            return kept.take();
        }
        self.vtable.store(vtable, SeqCst);
        None
    }

    /// Whether a look that comes now or later wakes this waker, or one has. Of the holder.
    #[cfg(regrow_shuttle)]
    pub(crate) fn is_heard(&self, waker: &Waker) -> bool {
        let kept = self.waker.lock();
        let is_kept = kept.as_ref().is_some_and(|kept| kept.will_wake(waker));
        is_kept || self.due.load(SeqCst) == RUNG
    }

    /// Another waker is woken by it from here on. Of the holder.
    pub(crate) fn register(&self, waker: &Waker) {
        if !self.is_of(mark(waker)) {
            self.keep(waker.clone());
        }
    }

    fn keep(&self, waker: Waker) {
        // Only while it is kept does it differ from all others; a clone may look otherwise.
        let (data, vtable) = mark(&waker);
        let mut kept = self.waker.lock();
        self.data.store(data, SeqCst);
        self.vtable.store(vtable, SeqCst);
        let old = kept.replace(waker);
        drop(kept);
        // Somebody else's.
        quietly(|| drop(old));
    }

    /// Takes it back, rung or not. Of the holder.
    #[inline]
    pub(crate) fn disarm(&self) {
        self.due.store(FREE, std::sync::atomic::Ordering::Release);
    }
}

/// The bells. They are made when the first is needed.
#[derive(Debug, Default)]
pub(crate) struct Stand(OnceLock<Box<[Bell]>>);

impl Stand {
    fn bells(&self) -> &[Bell] {
        self.0.get().map_or(&[], |bells| bells)
    }

    /// Arms the bell that this waker's task used last.
    #[inline]
    pub(crate) fn rearm(&self, due: u64, waker: &Waker) -> Option<&Bell> {
        let mark = mark(waker);
        let bell = self.places(mark).into_iter().find(|bell| bell.is_of(mark) && bell.take(due))?;
        if bell.is_of(mark) {
            return Some(bell);
        }
        bell.disarm();
        None
    }

    /// Arms a bell for this waker, if one is free where it may stand.
    pub(crate) fn arm(&self, due: u64, waker: &Waker) -> Option<&Bell> {
        let again = self.rearm(due, waker);
        again.or_else(|| Stand::arm_anew(self.places(mark(waker)), due, waker))
    }

    #[inline]
    fn places(&self, (data, _): Mark) -> [&Bell; 2] {
        let bells = self.0.get_or_init(|| (0..BELLS).map(|_| Bell::new()).collect());
        // The addresses of tasks differ in the middle: this brings that to the top.
        let place = (data as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32;
        let own = place as usize % BELLS;
        [&bells[own], &bells[own ^ 1]]
    }

    /// Arms one with another waker than it has.
    #[cold]
    #[inline(never)]
    fn arm_anew<'a>(places: [&'a Bell; 2], due: u64, waker: &Waker) -> Option<&'a Bell> {
        // It may panic, and nobody would take the bell back.
        let waker = waker.clone();
        let bell = places.into_iter().find(|bell| bell.take(RUNG))?;
        bell.keep(waker);
        bell.due.store(due, SeqCst);
        Some(bell)
    }

    /// Rings all bells that are due: hands out whom they wake. The next deadline of the others.
    pub(crate) fn take_due(&self, now: u64, due: &mut Vec<Waker>) -> u64 {
        let armed = |bell: &&Bell| bell.due.load(SeqCst) <= now;
        for bell in self.bells().iter().filter(armed) {
            due.extend(bell.ring(now));
        }
        let dues = self.bells().iter().map(|bell| bell.due.load(SeqCst));
        dues.filter(|due| *due <= LAST).min().unwrap_or(NEVER)
    }

    /// How many are armed.
    pub(crate) fn armed(&self) -> usize {
        self.bells().iter().filter(|bell| bell.due.load(SeqCst) <= LAST).count()
    }
}

#[cfg(test)]
mod tests {
    use super::{LAST, Stand};
    use crate::time::deadline_pool::slot_pool::NEVER;
    use std::sync::Arc;
    use std::task::{Wake, Waker};

    struct Task;

    impl Wake for Task {
        fn wake(self: Arc<Self>) {}
    }

    fn look(stand: &Stand, now: u64) -> (u64, Vec<Waker>) {
        let mut due = Vec::new();
        (stand.take_due(now, &mut due), due)
    }

    /// It is rung once, by a look at its time or later, for whom it was armed; armed again, for
    /// the same one or another, it is again.
    #[test]
    fn a_bell_rings_when_it_is_due_for_who_armed_it_last() {
        let (stand, tasks) =
            (Stand::default(), [Waker::from(Arc::new(Task)), Waker::noop().clone()]);
        assert_eq!((look(&stand, LAST).0, stand.armed()), (NEVER, 0));
        for (waker, due) in [(&tasks[0], 10), (&tasks[1], 20), (&tasks[0], 30), (&tasks[0], 40)] {
            let bell = stand.arm(due, waker).unwrap();
            assert_eq!((look(&stand, due - 1).0, stand.armed()), (due, 1));
            let (next, rung) = look(&stand, due);
            assert!(rung.len() == 1 && rung[0].will_wake(waker));
            assert_eq!((next, look(&stand, due).1.len(), stand.armed()), (NEVER, 0, 0));
            bell.disarm();
        }
    }

    /// One that is taken back is silent, and stays where its task finds it: with its waker.
    #[test]
    fn a_bell_is_found_again() {
        let (stand, task) = (Stand::default(), Arc::new(Task));
        let waker = Waker::from(task.clone());
        let places = [1, 2, 3].map(|due| {
            let bell = stand.arm(due, &waker).unwrap();
            bell.disarm();
            std::ptr::from_ref(bell).addr()
        });
        assert!(places.iter().all(|place| *place == places[0]));
        assert_eq!(Arc::strong_count(&task), 3, "one waker is kept");
        assert_eq!(look(&stand, LAST).1.len(), 0);
    }

    /// A task has two places, where others may be; then it is to look elsewhere.
    #[test]
    fn a_place_that_is_taken_is_not_given_away() {
        let (stand, waker) = (Stand::default(), Waker::noop());
        let both = [stand.arm(1, waker).unwrap(), stand.arm(2, waker).unwrap()];
        assert!(stand.arm(3, waker).is_none());
        both[0].disarm();
        assert!(stand.arm(3, waker).is_some());
        assert_eq!(stand.armed(), 2);
        // One that has rung is its holder's until it is taken back.
        assert_eq!(look(&stand, 3).1.len(), 2);
        assert!(stand.arm(4, waker).is_none());
    }

    /// Of whatever kind its waker is: its data may be null, or another's after a clone.
    #[test]
    fn a_bell_rings_for_wakers_of_all_kinds() {
        let stand = Stand::default();
        for _ in 0..3 {
            let bell = stand.arm(1, Waker::noop()).unwrap();
            assert_eq!(look(&stand, 1).1.len(), 1, "noop's data are null");
            bell.disarm();
        }
    }

    /// Who waits may be polled by another task than the one that armed the bell.
    #[test]
    fn another_can_be_woken_by_an_armed_bell() {
        let (stand, other) = (Stand::default(), Waker::from(Arc::new(Task)));
        let bell = stand.arm(1, Waker::noop()).unwrap();
        bell.register(&other);
        assert!(look(&stand, 1).1[0].will_wake(&other));
    }
}
