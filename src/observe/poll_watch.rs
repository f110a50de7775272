//! The watch of polls: a thread that reports each process whose poll takes longer than a limit, while
//! the poll runs.
//!
//! # Guarantees
//!
//! A poll of a process that takes longer than the limit, and at most a half of the limit more, is
//! reported once while it runs, and once when it has ended. A poll that is shorter than the limit is
//! never reported. A thread of the operating system looks, because no task runs on a tokio runtime
//! whose threads are all blocked.
//!
//! A poll here is a whole step of the [future of a process](crate::driver): the poll of the body, and
//! if the process ends, the drop of its body and its teardown. The drop of the future by tokio counts
//! as well.
//!
//! # Steps
//!
//! 1. A poll that begins takes a free [`Slot`] of its thread, or makes one, and writes its pid and a
//!    new number there. A poll that is nested in another one takes another slot.
//! 2. The thread of the watch looks at all slots, four times within the limit. It adds the time
//!    between two looks to each poll that both looks have found. When the sum reaches the limit, it
//!    reports the poll.
//! 3. A poll that ends writes a number that says so into its slot, and puts the slot back.
//! 4. The first look that no longer finds a reported poll reports its end.
//!
//! # Invariants
//!
//! 1. A slot is in one place: in the list of free slots of its thread, or in the guard of a poll of
//!    this thread. So only one thread writes it, and no write is an exchange.
//! 2. The number of a slot grows with each begin and each end of a poll; it is odd while a poll runs.
//!    A reader that finds the same odd number before and after it has read the pid has read the pid of
//!    that poll.
//! 3. The time that a poll counts is never more than the time that has passed: it begins at the first
//!    look that finds the poll. The time between two looks counts as twice the planned time at most,
//!    because a program that was stopped as a whole continues with all its polls.
//! 4. At most one thread runs for a watch. Whether it runs is decided under the lock: it ends only if
//!    it finds the watch off or closed there, and hands the slots back in that step.
//! 5. No lock is held while the reporter runs, since a report runs code of the user.
//!
//! # Ends between the steps
//!
//! A thread of the program that ends drops its free slots. The watch removes a slot that no other
//! value holds, after it has reported the end of a poll there. A runtime that ends closes its watch, whose thread then ends; the watch does not keep
//! the runtime alive. If a watch is turned off, open reports have no end. A poll that began before the
//! watch was turned on is not watched.

use std::cell::RefCell;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, PoisonError, Weak};
use std::time::{Duration, Instant};

use crate::base::os_refusal::start_thread;
use crate::base::{Pid, PlainMutex, SharedStr};

/// The shortest time between two looks. A shorter limit than four of these counts as four.
const SHORTEST: Duration = Duration::from_millis(1);

/// The longest time between two looks, after which slots of ended threads are removed.
const LONGEST: Duration = Duration::from_secs(60);

thread_local! {
    /// The slots of this thread in which no poll runs.
    static FREE: RefCell<Vec<ThreadSlot>> = const { RefCell::new(Vec::new()) };
}

/// A slot, as its thread holds it.
struct ThreadSlot {
    /// The watch that looks at the slot. It keeps the address of the watch in use, so that the
    /// address identifies the watch.
    watch: Weak<PollWatch>,
    slot: Arc<Slot>,
}

/// What one thread polls at one level of nesting.
#[derive(Debug, Default)]
struct Slot {
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
    fn poll(&self) -> Option<(u64, Pid)> {
        let number = self.number.load(Ordering::Acquire);
        let pid = Pid::from_raw(self.pid.load(Ordering::Acquire));
        let is_same = self.number.load(Ordering::Relaxed) == number;
        (is_same && number % 2 == 1).then_some((number, pid))
    }
}

/// Marks that a poll runs, until it is dropped.
#[derive(Debug)]
pub(crate) struct PollGuard(Option<ThreadSlot>);

impl PollGuard {
    /// Notes that the process ends in this poll.
    #[cold]
    pub(crate) fn note_ending(&self, label: Option<SharedStr>) {
        if let (Some(ThreadSlot { slot, .. }), Some(label)) = (&self.0, label) {
            *slot.ending.lock() = Some((slot.number.load(Ordering::Relaxed), label));
        }
    }
}

impl Drop for PollGuard {
    fn drop(&mut self) {
        let Some(taken) = self.0.take() else { return };
        taken.slot.end();
        // An error means that the thread is ending.
        let _ = FREE.try_with(|free| free.borrow_mut().push(taken));
    }
}

impl std::fmt::Debug for ThreadSlot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.slot.fmt(f)
    }
}

