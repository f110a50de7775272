//! Deadlines of calls, nearly free.
//!
//! A *slot* is a deadline and a waker, in the [per-task cache](crate::time::deadline_pool::slot_cache) or in a
//! [pool](crate::time::deadline_pool::slot_pool). Arming one is a few stores, and so is taking it back: no timer
//! is made. One task per runtime, the *sweeper*, sleeps until its next look, wakes what is due,
//! and looks again.
//!
//! **The sweeper is not to be relied on by those it would look too late for.** `next` is the
//! instant of its next look, *never* while there is none.
//!
//! 1. The sweeper sets `next` to *never* before it looks, and to the instant that its timer is
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
//! A call is mostly over before its time. The sweeper looks at that time all the same, so the
//! calls that follow find a `next` that is earlier than their deadlines. It looks every five
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
use crate::time::deadline_pool::slot_cache::{LAST, SlotCache, table};
use crate::time::deadline_pool::slot_pool::{NEVER, SLOT_POOLS, SlotPool, own_pool};

pub(crate) use crate::time::deadline_pool::armed_slot::ArmedSlot;

/// The sweeper looks at least so often while a slot is armed: the time limit of most calls.
const LOOK_EVERY: u64 = 5_000_000_000;
/// It does not look more often than this for the sake of calls to come.
const LOOK_AT_MOST_EVERY: u64 = 1_000_000;
/// A deadline that is so much later than the next look is worth a timer of its own: under a
/// paused clock each look on the way to it is a step of the clock.
const FAR: u64 = 3_600_000_000_000;

/// All slots of a runtime.
#[derive(Debug)]
pub(crate) struct DeadlinePool {
    cache: SlotCache,
    /// Where those are armed that find their place taken.
    pools: [SlotPool; SLOT_POOLS],
    base: OnceLock<Instant>,
    next: AtomicU64,
    /// The shortest time that a caller with a timer of its own had left, since the last look.
    shortest: AtomicU64,
    /// The table of the wakers of tokio's tasks, as soon as it is known.
    task_table: AtomicUsize,
    /// How often the sweeper has looked: a sign of life of its tokio.
    looks: AtomicU64,
    /// Waits with a timer of their own.
    timed: AtomicUsize,
    /// By a task; heeded while `next` is never.
    wanted: Notify,
    /// By a thread that is no worker of this tokio; heeded always.
    outside: Notify,
    started: AtomicBool,
    closed: AtomicBool,
}

impl DeadlinePool {
    pub(crate) fn new() -> Self {
        DeadlinePool {
            cache: SlotCache::default(),
            pools: Default::default(),
            base: OnceLock::new(),
            next: AtomicU64::new(NEVER),
            shortest: AtomicU64::new(NEVER),
            task_table: AtomicUsize::new(0),
            looks: AtomicU64::new(0),
            timed: AtomicUsize::new(0),
            wanted: Notify::new(),
            outside: Notify::new(),
            started: AtomicBool::new(false),
            closed: AtomicBool::new(false),
        }
    }

