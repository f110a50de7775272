//! The watch of polls: a thread that reports each process whose poll takes longer than a limit, while
//! the poll runs.
//!
//! # Guarantees
//!
//! A poll of a process that takes longer than one and a half of the limit is reported once while it
//! runs, and once when it has ended, if the thread of the watch runs when it is to look. A poll that
//! is shorter than the limit is never reported. A thread of the operating system looks, because no task runs on a tokio runtime
//! whose threads are all blocked.
//!
//! A poll here is a whole step of the [future of a process](crate::driver): the poll of the body, and
//! if the process ends, the drop of its body and its teardown. The drop of the future by tokio counts
//! as well.
//!
//! # Steps
//!
//! 1. A poll that begins takes a free [slot](crate::observe::poll_slots) of its thread, or makes one,
//!    and writes its pid and a new number there. A poll that is nested in another one takes another
//!    slot.
//! 2. The thread of the watch looks at all slots, four times within the limit. It adds the time
//!    between two looks to each poll that both looks have found. When the sum reaches the limit, it
//!    reports the poll.
//! 3. A poll that ends writes a number that says so into its slot. No panic leaves a poll of a
//!    process, so each poll that begins ends.
//! 4. The first look that no longer finds a reported poll reports its end.
//!
//! # Invariants
//!
//! 1. The time that a poll counts is never more than the poll has taken. It begins after the first
//!    look at its slot that finds the poll, and ends before the last one: the clock is read for each
//!    slot. The time between two looks counts as twice the planned time at most,
//!    because a program that was stopped as a whole continues with all its polls.
//! 2. At most one thread runs for a watch. Whether it runs is decided under the lock: it ends only if
//!    it finds the watch off or closed there, and hands the slots back in that step.
//! 3. No lock is held while the reporter runs, since a report runs code of the user.
//!
//! # Ends between the steps
//!
//! A thread of the program that ends drops its slots. The watch removes a slot that no other value
//! holds, after it has reported the end of a poll there. A runtime that ends closes its watch, whose
//! thread then ends; the watch does not keep the runtime alive. If a watch is turned off, open reports
//! have no end. A poll that began before the watch was turned on is not watched.

#[cfg(test)]
mod tests;

use std::io;
use std::sync::{Arc, Condvar, PoisonError};
use std::time::{Duration, Instant};

use crate::base::os_refusal::start_thread;
use crate::base::{Pid, PlainMutex, SharedStr};
use crate::observe::poll_slots::{NewSlots, Slot};

/// The shortest time between two looks. A shorter limit than four of these counts as four.
const SHORTEST: Duration = Duration::from_millis(1);

/// The longest time between two looks, after which slots of ended threads are removed.
const LONGEST: Duration = Duration::from_secs(60);

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
    new_slots: Arc<NewSlots>,
    state: PlainMutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// `None` while the watch is off.
    limit: Option<Duration>,
    /// Whether the runtime is gone.
    closed: bool,
    /// Invariant 2.
    is_running: bool,
}

impl PollWatch {
    /// Begins a poll of this process on this thread, step 1. [`leave`](super::poll_slots::leave) ends
    /// it.
    pub(crate) fn enter(&self, pid: Pid) {
        self.new_slots.enter(pid);
    }

    /// Sets the limit, and starts the thread unless it runs. `switch` makes processes report their
    /// polls; it is called under the lock, so of several calls the last one decides on both.
    pub(crate) fn turn_on<R>(
        self: &Arc<Self>,
        limit: Duration,
        reporter: R,
        switch: impl FnOnce(),
    ) -> io::Result<()>
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
        switch();
        self.changed.notify_one();
        Ok(())
    }

    /// Ends the thread until the next [`turn_on`](Self::turn_on).
    pub(crate) fn turn_off(&self, switch: impl FnOnce()) {
        let mut state = self.state.lock();
        state.limit = None;
        switch();
        drop(state);
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
        while let Some(limit) = self.wait(&mut watched) {
            for watched in &mut watched {
                watched.look(limit, reporter);
            }
        }
    }

    /// Waits until the next look is due. Returns the limit, or `None` when the thread has to end
    /// (invariant 2).
    fn wait(&self, watched: &mut Vec<Watched>) -> Option<Duration> {
        let mut state = self.state.lock();
        if let (Some(limit), false) = (state.limit, state.closed) {
            let waited = self.changed.wait_timeout(state, step(limit));
            (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        }
        watched.extend(self.new_slots.take().into_iter().map(Watched::new));
        let Some(limit) = state.limit.filter(|_| !state.closed) else {
            self.new_slots.put(watched.drain(..).map(|watched| watched.slot));
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
    /// A time at which this poll ran.
    looked_at: Instant,
    is_reported: bool,
}

impl Watched {
    fn new(slot: Arc<Slot>) -> Self {
        Watched { slot, poll: None, looked_at: Instant::now(), is_reported: false }
    }

    /// Looks at the slot. Invariant 1.
    fn look(&mut self, limit: Duration, reporter: &dyn PollReporter) {
        let before = Instant::now();
        let found = self.slot.poll();
        let after = Instant::now();
        let number = found.map(|(number, _)| number);
        if let Some((seen, poll)) = &mut self.poll
            && number == Some(*seen)
        {
            poll.elapsed += before.duration_since(self.looked_at).min(2 * step(limit));
            self.looked_at = before;
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
        self.looked_at = after;
        self.poll = found.map(|(number, pid)| {
            let (label, path) = reporter.describe(pid);
            let label = label.or_else(|| self.slot.ending(number));
            (number, LongPoll { pid, label, path, elapsed: Duration::ZERO })
        });
    }
}
