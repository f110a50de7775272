//! Deadlines of calls, nearly free.
//!
//! A *slot* is a deadline and a waker, in the [per-task cache](crate::time::deadline_pool::slot_cache) or in a
//! [pool](crate::time::deadline_pool::slot_pool). Arming one is a few stores, and so is taking it back: no timer
//! is made. One task per runtime, the *sweeper*, sleeps until its next look, wakes what is due,
//! and sweeps again.
//!
//! **The sweeper is not to be relied on by those it would look too late for.** `next` is the
//! instant of its next look, *never* while there is none.
//!
//! 1. The sweeper sets `next` to *never* before it sweeps, and to the instant that its timer is
//!    set to, after it looked. From then until that instant nothing but the timer wakes it.
//! 2. A caller arms its slot, then reads `next`; all in one order. If `next` is later than the
//!    deadline, the caller takes the slot back and waits on a timer of its own. If not, the
//!    slot was armed before the look at `next` began, and that look sees it.
//! 3. So a caller never has to wake the sweeper for its own deadline. Only while `next` is
//!    *never*, when no slot depends on the sweeper, does a caller ask for a look: for the calls
//!    that follow. A task that a worker's task wakes may sit in a slot of that worker that no
//!    other worker takes from, until the waking task yields; a sweeper that sat there behind a
//!    task that blocks made every deadline of the runtime late.
//! 4. A thread that is no worker may ask for a look at any time: what it wakes goes to all
//!    workers.
//!
//! A call is mostly over before its time. The sweeper sweeps at that time all the same, so the
//! calls that follow find a `next` that is earlier than their deadlines. It sweeps every five
//! seconds while anybody waits, and earlier if a caller with a shorter limit had to use a
//! timer.
//!
//! When the runtime is shut down, callers use timers of their own, and the sweeper ends as soon
//! as no slot is armed.

mod slot_pool;
pub(crate) mod slot_cache;
mod armed_slot;
pub(crate) mod blocking_wait;

use std::future::poll_fn;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Poll, Waker};
use std::time::Duration;

use futures_util::future::select;
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::task::coop::unconstrained;
use tokio::time::Instant;

use crate::base::catch::ignore_panic;
use crate::time::deadline_pool::armed_slot::Home;
use crate::time::deadline_pool::slot_cache::{LATEST_DUE, SlotCache, vtable_addr};
use crate::time::deadline_pool::slot_pool::{NEVER, SLOT_POOLS, SlotPool, own_pool};

pub(crate) use crate::time::deadline_pool::armed_slot::ArmedSlot;

/// The sweeper sweeps at least so often while a slot is armed: the time limit of most calls.
const MAX_SWEEP_INTERVAL: u64 = 5_000_000_000;
/// It does not look more often than this for the sake of calls to come.
const MIN_SWEEP_INTERVAL: u64 = 1_000_000;
/// A deadline that is so much later than the next look is worth a timer of its own: under a
/// paused clock each look on the way to it is a step of the clock.
const MAX_LEAD: u64 = 3_600_000_000_000;

/// All slots of a runtime.
#[derive(Debug)]
pub(crate) struct DeadlinePool {
    cache: SlotCache,
    /// Where those are armed that find their place taken.
    pools: [SlotPool; SLOT_POOLS],
    base: OnceLock<Instant>,
    next_sweep: AtomicU64,
    /// The shortest_wait time that a caller with a timer of its own had left, since the last look.
    shortest_wait: AtomicU64,
    /// The table of the wakers of tokio's tasks, as soon as it is known.
    task_vtable: AtomicUsize,
    /// How often the sweeper has looked: a sign of life of its tokio.
    sweeps: AtomicU64,
    /// Waits with a timer of their own.
    timer_waits: AtomicUsize,
    /// By a task; heeded while `next` is never.
    requested_by_task: Notify,
    /// By a thread that is no worker of this tokio; heeded always.
    requested_by_thread: Notify,
    started: AtomicBool,
    closed: AtomicBool,
}

