//! The queue of all timers of a runtime, from which a task takes the timers that are due.
//!
//! **Guarantee.** A pending timer fires once, when the driving task is polled at or after the time
//! at which the timer is due. A timer that is disarmed before that does not fire, and neither does
//! a timer whose target ends, or whose queue is closed, before that. When an interval fires, it is
//! armed again for one period after the time at which it was due, so it does not drift. Arming and
//! disarming a timer, and the end of a target, take a time that does not depend on the number of
//! timers.
//!
//! ```text
//!            arm                     poll_round
//!   (new) ---------> pending ------------------------> fired
//!                      |
//!                      +--> disarm, end_target, close: dropped
//! ```
//!
//! **Parts**, from the ground up: [`entries`] is the memory of timers, [`wheel`] their order by time,
//! [`targets`] their lists by target; a [`shard`] has one of each under a lock; [`wake_up`] is how
//! the driving task is woken.
//!
//! **Invariants**
//! 1. All timers of a target are in one shard, which its pid selects. A thread holds the lock of at
//!    most one shard, and takes no other lock meanwhile.
//! 2. Timers that are due at the same instant fire in the order of their numbers, which is the order
//!    in which they were armed, also across shards. For that, a round first reads the clock and the
//!    number of the next timer, and then takes the timers that are due from one shard after the
//!    other. A timer with a later number waits for the next round. So if a timer is fired in a round,
//!    then every timer that had been armed before it was in its shard when the round began.
//! 3. The `next` of a shard is not after the instant at which any of its timers is due. It may be
//!    earlier: then the driving task is polled once in vain.
//! 4. The driving task holds the queue but not the kernel, and ends when the queue is closed.

mod clock;
mod timer;
mod entries;
mod wheel;
mod targets;
mod shard;
mod wake_up;
mod round;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::time::Instant;

use crate::base::pid::Pid;
use crate::base::sync::Mutex;
use crate::base::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use crate::base::user_panics::drop_each;
use crate::time::timer_queue::clock::{Clock, NEVER, due_after, left_out};
use crate::time::timer_queue::shard::Shard;
use crate::time::timer_queue::wake_up::WakeUp;

pub(crate) use crate::time::timer_queue::clock::after;
#[cfg(all(test, any(regrow_loom, regrow_shuttle)))]
pub(crate) use crate::time::timer_queue::round::Round;
pub(crate) use crate::time::timer_queue::round::Wait;
pub(crate) use crate::time::timer_queue::timer::{Action, DueTimer, NewTimer, TimerKey};

/// The number of shards. It does not depend on the machine, so that a run with a seed repeats. Under
/// a model checker there are two, so that the checker explores both operations on the same shard and
/// operations on different shards.
const SHARDS: usize = if cfg!(any(regrow_loom, regrow_shuttle)) { 2 } else { 8 };

/// A shard, on cache lines of its own.
#[repr(align(128))]
struct Locked {
    /// Invariant 3.
    next: AtomicU64,
    shard: Mutex<Shard>,
}

impl Default for Locked {
    fn default() -> Self {
        Locked { next: AtomicU64::new(NEVER), shard: Mutex::new(Shard::default()) }
    }
}

struct Shared {
    clock: Clock,
    /// The number of the next timer.
    next_id: AtomicU64,
    shards: [Locked; SHARDS],
    wake_up: WakeUp,
    /// Timers of ended targets wait to be freed.
    has_ended_targets: AtomicBool,
    /// The tokio runtime of the driving task, if a caller of [`TimerQueue::arm`] was asked to start
    /// the task.
    started: OnceLock<Started>,
    closed: AtomicBool,
}

struct Started {
    /// A tokio runtime of one thread, whose clock may be paused. Others are not held: a [`Shared`] may
    /// outlive them.
    paused_clock: Option<Handle>,
}

impl Started {
    /// Reads the clock of this tokio runtime, on any thread. Entering the runtime changes a counter
    /// that all threads share, so that is left out where the clock can't be paused.
    #[inline]
    fn now(&self) -> Instant {
        if let Some(handle) = &self.paused_clock {
            let _entered = handle.enter();
            return Instant::now();
        }
        Instant::from_std(std::time::Instant::now())
    }
}

impl Default for Shared {
    fn default() -> Self {
        Shared {
            clock: Clock::default(),
            next_id: AtomicU64::new(1),
            shards: Default::default(),
            wake_up: WakeUp::default(),
            has_ended_targets: AtomicBool::new(false),
            started: OnceLock::new(),
            closed: AtomicBool::new(false),
        }
    }
}

/// The timers of a runtime. The runtime, the handles of timers and the driving task share the queue.
#[derive(Clone, Default)]
pub(crate) struct TimerQueue(Arc<Shared>);

/// Prints no timers: there may be a million.
impl fmt::Debug for TimerQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TimerQueue").finish_non_exhaustive()
    }
}

/// A timer that was armed.
#[derive(Debug)]
pub(crate) struct Armed {
    pub(crate) key: TimerKey,
    /// The part of the delay that the clock can't represent.
    pub(crate) beyond_clock: Duration,
    /// Whether the caller must start the driving task.
    pub(crate) starts_driver: bool,
}