/// A process whose poll takes long.
#[derive(Debug, Clone)]
pub(crate) struct LongPoll {
    pub(crate) pid: Pid,
    pub(crate) label: Option<SharedStr>,
    pub(crate) path: Option<SharedStr>,
    /// The time that the poll has taken, at least.
    pub(crate) elapsed: Duration,
}

/// The receiver of the reports.
pub(crate) trait PollReporter: Send {
    /// Returns the label of a process and its path, if it is in a tree.
    fn describe(&self, pid: Pid) -> (Option<SharedStr>, Option<SharedStr>);

    /// A poll takes longer than the limit.
    fn begins(&self, poll: &LongPoll);

    /// A poll that was reported has ended.
    fn ends(&self, poll: &LongPoll);
}

/// The watch of one runtime.
#[derive(Debug, Default)]
pub(crate) struct PollWatch {
    state: PlainMutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// `None` while the watch is off.
    limit: Option<Duration>,
    /// Whether the runtime is gone.
    closed: bool,
    /// Invariant 4.
    is_running: bool,
    /// The slots that the thread has not taken over yet.
    new_slots: Vec<Arc<Slot>>,
}

impl PollWatch {
    /// Begins a poll of this process on this thread, step 1.
    pub(crate) fn enter(self: &Arc<Self>, pid: Pid) -> PollGuard {
        let taken = FREE.try_with(|free| {
            let mut free = free.borrow_mut();
            let own = free.iter().position(|slot| Weak::as_ptr(&slot.watch) == Arc::as_ptr(self));
            own.map(|own| free.swap_remove(own))
        });
        // An error means that the thread is ending: the poll is not watched.
        let Ok(taken) = taken else { return PollGuard(None) };
        let taken = taken.unwrap_or_else(|| self.new_slot());
        taken.slot.begin(pid);
        PollGuard(Some(taken))
    }

    #[cold]
    fn new_slot(self: &Arc<Self>) -> ThreadSlot {
        FREE.with_borrow_mut(|free| free.retain(|slot| slot.watch.strong_count() > 0));
        let slot = Arc::<Slot>::default();
        self.state.lock().new_slots.push(slot.clone());
        ThreadSlot { watch: Arc::downgrade(self), slot }
    }

    /// Sets the limit, and starts the thread unless it runs.
    pub(crate) fn turn_on<R>(self: &Arc<Self>, limit: Duration, reporter: R) -> io::Result<()>
    where
        R: PollReporter + 'static,
    {
        let mut state = self.state.lock();
        if !state.is_running {
            let watch = self.clone();
            // The new thread waits for the lock.
            start_thread("regrow-polls".into(), "the watch of polls", move || {
                watch.run(&reporter)
            })?;
            state.is_running = true;
        }
        state.limit = Some(limit.max(4 * SHORTEST));
        self.changed.notify_one();
        Ok(())
    }

    pub(crate) fn turn_off(&self) {
        self.state.lock().limit = None;
        self.changed.notify_one();
    }

    /// Ends the thread for good.
    pub(crate) fn close(&self) {
        self.state.lock().closed = true;
        self.changed.notify_one();
    }

    /// Looks at the slots until the watch is off.
    fn run(&self, reporter: &dyn PollReporter) {
        let mut watched = Vec::new();
        let mut last = Instant::now();
        while let Some(limit) = self.wait(&mut watched) {
            let now = Instant::now();
            let passed = now.duration_since(last).min(2 * step(limit));
            last = now;
            for watched in &mut watched {
                watched.look(limit, passed, reporter);
            }
        }
    }

    /// Waits until the next look is due. Returns the limit, or `None` when the thread has to end
    /// (invariant 4).
    fn wait(&self, watched: &mut Vec<Watched>) -> Option<Duration> {
        let mut state = self.state.lock();
        if let (Some(limit), false) = (state.limit, state.closed) {
            let waited = self.changed.wait_timeout(state, step(limit));
            (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        }
        watched.extend(state.new_slots.drain(..).map(Watched::new));
        let Some(limit) = state.limit.filter(|_| !state.closed) else {
            state.new_slots.extend(watched.drain(..).map(|watched| watched.slot));
            state.is_running = false;
            return None;
        };
        drop(state);
        // The end of a reported poll is reported even if its thread has ended.
        watched.retain(|watched| Arc::strong_count(&watched.slot) > 1 || watched.poll.is_some());
        Some(limit)
    }
}

/// The time between two looks.
fn step(limit: Duration) -> Duration {
    (limit / 4).clamp(SHORTEST, LONGEST)
}

/// A slot, as the thread of the watch holds it.
struct Watched {
    slot: Arc<Slot>,
    /// The poll that the last look has found, by its number.
    poll: Option<(u64, LongPoll)>,
    is_reported: bool,
}

impl Watched {
    fn new(slot: Arc<Slot>) -> Self {
        Watched { slot, poll: None, is_reported: false }
    }