impl DeadlinePool {
    pub(crate) fn new() -> Self {
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

    /// Arms the slot that this waker's task used last. `None` if it is not to be had, or if the
    /// waker is not that of a task: then only the thread knows which tokio polls the caller.
    #[inline]
    pub(crate) fn rearm(&self, due: Instant, waker: &Waker) -> Option<ArmedSlot<'_>> {
        if vtable_addr(waker) != self.task_vtable.load(Ordering::Relaxed) {
            return None;
        }
        let due = self.nanos(due);
        let slot = self.cache.rearm(due, waker)?;
        Some(ArmedSlot { home: Home::SlotCache(slot), due, deadlines: self })
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

    /// Arms a slot for a caller on a thread that is no worker of any tokio, and has the sweeper
    /// look in time: as soon as this tokio runs it. Panics if tokio's time is not enabled.
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

    /// A caller with a timer of its own, which had this long to wait: calls as short as this
    /// one may follow.
    pub(crate) fn request_sweep(self: &Arc<Self>, left: Duration, handle: Option<&Handle>) {
        if self.closed.load(Ordering::SeqCst) {
            return;
        }
        let left = u64::try_from(left.as_nanos()).unwrap_or(LATEST_DUE);
        self.shortest_wait.fetch_min(left, Ordering::SeqCst);
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
        let inside = handle.enter();
        drop(tokio::time::sleep(Duration::ZERO));
        drop(inside);
        if !self.started.swap(true, Ordering::SeqCst) {
            // With a budget, its own timer might not be looked at.
            handle.spawn(unconstrained(Arc::clone(self).run_sweeper()));
        }
    }

    fn nanos(&self, at: Instant) -> u64 {
        let base = self.base.get_or_init(|| base(at));
        u64::try_from(at.saturating_duration_since(*base).as_nanos())
            .map_or(LATEST_DUE, |nanos| nanos.min(LATEST_DUE))
    }

    async fn run_sweeper(self: Arc<Self>) {
        let guard = SweeperGuard(&self);
        poll_fn(|cx| {
            self.task_vtable.store(vtable_addr(cx.waker()), Ordering::Relaxed);
            Poll::Ready(())
        })
        .await;
        loop {
            let next = self.sweep_once();
            if self.closed.load(Ordering::SeqCst) && self.armed() == 0 {
                break;
            }
            let base = self.base.get().copied();
            let at = base.and_then(|base| base.checked_add(Duration::from_nanos(next)));
            match at.filter(|_| next != NEVER) {
                None => {
                    select(
                        pin!(self.requested_by_task.notified()),
                        pin!(self.requested_by_thread.notified()),
                    )
                    .await;
                }
                Some(at) => {
                    let _ = tokio::time::timeout_at(at, self.requested_by_thread.notified()).await;
                }
            }
        }
        drop(guard);
    }

    /// Wakes all that are due; returns the instant of the next look, and publishes it.
    fn sweep_once(&self) -> u64 {
        self.next_sweep.store(NEVER, Ordering::SeqCst);
        self.sweeps.fetch_add(1, Ordering::SeqCst);
        let shortest_wait = self.shortest_wait.swap(NEVER, Ordering::SeqCst);
        let now = self.nanos(Instant::now());
        let mut due = Vec::new();
        let nexts = self.pools.iter().map(|pool| pool.expire_due(now, &mut due));
        let earliest = nexts.fold(NEVER, u64::min);
        let earliest = earliest.min(self.cache.expire_due(now, &mut due));
        for waker in due {
            // It may be a user's, and the others are waiting.
            ignore_panic(|| waker.wake());
        }
        if earliest == NEVER && shortest_wait == NEVER {
            return NEVER;
        }
        let wait = shortest_wait.clamp(MIN_SWEEP_INTERVAL, MAX_SWEEP_INTERVAL);
        let next = earliest.min(now.saturating_add(wait));
        if !self.closed.load(Ordering::SeqCst) {
            self.next_sweep.store(next, Ordering::SeqCst);
        }
        next
    }

    /// Slots that are armed.
    fn armed(&self) -> usize {
        self.pools.iter().map(SlotPool::armed).sum::<usize>() + self.cache.armed()
    }

    /// Waits under way that have a deadline.
    pub(crate) fn active_waits(&self) -> usize {
        self.armed() + self.timer_waits.load(Ordering::SeqCst)
    }

    /// Counts a wait with a timer of its own.
    pub(crate) fn count_timer_wait(&self) -> TimerWait<'_> {
        self.timer_waits.fetch_add(1, Ordering::SeqCst);
        TimerWait(self)
    }

    /// How often the sweeper has looked; it is asked to do so once more.
    pub(crate) fn request_sweep_from_thread(&self) -> u64 {
        let sweeps = self.sweeps.load(Ordering::SeqCst);
        self.requested_by_thread.notify_one();
        sweeps
    }

    /// Whether the sweeper has looked since.
    pub(crate) fn has_swept_since(&self, sweeps: u64) -> bool {
        self.sweeps.load(Ordering::SeqCst) != sweeps
    }

    /// Ends the sweeper as soon as no slot is armed. While one is, it is left to its timer.
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

/// What instants are counted from, of which this is the first: before it, and before now. Those
/// of a call that began a while ago come after it, too.
fn base(first: Instant) -> Instant {
    let first = first.min(Instant::now());
    first.checked_sub(Duration::from_secs(3600)).unwrap_or(first)
}

/// While the sweeper lives. Its tokio may drop it at any time: then nobody is to rely on it.
struct SweeperGuard<'a>(&'a DeadlinePool);

impl Drop for SweeperGuard<'_> {
    fn drop(&mut self) {
        self.0.next_sweep.store(NEVER, Ordering::SeqCst);
        self.0.started.store(false, Ordering::SeqCst);
    }
}

/// A wait with a timer of its own, counted while it lasts.
#[derive(Debug)]
pub(crate) struct TimerWait<'a>(&'a DeadlinePool);

impl Drop for TimerWait<'_> {
    fn drop(&mut self) {
        self.0.timer_waits.fetch_sub(1, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests;
