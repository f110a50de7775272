//! The queue of all timers of a runtime, from which a task takes the timers that are due.
//!
//! **Guarantee.** A pending timer fires once, when the driving task is polled at or after the time
//! at which the timer is due. A timer that is disarmed before that does not fire, and neither does
//! a timer whose target ends, or whose queue is closed, before that. When an interval fires, it is
//! armed again for one period after the time at which it was due, so it does not drift.
//!
//! ```text
//!            arm                     poll_due
//!   (new) ---------> pending ------------------------> fired
//!                     | ^  |
//!                     | |  +--> disarm, drop_target, close: dropped
//!                     | |
//!                     +-+  poll_due, before its time: queued again (see MAX_QUEUED_DELAY)
//! ```
//!
//! **Invariants**
//! 1. A timer is pending exactly while it is in [`Queue::armed`]. A timer is removed from there
//!    under the lock, so exactly one of these happens to the timer: it is fired, disarmed or
//!    dropped.
//! 2. Timers that are due at the same instant fire in the order of their numbers, which is the
//!    order in which they were set. An interval keeps its number when it is armed again.
//! 3. The driving task holds the queue but not the kernel, and ends when the queue is closed.

use std::collections::HashMap;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::time::{
    DelayQueue,
    delay_queue::{Expired, Key},
};

use crate::base::pid::Pid;
use crate::base::random::MapHasher;
use crate::base::small_map::SmallMap;
use crate::base::sync::PlainMutex;
use crate::base::user_panics::drop_each;
use crate::exit::reason::ExitReason;
use crate::message::dest::Dest;
use crate::message::metadata::Metadata;
use crate::message::received::Message;

/// The action of a timer that is due.
#[derive(Debug, Clone)]
pub(crate) enum Action {
    Send(Message, Metadata),
    Exit(ExitReason),
    Kill,
    /// Sends a server the number of the timer. By the number the server finds the purpose of the
    /// timer.
    Tick,
}

/// One timer.
#[derive(Debug, Clone)]
pub(crate) struct Timer {
    pub(crate) id: u64,
    pub(crate) to: Dest,
    pub(crate) action: Action,
    pub(crate) due: Instant,
    /// The period of an interval: the time from one instant at which it is due to the next.
    pub(crate) period: Option<Duration>,
}

impl Timer {
    /// The process whose end drops the timer; [`Pid::OUTSIDE`] for a timer with a name as
    /// destination.
    pub(crate) fn target(&self) -> Pid {
        match self.to {
            Dest::Pid(pid) => pid,
            Dest::Name(_) => Pid::OUTSIDE,
        }
    }
}

/// The pending timers of each target, by their numbers. The value of a timer is its key in the
/// delay queue, and the instant at which it is due.
type ByTarget = HashMap<Pid, SmallMap<u64, (Key, Instant)>, MapHasher>;

/// The longest delay with which a timer is queued. A timer that is due later is queued again after
/// this delay.
///
/// The delay queue refuses a timer that is due 2^36 ms or more after its clock last advanced. While
/// the queue is not empty, its clock advances every 2^30 ms, unless all timers are due later than
/// that. This delay is less than 2^30 ms, so no queued timer is due later than that.
const MAX_QUEUED_DELAY: Duration = Duration::from_secs(12 * 24 * 3600);

/// The delay that replaces a delay for which the clock has no instant.
const FAR_FUTURE: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

/// Returns the instant that is `delay` after `start`. A delay beyond the end of the clock is
/// replaced by [`FAR_FUTURE`].
pub(crate) fn after(start: Instant, delay: Duration) -> Instant {
    start.checked_add(delay).unwrap_or(start + FAR_FUTURE)
}

/// Returns the part of a delay that [`after`] leaves out, if the delay goes beyond the end of the
/// clock.
pub(crate) fn beyond_clock(start: Instant, delay: Duration) -> Duration {
    match start.checked_add(delay) {
        Some(_) => Duration::ZERO,
        None => delay.saturating_sub(FAR_FUTURE),
    }
}

#[derive(Default)]
struct Queue {
    /// The delay queue. The queue is made with the first timer, so that it uses the clock of the
    /// runtime's tokio. If the queue is empty, and was made longer than [`MAX_QUEUED_DELAY`] ago,
    /// the next timer makes a new one, since the clock of an empty delay queue does not advance.
    delays: Option<DelayQueue<Timer>>,
    /// When `delays` was made.
    made: Option<Instant>,
    /// Invariant 1.
    armed: ByTarget,
    /// The waker of the driving task.
    driver: Option<Waker>,
    /// Whether a caller of [`TimerQueue::arm`] was asked to start the driving task.
    started: bool,
    closed: bool,
}

/// The timers of a runtime. The runtime and the driving task share the queue.
#[derive(Clone, Default)]
pub(crate) struct TimerQueue(Arc<PlainMutex<Queue>>);