    /// Looks at the slot, `passed` after the last look.
    fn look(&mut self, limit: Duration, passed: Duration, reporter: &dyn PollReporter) {
        let found = self.slot.poll();
        let number = found.map(|(number, _)| number);
        if let Some((seen, poll)) = &mut self.poll
            && number == Some(*seen)
        {
            poll.elapsed += passed;
            if poll.elapsed >= limit && !self.is_reported {
                self.is_reported = true;
                reporter.begins(poll);
            }
            return;
        }
        if let Some((_, poll)) = self.poll.take()
            && std::mem::take(&mut self.is_reported)
        {
            reporter.ends(&poll);
        }
        self.poll = found.map(|(number, pid)| {
            let (label, path) = reporter.describe(pid);
            let label = label.or_else(|| {
                let ending = self.slot.ending.lock();
                ending.as_ref().filter(|(poll, _)| *poll == number).map(|(_, label)| label.clone())
            });
            (number, LongPoll { pid, label, path, elapsed: Duration::ZERO })
        });
    }
}

#[cfg(test)]
mod tests {
    use super::{LongPoll, PollReporter, PollWatch};
    use std::sync::Arc;
    use std::sync::mpsc::{self, Receiver, Sender};
    use std::thread;
    use std::time::Duration;

    use crate::base::{Pid, SharedStr};

    /// Sends each pid that begins, and is dropped with the thread.
    struct Pids(Sender<Pid>);

    impl PollReporter for Pids {
        fn describe(&self, _: Pid) -> (Option<SharedStr>, Option<SharedStr>) {
            (None, None)
        }

        fn begins(&self, poll: &LongPoll) {
            self.0.send(poll.pid).expect("the test waits");
        }

        fn ends(&self, _: &LongPoll) {}
    }

    fn turned_on() -> (Arc<PollWatch>, Receiver<Pid>) {
        let (watch, (sender, pids)) = (Arc::<PollWatch>::default(), mpsc::channel());
        watch.turn_on(Duration::ZERO, Pids(sender)).expect("a thread can be started");
        (watch, pids)
    }

    #[test]
    fn the_thread_ends_when_the_watch_is_turned_off_or_closed() {
        for end in [PollWatch::turn_off, PollWatch::close] {
            let (watch, pids) = turned_on();
            let poll = watch.enter(Pid::from_raw(1));
            assert_eq!(pids.recv(), Ok(Pid::from_raw(1)));
            end(&watch);
            assert!(pids.recv().is_err(), "the reporter is dropped with its thread");
            drop(poll);
        }
    }

    #[test]
    fn a_slot_of_before_is_watched_by_the_next_thread() {
        let (watch, pids) = turned_on();
        let poll = watch.enter(Pid::from_raw(1));
        assert_eq!(pids.recv(), Ok(Pid::from_raw(1)));
        watch.turn_off();
        assert!(pids.recv().is_err());
        let (sender, pids) = mpsc::channel();
        watch.turn_on(Duration::ZERO, Pids(sender)).expect("a thread can be started");
        assert_eq!(pids.recv(), Ok(Pid::from_raw(1)), "its poll still runs");
        drop(poll);
        let _poll = watch.enter(Pid::from_raw(2)); // in the same slot
        assert_eq!(pids.recv(), Ok(Pid::from_raw(2)));
    }

    #[test]
    fn slots_of_threads_that_have_ended_are_removed() {
        let (watch, pids) = turned_on();
        for pid in 1..4 {
            let polls = watch.clone();
            let end = mpsc::channel::<()>();
            let thread = thread::spawn(move || {
                let _poll = polls.enter(Pid::from_raw(pid));
                let _ = end.1.recv();
            });
            assert_eq!(pids.recv(), Ok(Pid::from_raw(pid)));
            drop(end.0);
            thread.join().expect("it does not panic");
        }
        let _poll = watch.enter(Pid::from_raw(4));
        assert_eq!(pids.recv(), Ok(Pid::from_raw(4)));
        watch.turn_off();
        assert!(pids.recv().is_err());
        assert_eq!(
            watch.state.lock().new_slots.len(),
            1,
            "the slots that the thread has handed back"
        );
    }
}
