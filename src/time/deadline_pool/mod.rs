//! The deadlines of calls, without a timer for each call.
//!
//! **Guarantee.** A caller that waits on an armed slot is woken at its deadline, as a timer of
//! tokio would wake it. Arming a slot takes a few atomic operations or an uncontended lock, and so
//! does disarming it.
//!
//! A *deadline slot* is an instant and a waker. A slot belongs to the [per-task slot
//! cache](crate::time::deadline_pool::slot_cache), where a task finds its last slot again, or to a
//! [slot pool](crate::time::deadline_pool::slot_pool). One task of a runtime, the *sweeper*, sleeps
//! until `next_sweep`, expires the slots that are due, wakes the tasks of these slots, and sleeps
//! again.
//!
//! ```text
//!   a caller                                 the sweeper
//!   1  arms its slot                         a  sets next_sweep to NEVER
//!   2  reads next_sweep:                     b  expires the slots that are due,
//!      not after its deadline: waits            and wakes their tasks
//!      otherwise: disarms the slot, and      c  sets next_sweep to the instant
//!      waits on a timer of its own              of the next sweep
//!   3  disarms the slot after the wait       d  sleeps until then, and goes on with a
//! ```
//!
//! **Invariants**
//! 1. `next_sweep` is [`NEVER`], or the instant to which the sweeper's timer is set. While it is an
//!    instant, only the timer or the request of a thread (invariant 4) wakes the sweeper.
//! 2. A caller relies on the sweeper only if it arms its slot, then reads `next_sweep`, and the
//!    value is not after its deadline. All these accesses are sequentially consistent. So the slot
//!    is armed before the next sweep begins: the sweep finds the slot, and the timer that the sweep
//!    sets for the next sweep takes the deadline of the slot into account.
//! 3. No caller depends on a task that wakes the sweeper. A task requests a sweep only while
//!    `next_sweep` is `NEVER`, when no caller relies on the sweeper; the request serves later
//!    calls. The reason: if a task wakes another, tokio may put the woken task into the LIFO slot
//!    of that worker. Other workers do not take tasks from this slot until the waking task yields.
//!    If the sweeper were in the LIFO slot behind a task that blocks, every deadline of the runtime
//!    would be late.
//! 4. A thread that is not a worker may request a sweep at any time, since any worker can run a
//!    task that such a thread wakes.
//!
//! Most calls end before their deadline. The sweep that was set for such a deadline takes place
//! nevertheless, so that later calls find a `next_sweep` before their own deadlines. The sweeper
//! sweeps at least every five seconds while a slot is armed, and sooner after a caller with a
//! shorter limit had to use a timer.
//!
//! # Limits
//!
//! Reading the clock is most of the cost of a deadline. While more than [`FREQUENT_USES`] calls per
//! millisecond use slots, the sweeper sweeps every [`FREQUENT_INTERVAL`], and marks `next_sweep`
//! with [`FREQUENT`]. A caller that finds this mark, and whose limit is at least [`MIN_LIMIT`],
//! arms its slot for the limit, without reading the clock. The next sweep replaces the limit by an
//! instant, so the deadline is at most that interval late, if the sweeper runs in time, and never
//! early. If the caller no longer
//! finds the mark after it has armed its slot, it reads the clock, and arms the slot for an
//! instant. By invariant 2 the sweeper does not miss a slot of a caller that finds the mark.
//!
//! A tokio runtime of one thread may have a paused clock, under which deadlines are exact. Its
//! sweeper never sets the mark.
//!
//! After the shutdown of the runtime, callers use timers of their own, and the sweeper ends as soon
//! as no slot is armed.

mod slot_pool;
pub(crate) mod cached_slot;
pub(crate) mod slot_cache;
mod due;
mod armed_slot;
mod sweep_rate;
mod sweeper;
pub(crate) mod blocking_wait;

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::Waker;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::task::coop::unconstrained;
use tokio::time::Instant;

use crate::time::deadline_pool::armed_slot::Home;
use crate::time::deadline_pool::cached_slot::{LIMIT, vtable_addr};
use crate::time::deadline_pool::due::{as_nanos, is_frequent};
use crate::time::deadline_pool::slot_cache::SlotCache;
use crate::time::deadline_pool::slot_pool::{NEVER, SLOT_POOLS, SlotPool, own_pool};

pub(crate) use crate::time::deadline_pool::armed_slot::ArmedSlot;
pub(crate) use crate::time::deadline_pool::due::Due;