    /// Arms the slot that this waker's task used last. `None` if it is not to be had, or if the
    /// waker is not that of a task: then only the thread knows which tokio polls the caller.
    #[inline]
    pub(crate) fn rearm(&self, due: Instant, waker: &Waker) -> Option<ArmedSlot<'_>> {
        if table(waker) != self.task_table.load(Ordering::Relaxed) {
            return None;
        }
        let due = self.nanos(due);
        let slot = self.cache.rearm(due, waker)?;
        Some(ArmedSlot { place: Home::SlotCache(slot), due, deadlines: self })
    }

    /// Arms a slot for a caller that this runtime's tokio polls.
    #[cold]
    #[inline(never)]
    pub(crate) fn arm(&self, due: Instant, waker: &Waker) -> ArmedSlot<'_> {
        let due = self.nanos(due);
        match self.cache.arm(due, waker) {
            Some(slot) => ArmedSlot { place: Home::SlotCache(slot), due, deadlines: self },
            None => self.hang(due, waker),
        }
    }

    fn hang(&self, due: u64, waker: &Waker) -> ArmedSlot<'_> {
        let pool = &self.pools[own_pool()];
        let at = pool.arm(due, waker);
        ArmedSlot { place: Home::SlotPool(pool, at), due, deadlines: self }
    }

    /// Arms a slot for a caller on a thread that is no worker of any tokio, and has the sweeper
    /// look in time: as soon as this tokio runs it. Panics if tokio's time is not enabled.
    pub(crate) fn arm_outside(
        self: &Arc<Self>,
        due: Instant,
        waker: &Waker,
        handle: &Handle,
    ) -> ArmedSlot<'_> {
        let slot = self.hang(self.nanos(due), waker);
        self.start(handle);
        if !slot.is_in_time() {
            self.outside.notify_one();
        }
        slot
    }

    /// A caller with a timer of its own, which had this long to wait: calls as short as this
    /// one may follow.
    pub(crate) fn want(self: &Arc<Self>, left: Duration, handle: Option<&Handle>) {
        if self.closed.load(Ordering::SeqCst) {
            return;
        }
        let left = u64::try_from(left.as_nanos()).unwrap_or(LAST);
        self.shortest.fetch_min(left, Ordering::SeqCst);
        if self.next.load(Ordering::SeqCst) == NEVER
            && let Some(handle) = handle
        {
            self.start(handle);
            self.wanted.notify_one();
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
            handle.spawn(unconstrained(Arc::clone(self).sweep()));
        }
    }

    fn nanos(&self, at: Instant) -> u64 {
        let base = self.base.get_or_init(|| base(at));
        u64::try_from(at.saturating_duration_since(*base).as_nanos())
            .map_or(LAST, |nanos| nanos.min(LAST))
    }

    async fn sweep(self: Arc<Self>) {
        let sweeping = Sweeping(&self);
        poll_fn(|cx| {
            self.task_table.store(table(cx.waker()), Ordering::Relaxed);
            Poll::Ready(())
        })
        .await;
        loop {
            let next = self.look();
            if self.closed.load(Ordering::SeqCst) && self.armed() == 0 {
                break;
            }
            let base = self.base.get().copied();
            let at = base.and_then(|base| base.checked_add(Duration::from_nanos(next)));
            match at.filter(|_| next != NEVER) {
                None => {
                    select(pin!(self.wanted.notified()), pin!(self.outside.notified())).await;
                }
                Some(at) => {
                    let _ = tokio::time::timeout_at(at, self.outside.notified()).await;
                }
            }
        }
        drop(sweeping);
    }

    /// Wakes all that are due; returns the instant of the next look, and publishes it.
    fn look(&self) -> u64 {
        self.next.store(NEVER, Ordering::SeqCst);
        self.looks.fetch_add(1, Ordering::SeqCst);
        let shortest = self.shortest.swap(NEVER, Ordering::SeqCst);
        let now = self.nanos(Instant::now());
        let mut due = Vec::new();
        let nexts = self.pools.iter().map(|pool| pool.take_due(now, &mut due));
        let earliest = nexts.fold(NEVER, u64::min);
        let earliest = earliest.min(self.cache.take_due(now, &mut due));
        for waker in due {
            // It may be a user's, and the others are waiting.
            ignore_panic(|| waker.wake());
        }
        if earliest == NEVER && shortest == NEVER {
            return NEVER;
        }
        let wait = shortest.clamp(LOOK_AT_MOST_EVERY, LOOK_EVERY);
        let next = earliest.min(now.saturating_add(wait));
        if !self.closed.load(Ordering::SeqCst) {
            self.next.store(next, Ordering::SeqCst);
        }
        next
    }

    /// Slots that are armed.
    fn armed(&self) -> usize {
        self.pools.iter().map(SlotPool::armed).sum::<usize>() + self.cache.armed()
    }

    /// Waits under way that have a deadline.
    pub(crate) fn under_way(&self) -> usize {
        self.armed() + self.timed.load(Ordering::SeqCst)
    }

    /// Counts a wait with a timer of its own.
    pub(crate) fn count_timed(&self) -> Timed<'_> {
        self.timed.fetch_add(1, Ordering::SeqCst);
        Timed(self)
    }

    /// How often the sweeper has looked; it is asked to do so once more.
    pub(crate) fn ask_for_a_sign(&self) -> u64 {
        let looks = self.looks.load(Ordering::SeqCst);
        self.outside.notify_one();
        looks
    }

    /// Whether the sweeper has looked since.
    pub(crate) fn has_looked_since(&self, looks: u64) -> bool {
        self.looks.load(Ordering::SeqCst) != looks
    }

    /// Ends the sweeper as soon as no slot is armed. While one is, it is left to its timer.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
        self.end_if_idle();
    }

    #[cold]
    fn end_if_idle(&self) {
        if self.armed() == 0 {
            self.outside.notify_one();
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
struct Sweeping<'a>(&'a DeadlinePool);

impl Drop for Sweeping<'_> {
    fn drop(&mut self) {
        self.0.next.store(NEVER, Ordering::SeqCst);
        self.0.started.store(false, Ordering::SeqCst);
    }
}

/// A wait with a timer of its own, counted while it lasts.
#[derive(Debug)]
pub(crate) struct Timed<'a>(&'a DeadlinePool);

impl Drop for Timed<'_> {
    fn drop(&mut self) {
        self.0.timed.fetch_sub(1, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests;
