//! The one queue of timers of a runtime, and the task that empties it.
//!
//! **Invariants**
//! 1. A timer is pending exactly while it is in [`Queue::armed`]; being taken out of
//!    there, under the lock, is what makes it fired, cancelled or dropped.
//! 2. Timers due at one instant fire in the order they were made.
//! 3. The task holds the queue but not the kernel, and ends when the queue is closed.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::time::{
    DelayQueue,
    delay_queue::{Expired, Key},
};

use crate::base::catch::drop_each;
use crate::base::pid::Pid;
use crate::base::small_map::SmallMap;
use crate::exit::reason::ExitReason;
use crate::message::dest::Dest;
use crate::message::received::Message;

/// What a timer does when it is due.
#[derive(Debug, Clone)]
pub(crate) enum Action {
    Send(Message),
    Exit(ExitReason),
    Kill,
    /// Tells a server the timer's own number; what it is for is known there.
    Tick,
}

/// One armed timer.
#[derive(Debug, Clone)]
pub(crate) struct Timer {
    pub(crate) id: u64,
    pub(crate) to: Dest,
    pub(crate) action: Action,
    pub(crate) due: Instant,
    /// Set again this much after it was due.
    pub(crate) period: Option<Duration>,
}

impl Timer {
    /// The process whose end drops the timer: none for one aimed at a name.
    pub(crate) fn target(&self) -> Pid {
        match self.to {
            Dest::Pid(pid) => pid,
            Dest::Name(_) => Pid::OUTSIDE,
        }
    }
}

type ByTarget = HashMap<Pid, SmallMap<u64, (Key, Instant)>, foldhash::fast::RandomState>;

/// What lies further off is set again on the way. The delay queue refuses what is due
/// 2^36 ms after it last looked. While it isn't empty it looks at every 2^30 ms, but for
/// timers that reach beyond the next look; with this span none does.
const MAX_QUEUED_DELAY: Duration = Duration::from_secs(12 * 24 * 3600);

/// How far off "never" is.
const FAR_FUTURE: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

/// The instant after this delay; one beyond the clock's end is far off.
pub(crate) fn after(start: Instant, delay: Duration) -> Instant {
    start.checked_add(delay).unwrap_or(start + FAR_FUTURE)
}

/// What [`after`] leaves out of a delay that the clock can't represent.
pub(crate) fn beyond_clock(start: Instant, delay: Duration) -> Duration {
    match start.checked_add(delay) {
        Some(_) => Duration::ZERO,
        None => delay.saturating_sub(FAR_FUTURE),
    }
}

#[derive(Default)]
struct Queue {
    /// Made at the first timer, so that its clock is the runtime's, and made anew for
    /// the first one after a long silence, in which it has not looked.
    delays: Option<DelayQueue<Timer>>,
    made: Option<Instant>,
    armed: ByTarget,
    driver: Option<Waker>,
    started: bool,
    closed: bool,
}

/// The queue; the runtime and the driving task share it.
#[derive(Clone, Default)]
pub(crate) struct TimerQueue(Arc<Mutex<Queue>>);

impl TimerQueue {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Arms a timer, inside of tokio. True if the caller is to start the driving task.
    pub(crate) fn arm(&self, timer: Timer) -> bool {
        let mut queue = self.lock();
        if queue.closed {
            drop(queue);
            return false;
        }
        queue.insert(timer);
        !std::mem::replace(&mut queue.started, true)
    }

    /// Takes a pending timer out.
    pub(crate) fn disarm(&self, target: Pid, id: u64) -> Option<Timer> {
        let mut queue = self.lock();
        let (key, _) = queue.forget(target, id)?;
        queue.take(&key)
    }

    /// When a pending timer is due.
    pub(crate) fn due(&self, target: Pid, id: u64) -> Option<Instant> {
        self.lock().armed.get(&target)?.get(&id).map(|(_, due)| *due)
    }

    /// The target has ended: its timers go with it.
    pub(crate) fn drop_target(&self, target: Pid) {
        let mut queue = self.lock();
        let Some(mut timers) = queue.armed.remove(&target) else { return };
        let keys = timers.take();
        let dropped: Vec<_> = keys.into_iter().map(|(_, (key, _))| queue.take(&key)).collect();
        drop(queue);
        drop_each(dropped);
    }

    pub(crate) fn len(&self) -> usize {
        self.lock().armed.values().map(SmallMap::len).sum()
    }

    /// Drops all timers and ends the driving task.
    pub(crate) fn close(&self) {
        let mut queue = self.lock();
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

    /// All timers that are due, in the order of their time and making; `None` once the
    /// queue is closed. An interval is set again in the same moment, counted from when
    /// it was due: it stays pending, and doesn't drift.
    pub(crate) fn poll_due(&self, cx: &mut Context<'_>) -> Poll<Option<Vec<Timer>>> {
        let mut queue = self.lock();
        if queue.closed {
            return Poll::Ready(None);
        }
        let mut due = Vec::new();
        while let Some(timer) = queue.poll_one(cx) {
            queue.forget(timer.target(), timer.id);
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

    fn poll_one(&mut self, cx: &mut Context<'_>) -> Option<Timer> {
        match self.delays.as_mut()?.poll_expired(cx) {
            Poll::Ready(expired) => expired.map(Expired::into_inner),
            Poll::Pending => None,
        }
    }

    fn take(&mut self, key: &Key) -> Option<Timer> {
        self.delays.as_mut()?.try_remove(key).map(Expired::into_inner)
    }

    fn forget(&mut self, target: Pid, id: u64) -> Option<(Key, Instant)> {
        let timers = self.armed.get_mut(&target)?;
        let found = timers.remove(&id);
        if timers.is_empty() {
            self.armed.remove(&target);
        }
        found
    }
}

impl std::fmt::Debug for TimerQueue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TimerQueue").field("pending", &self.len()).finish()
    }
}