impl TimerQueue {
    /// Arms a timer. Call this inside a tokio context. Returns whether the caller must start the
    /// driving task.
    pub(crate) fn arm(&self, timer: Timer) -> bool {
        let mut queue = self.0.lock();
        if queue.closed {
            drop(queue);
            return false;
        }
        queue.insert(timer);
        !std::mem::replace(&mut queue.started, true)
    }

    /// Removes a pending timer, and returns it.
    pub(crate) fn disarm(&self, target: Pid, id: u64) -> Option<Timer> {
        let mut queue = self.0.lock();
        let (key, _) = queue.forget(target, id)?;
        queue.take(&key)
    }

    /// The instant at which a pending timer is due.
    pub(crate) fn due(&self, target: Pid, id: u64) -> Option<Instant> {
        self.0.lock().armed.get(&target)?.get(&id).map(|(_, due)| *due)
    }

    /// Drops all timers of a target that has ended.
    pub(crate) fn drop_target(&self, target: Pid) {
        let mut queue = self.0.lock();
        let Some(mut timers) = queue.armed.remove(&target) else { return };
        let keys = timers.take();
        let dropped: Vec<_> = keys.into_iter().map(|(_, (key, _))| queue.take(&key)).collect();
        drop(queue);
        drop_each(dropped);
    }

    pub(crate) fn len(&self) -> usize {
        self.0.lock().armed.values().map(SmallMap::len).sum()
    }

    /// Drops all timers and ends the driving task.
    pub(crate) fn close(&self) {
        let mut queue = self.0.lock();
        queue.closed = true;
        let armed = std::mem::take(&mut queue.armed).into_values().flatten();
        let dropped: Vec<_> = armed.map(|(_, (key, _))| queue.take(&key)).collect();
        let driver = queue.driver.take();
        drop(queue);
        drop_each(dropped);
        if let Some(driver) = driver {
            driver.wake();
        }
    }

    /// Returns all timers that are due, in the order of their times, and for the same time in the
    /// order of their numbers (invariant 2). Returns `None` once the queue is closed. An interval
    /// is armed again under the same lock, so it stays pending.
    pub(crate) fn poll_due(&self, cx: &mut Context<'_>) -> Poll<Option<Vec<Timer>>> {
        let mut queue = self.0.lock();
        if queue.closed {
            return Poll::Ready(None);
        }
        let mut due = Vec::new();
        while let Some(timer) = queue.poll_one(cx) {
            queue.forget(timer.target(), timer.id);
            // This timer was due more than `MAX_QUEUED_DELAY` after it was queued.
            if timer.due > Instant::now() {
                queue.insert(timer);
            } else {
                due.push(timer);
            }
        }
        if due.is_empty() {
            queue.driver = Some(cx.waker().clone());
            return Poll::Pending;
        }
        due.sort_by_key(|timer| (timer.due, timer.id));
        for timer in &due {
            if let Some(period) = timer.period {
                queue.insert(Timer { due: after(timer.due, period), ..timer.clone() });
            }
        }
        Poll::Ready(Some(due))
    }
}

impl Queue {
    fn insert(&mut self, timer: Timer) {
        let (target, id, due, now) = (timer.target(), timer.id, timer.due, Instant::now());
        let was_empty = self.delays.as_ref().is_none_or(DelayQueue::is_empty);
        if was_empty && self.made.is_none_or(|made| now.duration_since(made) > MAX_QUEUED_DELAY) {
            self.made = Some(now);
            self.delays = None;
        }
        let delays = self.delays.get_or_insert_with(DelayQueue::new);
        let key = delays.insert_at(timer, due.min(now + MAX_QUEUED_DELAY));
        self.armed.entry(target).or_default().insert(id, (key, due));
        if let (true, Some(driver)) = (was_empty, &self.driver) {
            driver.wake_by_ref();
        }
    }

    /// Removes the next timer whose delay in the delay queue has passed.
    fn poll_one(&mut self, cx: &mut Context<'_>) -> Option<Timer> {
        match self.delays.as_mut()?.poll_expired(cx) {
            Poll::Ready(expired) => expired.map(Expired::into_inner),
            Poll::Pending => None,
        }
    }

    /// Removes a timer from the delay queue.
    fn take(&mut self, key: &Key) -> Option<Timer> {
        self.delays.as_mut()?.try_remove(key).map(Expired::into_inner)
    }

    /// Removes a timer from the pending ones (invariant 1).
    fn forget(&mut self, target: Pid, id: u64) -> Option<(Key, Instant)> {
        let timers = self.armed.get_mut(&target)?;
        let found = timers.remove(&id);
        if timers.is_empty() {
            self.armed.remove(&target);
        }
        found
    }
}
