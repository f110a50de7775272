//! The slots into which threads write what they poll, for the
//! [watch of polls](crate::observe::poll_watch).
//!
//! **Invariants**
//! 1. Only its own thread writes a slot, and a poll that runs has a slot of its own. So no write is an
//!    exchange.
//! 2. The number of a slot grows with each begin and each end of a poll; it is odd while a poll runs.
//!    A reader that finds the same odd number before and after it has read the pid has read the pid of
//!    that poll.
//! 3. A thread that ends drops its slots. The watch then has the only reference to each of them.

use std::cell::RefCell;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use crate::base::{Pid, PlainMutex, SharedStr};

thread_local! {
    static SLOTS: RefCell<ThreadSlots> =
        const { RefCell::new(ThreadSlots { slots: Vec::new(), depth: 0 }) };
}

/// The slots of a thread. The first `depth` ones are those of the polls that run, the outermost first.
struct ThreadSlots {
    slots: Vec<ThreadSlot>,
    depth: usize,
}

/// A slot, as its thread holds it.
struct ThreadSlot {
    /// The list of the watch that looks at the slot. It keeps the address of the list in use, so that
    /// the address identifies the watch.
    watch: Weak<NewSlots>,
    slot: Arc<Slot>,
}

impl ThreadSlots {
    /// Begins a poll in a free slot of this watch.
    fn enter(&mut self, watch: &Arc<NewSlots>, pid: Pid) {
        let is_own = |own: &ThreadSlot| Weak::as_ptr(&own.watch) == Arc::as_ptr(watch);
        if !self.slots.get(self.depth).is_some_and(is_own) {
            self.find(watch, is_own);
        }
        if let Some(own) = self.slots.get(self.depth) {
            own.slot.begin(pid);
            self.depth += 1;
        }
    }

    /// Moves a free slot of this watch to the place after those in which a poll runs, or makes one.
    #[cold]
    fn find(&mut self, watch: &Arc<NewSlots>, is_own: impl Fn(&ThreadSlot) -> bool) {
        if let Some(own) = self.slots[self.depth..].iter().position(is_own) {
            return self.slots.swap(self.depth, self.depth + own);
        }
        let polls = self.slots.split_off(self.depth);
        self.slots.extend(polls.into_iter().filter(|free| free.watch.strong_count() > 0));
        let slot = Arc::<Slot>::default();
        watch.0.lock().push(slot.clone());
        self.slots.insert(self.depth, ThreadSlot { watch: Arc::downgrade(watch), slot });
    }

    /// Ends the innermost poll.
    fn leave(&mut self) {
        if let Some(depth) = self.depth.checked_sub(1) {
            self.depth = depth;
            self.slots[depth].slot.end();
        }
    }
}

/// Ends the innermost poll of this thread, step 3.
pub(crate) fn leave() {
    // An error means that the thread is ending: its polls are not watched.
    let _ = SLOTS.try_with(|slots| slots.borrow_mut().leave());
}

/// Notes that the process ends in the innermost poll of this thread.
#[cold]
pub(crate) fn note_ending(label: Option<SharedStr>) {
    let Some(label) = label else { return };
    let note = |slots: &RefCell<ThreadSlots>| {
        let slots = slots.borrow();
        let Some(innermost) = slots.depth.checked_sub(1) else { return };
        let slot = &slots.slots[innermost].slot;
        *slot.ending.lock() = Some((slot.number.load(Ordering::Relaxed), label));
    };
    let _ = SLOTS.try_with(note);
}

/// What one thread polls at one level of nesting.
#[derive(Debug, Default)]
pub(super) struct Slot {
    /// Invariant 2.
    number: AtomicU64,
    pid: AtomicU64,
    /// The label of a process that ended, and the number of the poll in which it did. The record of
    /// that process has no label any more when the messages that are left are dropped.
    ending: PlainMutex<Option<(u64, SharedStr)>>,
}

impl Slot {
    fn begin(&self, pid: Pid) {
        let number = self.number.load(Ordering::Relaxed);
        // A reader that finds this pid finds the end of the last poll as well.
        self.pid.store(pid.raw(), Ordering::Release);
        self.number.store(number + 1, Ordering::Release);
    }

    fn end(&self) {
        let number = self.number.load(Ordering::Relaxed);
        self.number.store(number + 1, Ordering::Release);
    }

    /// Returns the number of the poll that runs, and its process.
    pub(super) fn poll(&self) -> Option<(u64, Pid)> {
        let number = self.number.load(Ordering::Acquire);
        let pid = Pid::from_raw(self.pid.load(Ordering::Acquire));
        let is_same = self.number.load(Ordering::Relaxed) == number;
        (is_same && number % 2 == 1).then_some((number, pid))
    }

    /// Returns the label of the process that ends in the poll with this number.
    pub(super) fn ending(&self, number: u64) -> Option<SharedStr> {
        let ending = self.ending.lock();
        ending.as_ref().filter(|(poll, _)| *poll == number).map(|(_, label)| label.clone())
    }
}

/// The slots that the thread of the watch has not taken over yet.
#[derive(Debug, Default)]
pub(crate) struct NewSlots(PlainMutex<Vec<Arc<Slot>>>);

impl NewSlots {
    /// Begins a poll of this process on this thread. [`leave`] ends it.
    #[cold]
    pub(super) fn enter(self: &Arc<Self>, pid: Pid) {
        let _ = SLOTS.try_with(|slots| slots.borrow_mut().enter(self, pid));
    }

    pub(super) fn take(&self) -> Vec<Arc<Slot>> {
        std::mem::take(&mut self.0.lock())
    }

    /// Hands slots back, for the next thread.
    pub(super) fn put(&self, slots: impl IntoIterator<Item = Arc<Slot>>) {
        self.0.lock().extend(slots);
    }
}