impl TimerQueue {
    /// Arms a timer. The tokio runtime of the handle drives the timers.
    ///
    /// # Panics
    ///
    /// Panics if tokio's time is not enabled.
    #[inline]
    pub(crate) fn arm(&self, timer: NewTimer, handle: &Handle) -> Armed {
        let (started, starts_driver) = match self.0.started.get() {
            Some(started) => (started, false),
            None => self.start(handle),
        };
        let delay = timer.delay;
        let now = self.0.clock.nanos(started.now());
        let key = self.arm_at(now, timer);
        Armed { key, beyond_clock: left_out(now, delay), starts_driver }
    }

    #[cold]
    fn start(&self, handle: &Handle) -> (&Started, bool) {
        let _entered = handle.enter();
        // This panics here, and not in the driving task, if tokio's time is not enabled.
        drop(tokio::time::sleep(Duration::ZERO));
        let may_be_paused = handle.runtime_flavor() == RuntimeFlavor::CurrentThread;
        let mut is_first = false;
        let started = self.0.started.get_or_init(|| {
            is_first = true;
            Started { paused_clock: may_be_paused.then(|| handle.clone()) }
        });
        (started, is_first)
    }

    /// Arms a timer at the instant `now`.
    #[inline]
    pub(crate) fn arm_at(&self, now: u64, timer: NewTimer) -> TimerKey {
        let due = due_after(now, timer.delay);
        let (target, plan) = timer.into_parts();
        let Locked { next, shard } = self.0.shard(target);
        let id = self.0.fresh_id();
        let mut shard = shard.lock();
        let inserted = shard.insert((target, id), (now, due), plan);
        let is_first = due < next.load(Ordering::Relaxed);
        if is_first && inserted.is_ok() {
            next.store(due, Ordering::SeqCst);
        }
        drop(shard);
        match inserted {
            Ok(entry) => {
                if is_first {
                    self.0.wake_up.wake_if_after(due);
                }
                TimerKey { target, id, entry }
            }
            Err(plan) => {
                drop_each([plan]);
                TimerKey::not_pending(target, id)
            }
        }
    }

    /// Removes a timer, and returns whether it was pending.
    #[inline]
    pub(crate) fn disarm(&self, key: TimerKey) -> bool {
        let Locked { next, shard } = self.0.shard(key.target);
        let mut shard = shard.lock();
        let plan = shard.remove(key);
        let is_emptied = plan.is_some() && shard.is_empty();
        let before = if is_emptied { next.swap(NEVER, Ordering::SeqCst) } else { NEVER };
        drop(shard);
        self.end_vain_wait(before);
        let was_pending = plan.is_some();
        drop_each(plan);
        was_pending
    }

    /// The driving task would wait for a timer of a shard without timers, which was due at `before`, and
    /// a paused clock would advance to it.
    #[inline]
    fn end_vain_wait(&self, before: u64) {
        let may_be_paused = |started: &Started| started.paused_clock.is_some();
        if before != NEVER && self.0.started.get().is_some_and(may_be_paused) {
            self.0.wake_up.wake_if_at(before);
        }
    }

    /// The instant at which a pending timer is due.
    pub(crate) fn due(&self, key: TimerKey) -> Option<Instant> {
        let due = self.0.shard(key.target).shard.lock().due(key)?;
        Some(self.0.clock.instant(due))
    }

    /// The time until a pending timer is due.
    pub(crate) fn remaining(&self, key: TimerKey) -> Option<Duration> {
        let due = self.due(key)?;
        Some(due.saturating_duration_since(self.0.started.get()?.now()))
    }

    /// Ends a target: from now on, none of its timers is pending. Drops them, or has the driving task
    /// drop them in slices if they are many.
    pub(crate) fn end_target(&self, target: Pid) {
        let Locked { next, shard } = self.0.shard(target);
        let mut shard = shard.lock();
        let dropped = shard.end_target(target);
        let waits = dropped.is_empty() && shard.has_ended_targets();
        let before = if shard.is_empty() { next.swap(NEVER, Ordering::SeqCst) } else { NEVER };
        drop(shard);
        self.end_vain_wait(before);
        if waits {
            self.0.has_ended_targets.store(true, Ordering::SeqCst);
            self.0.wake_up.wake();
        }
        drop_each(dropped);
    }

    /// The number of pending timers.
    pub(crate) fn len(&self) -> usize {
        self.0.shards.iter().map(|locked| locked.shard.lock().pending()).sum()
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.0.closed.load(Ordering::SeqCst)
    }

    /// Drops all timers and ends the driving task.
    pub(crate) fn close(&self) {
        self.0.closed.store(true, Ordering::SeqCst);
        for Locked { shard, .. } in &self.0.shards {
            let dropped = shard.lock().close();
            drop_each(dropped);
        }
        self.0.wake_up.wake();
    }
}

impl Shared {
    #[inline]
    fn shard(&self, target: Pid) -> &Locked {
        let number = usize::try_from(target.raw() % SHARDS as u64).unwrap_or(0);
        &self.shards[number]
    }

    /// Returns a number that is greater than those of all timers so far.
    #[inline]
    fn fresh_id(&self) -> u64 {
        self.next_id.fetch_add(1, Ordering::SeqCst)
    }

    /// An instant before which no timer is due.
    fn next(&self) -> u64 {
        let next = |locked: &Locked| locked.next.load(Ordering::SeqCst);
        self.shards.iter().map(next).min().unwrap_or(NEVER)
    }
}