/// The longest time between two sweeps while a slot is armed, in nanoseconds: the limit of most
/// calls.
const MAX_SWEEP_INTERVAL: u64 = 5_000_000_000;
/// The shortest time between two sweeps, in nanoseconds, if no armed slot is due before.
const MIN_SWEEP_INTERVAL: u64 = 1_000_000;
/// In nanoseconds: a deadline that is at least this much later than the next sweep gets a timer of
/// its own. Otherwise a paused clock would stop at each sweep before the deadline.
const MAX_LEAD: u64 = 3_600_000_000_000;
/// A slot is armed only for limits that are shorter than this.
const MAX_LIMIT: Duration = Duration::from_nanos(MAX_LEAD);

/// The mark of a `next_sweep`: a sweeper that sets this mark sweeps after [`FREQUENT_INTERVAL`] at
/// the latest. No instant has this bit, which is above `LATEST_DUE`; [`NEVER`] has it.
const FREQUENT: u64 = 1 << 62;
/// The time between two frequent sweeps, in nanoseconds.
const FREQUENT_INTERVAL: u64 = 10_000_000;
/// The time from the first sweep to the one that counts the calls since, in nanoseconds.
const FIRST_COUNT: u64 = 1_000_000;
/// The number of calls per millisecond from which on frequent sweeps cost less than the readings of
/// the clock that they save: a sweep takes about 5 µs, a reading 20 ns.
const FREQUENT_USES: u64 = 50;
/// The shortest limit that a slot is armed for: at most a hundredth of it is added.
const MIN_LIMIT: Duration = Duration::from_nanos(100 * FREQUENT_INTERVAL);

/// All deadline slots of a runtime, and the state of its sweeper.
#[derive(Debug)]
pub(crate) struct DeadlinePool {
    cache: SlotCache,
    /// The slots of threads, and of callers whose two slots in the cache are held.
    pools: [SlotPool; SLOT_POOLS],
    /// The instant from which all other instants are counted, in nanoseconds.
    base: OnceLock<Instant>,
    /// The instant of the next sweep, possibly with the mark [`FREQUENT`], or [`NEVER`].
    next_sweep: AtomicU64,
    /// The shortest time that a caller had left when it began to use a timer of its own, since the
    /// last sweep.
    shortest_wait: AtomicU64,
    /// The address of the vtable of wakers of tokio tasks; 0 until the sweeper has run.
    task_vtable: AtomicUsize,
    /// The number of sweeps. A number that grows shows that the sweeper's tokio is driven.
    sweeps: AtomicU64,
    /// The number of waits that use a timer of their own.
    timer_waits: AtomicUsize,
    /// A task's request for a sweep. The sweeper waits for it only while `next_sweep` is `NEVER`.
    requested_by_task: Notify,
    /// The request of a thread that is not a worker of this tokio. The sweeper always waits for it.
    requested_by_thread: Notify,
    started: AtomicBool,
    closed: AtomicBool,
}

impl Default for DeadlinePool {
    fn default() -> Self {
        DeadlinePool {
            cache: SlotCache::default(),
            pools: Default::default(),
            base: OnceLock::new(),
            next_sweep: AtomicU64::new(NEVER),
            shortest_wait: AtomicU64::new(NEVER),
            task_vtable: AtomicUsize::new(0),
            sweeps: AtomicU64::new(0),
            timer_waits: AtomicUsize::new(0),
            requested_by_task: Notify::new(),
            requested_by_thread: Notify::new(),
            started: AtomicBool::new(false),
            closed: AtomicBool::new(false),
        }
    }
}

impl DeadlinePool {
    /// Arms the slot that the task of this waker used last.
    ///
    /// Returns `None` if that slot is not available, or if the waker does not belong to a tokio
    /// task. The waker of a task whose slot is found proves that this runtime's tokio polls the
    /// caller, since a task stays on its tokio. For any other waker, only the current thread shows
    /// which tokio polls the caller.
    #[inline]
    pub(crate) fn rearm(&self, due: Due, waker: &Waker) -> Option<ArmedSlot<'_>> {
        if vtable_addr(waker) != self.task_vtable.load(Ordering::Relaxed) {
            return None;
        }
        let due = match due {
            Due::At(due) => self.nanos(due),
            Due::After(limit) => LIMIT | as_nanos(limit),
        };
        let slot = self.cache.rearm(due, waker)?;
        Some(ArmedSlot { home: Home::SlotCache(slot), due, deadlines: self })
    }

    /// Returns the deadline of a call that begins now. Reads the clock only if no frequent sweeps
    /// take place.
    #[inline]
    pub(crate) fn due_after(&self, limit: Duration) -> Option<Due> {
        let next = self.next_sweep.load(Ordering::Relaxed);
        let is_limit = is_frequent(next) && limit >= MIN_LIMIT && limit < MAX_LIMIT;
        if is_limit {
            return Some(Due::After(limit));
        }
        Instant::now().checked_add(limit).map(Due::At)
    }

    /// Arms a slot for a caller that this runtime's tokio polls.
    #[cold]
    #[inline(never)]
    pub(crate) fn arm(&self, due: Instant, waker: &Waker) -> ArmedSlot<'_> {
        let due = self.nanos(due);
        match self.cache.arm(due, waker) {
            Some(slot) => ArmedSlot { home: Home::SlotCache(slot), due, deadlines: self },
            None => self.arm_in_pool(due, waker),
        }
    }

    fn arm_in_pool(&self, due: u64, waker: &Waker) -> ArmedSlot<'_> {
        let pool = &self.pools[own_pool()];
        let at = pool.arm(due, waker);
        ArmedSlot { home: Home::SlotPool(pool, at), due, deadlines: self }
    }

    /// Arms a slot for a caller on a thread that is not a worker of any tokio. Requests a sweep, if
    /// the next one is too late for the slot (invariant 4). The sweeper takes the slot into account
    /// when this tokio runs the sweeper.
    ///
    /// Panics if tokio's time is not enabled.
    pub(crate) fn arm_outside(
        self: &Arc<Self>,
        due: Instant,
        waker: &Waker,
        handle: &Handle,
    ) -> ArmedSlot<'_> {
        let slot = self.arm_in_pool(self.nanos(due), waker);
        self.start(handle);
        if !slot.is_in_time() {
            self.requested_by_thread.notify_one();
        }
        slot
    }

    /// Requests sweeps that are frequent enough for calls with this much time left. A caller that
    /// had to use a timer of its own calls this (invariant 3).
    pub(crate) fn request_sweep(self: &Arc<Self>, left: Duration, handle: Option<&Handle>) {
        if self.closed.load(Ordering::SeqCst) {
            return;
        }
        self.shortest_wait.fetch_min(as_nanos(left), Ordering::SeqCst);
        if self.next_sweep.load(Ordering::SeqCst) == NEVER
            && let Some(handle) = handle
        {
            self.start(handle);
            self.requested_by_task.notify_one();
        }
    }

    fn start(self: &Arc<Self>, handle: &Handle) {
        if self.started.load(Ordering::SeqCst) {
            return;
        }
        // This panics here, and not in the sweeper, if tokio's time is not enabled.
        let inside = handle.enter();
        drop(tokio::time::sleep(Duration::ZERO));
        drop(inside);
        if !self.started.swap(true, Ordering::SeqCst) {
            // Unconstrained, since a timer that is polled without budget does not report that it is
            // due.
            handle.spawn(unconstrained(Arc::clone(self).run_sweeper()));
        }
    }

    fn nanos(&self, at: Instant) -> u64 {
        let base = self.base.get_or_init(|| base(at));
        as_nanos(at.saturating_duration_since(*base))
    }

    /// The number of armed slots.
    fn armed(&self) -> usize {
        self.pools.iter().map(SlotPool::armed).sum::<usize>() + self.cache.armed()
    }

    /// The number of waits with a deadline that are in progress.
    pub(crate) fn active_waits(&self) -> usize {
        self.armed() + self.timer_waits.load(Ordering::SeqCst)
    }

    /// Counts a wait that uses a timer of its own, until the guard is dropped.
    pub(crate) fn count_timer_wait(&self) -> TimerWait<'_> {
        self.timer_waits.fetch_add(1, Ordering::SeqCst);
        TimerWait(self)
    }

    /// Requests a sweep from a thread that is not a worker (invariant 4). Returns the number of
    /// sweeps before the request, for [`has_swept_since`](Self::has_swept_since).
    pub(crate) fn request_sweep_from_thread(&self) -> u64 {
        let sweeps = self.sweeps.load(Ordering::SeqCst);
        self.requested_by_thread.notify_one();
        sweeps
    }

    /// Whether there was a sweep since the number of sweeps was `sweeps`.
    pub(crate) fn has_swept_since(&self, sweeps: u64) -> bool {
        self.sweeps.load(Ordering::SeqCst) != sweeps
    }

    /// Ends the sweeper as soon as no slot is armed. Until then the sweeper continues to sweep.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
        self.end_if_idle();
    }

    #[cold]
    fn end_if_idle(&self) {
        if self.armed() == 0 {
            self.requested_by_thread.notify_one();
        }
    }
}

/// Returns the instant from which all other instants are counted: an hour before `first` or before
/// now, whichever is earlier. So the deadline of a call that began a while ago is also after this
/// instant.
fn base(first: Instant) -> Instant {
    let first = first.min(Instant::now());
    first.checked_sub(Duration::from_secs(3600)).unwrap_or(first)
}

/// Counts a wait that uses a timer of its own.
#[derive(Debug)]
pub(crate) struct TimerWait<'a>(&'a DeadlinePool);

impl Drop for TimerWait<'_> {
    fn drop(&mut self) {
        self.0.timer_waits.fetch_sub(1, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests;
