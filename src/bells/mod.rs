//! Deadlines of calls, nearly free.
//!
//! A bell is an instant and a waker, on a [stand](crate::bells::stand) or a
//! [shelf](crate::bells::shelf). Arming one is a few stores, and so is taking it back: no timer
//! is made. One task per runtime sleeps until the earliest deadline there was when it last
//! looked, rings what is due, and looks again.
//!
//! **Why none is missed.** The task sets `next` to *never* before it looks, and to the
//! earliest deadline it saw after. Whoever arms exchanges its bell's deadline, then reads
//! `next`; all in one order.
//! So either the look sees the deadline, or `next` reads as *never* or as something later than
//! the deadline, and the task is told to look again. A shelf's lock does the same.
//!
//! A call is often over before the task comes to look. It sleeps until that call's deadline
//! all the same: so the calls that follow need not tell it again, each of them.
//!
//! When the runtime is shut down, the task ends as soon as no bell is armed. It says so before
//! it looks for the last time; and whoever arms looks whether it is there after that, and
//! starts it anew if not. So a wait that outlasts a shutdown still ends in time.

mod shelf;
pub(crate) mod stand;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::Waker;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::bells::shelf::{NEVER, SHELVES, Shelf, own_shelf};
use crate::bells::stand::{Bell, LAST, Stand};
use crate::quietly::quietly;

/// All bells of a runtime.
#[derive(Debug)]
pub(crate) struct Bells {
    stand: Stand,
    /// Where those hang that find their place taken.
    shelves: [Shelf; SHELVES],
    base: OnceLock<Instant>,
    next: AtomicU64,
    /// The earliest deadline whose owner told the task to look.
    told: AtomicU64,
    look: Notify,
    started: AtomicBool,
    closed: AtomicBool,
}

impl Bells {
    pub(crate) fn new() -> Self {
        Bells {
            stand: Stand::default(),
            shelves: Default::default(),
            base: OnceLock::new(),
            next: AtomicU64::new(NEVER),
            told: AtomicU64::new(NEVER),
            look: Notify::new(),
            started: AtomicBool::new(false),
            closed: AtomicBool::new(false),
        }
    }

    /// Arms a bell for this waker. Whoever keeps it [announces](ArmedBell::announce) it then.
    #[inline]
    pub(crate) fn arm(self: &Arc<Self>, due: Instant, waker: &Waker) -> ArmedBell<'_> {
        let due = self.nanos(due);
        let place = match self.stand.arm(due, waker) {
            Some(bell) => Place::Stand(bell),
            None => {
                let (shelf, at) = self.hang(due, waker);
                Place::Shelf(shelf, at)
            }
        };
        ArmedBell { place, due, bells: self }
    }

    #[cold]
    #[inline(never)]
    fn hang(&self, due: u64, waker: &Waker) -> (&Shelf, usize) {
        let shelf = &self.shelves[own_shelf()];
        (shelf, shelf.arm(due, waker))
    }

    /// The task is to look again.
    #[cold]
    #[inline(never)]
    fn tell(&self, due: u64) {
        self.told.fetch_min(due, Ordering::SeqCst);
        self.look.notify_one();
    }

    #[cold]
    fn start(self: &Arc<Self>, handle: &Handle) {
        let inside = handle.enter();
        drop(tokio::time::sleep(Duration::ZERO));
        drop(inside);
        if !self.started.swap(true, Ordering::SeqCst) {
            handle.spawn(Arc::clone(self).sweep());
        }
    }

    fn nanos(&self, at: Instant) -> u64 {
        let base = self.base.get_or_init(|| base(at));
        u64::try_from(at.saturating_duration_since(*base).as_nanos())
            .map_or(LAST, |nanos| nanos.min(LAST))
    }

    async fn sweep(self: Arc<Self>) {
        loop {
            let next = self.ring_due();
            if self.closed.load(Ordering::SeqCst) && self.rests() {
                return;
            }
            let base = self.base.get().copied();
            let at = base.and_then(|base| base.checked_add(Duration::from_nanos(next)));
            match at.filter(|_| next != NEVER) {
                None => self.look.notified().await,
                Some(at) => {
                    let _ = tokio::time::timeout_at(at, self.look.notified()).await;
                }
            }
        }
    }

    /// Rings all bells that are due; returns and publishes the next deadline.
    fn ring_due(&self) -> u64 {
        self.next.store(NEVER, Ordering::SeqCst);
        let told = self.told.swap(NEVER, Ordering::SeqCst);
        let now = self.nanos(Instant::now());
        let mut due = Vec::new();
        let nexts = self.shelves.iter().map(|shelf| shelf.take_due(now, &mut due));
        let next = nexts.fold(NEVER, u64::min);
        let next = next.min(self.stand.take_due(now, &mut due));
        for waker in due {
            // It may be a user's, and the others are waiting.
            quietly(|| waker.wake());
        }
        let next = next.min(told);
        self.next.store(next, Ordering::SeqCst);
        next
    }

    /// Nobody waits, and whoever will starts another task.
    fn rests(&self) -> bool {
        if self.armed() > 0 {
            return false;
        }
        self.started.store(false, Ordering::SeqCst);
        // Who armed one just now may have seen that this task is there.
        self.armed() == 0 || self.started.swap(true, Ordering::SeqCst)
    }

    /// Bells that are armed: calls under way with a deadline.
    pub(crate) fn armed(&self) -> usize {
        self.shelves.iter().map(Shelf::armed).sum::<usize>() + self.stand.armed()
    }

    /// Ends the task as soon as nobody waits.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
        self.look.notify_one();
    }
}

/// What instants are counted from, of which this is the first: before it, and before now. Those
/// of a call that began a while ago come after it, too.
fn base(first: Instant) -> Instant {
    let first = first.min(Instant::now());
    first.checked_sub(Duration::from_secs(3600)).unwrap_or(first)
}

/// A bell in use; dropping it takes it back.
#[derive(Debug)]
pub(crate) struct ArmedBell<'a> {
    place: Place<'a>,
    due: u64,
    bells: &'a Arc<Bells>,
}

/// Where it came from, and is given back to.
#[derive(Debug)]
enum Place<'a> {
    Stand(&'a Bell),
    Shelf(&'a Shelf, usize),
}

impl ArmedBell<'_> {
    /// Sees to it that the task looks in time. To be called at once where the bell is kept: to
    /// move it after its parts are written costs as much as to arm it. Panics, in the one who
    /// would wait, if tokio's time is not enabled.
    #[inline]
    pub(crate) fn announce<'h>(&self, handle: impl FnOnce() -> Option<&'h Handle>) {
        if !self.bells.started.load(Ordering::SeqCst)
            && let Some(handle) = handle()
        {
            self.bells.start(handle);
        }
        if self.due < self.bells.next.load(Ordering::SeqCst) {
            self.bells.tell(self.due);
        }
    }

    pub(crate) fn register(&self, waker: &Waker) {
        match self.place {
            Place::Stand(bell) => bell.register(waker),
            Place::Shelf(shelf, at) => shelf.register(at, waker),
        }
    }
}

impl Drop for ArmedBell<'_> {
    fn drop(&mut self) {
        match self.place {
            Place::Stand(bell) => bell.disarm(),
            Place::Shelf(shelf, at) => shelf.disarm(at),
        }
        if self.bells.closed.load(Ordering::Relaxed) {
            self.bells.look.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Bells, Place};
    use std::future::poll_fn;
    use std::sync::Arc;
    use std::sync::atomic::Ordering;
    use std::task::{Poll, Waker};
    use std::time::Duration;
    use tokio::runtime::Handle;
    use tokio::time::Instant;

    /// One thread arms them and another lets them go: there are no more for that.
    #[test]
    fn bells_go_back_to_where_they_came_from() {
        let bells = Arc::new(Bells::new());
        let arm = || bells.arm(Instant::now(), Waker::noop());
        for _ in 0..100 {
            let armed = [arm(), arm(), arm()];
            std::thread::scope(|scope| drop(scope.spawn(|| drop(armed)).join()));
        }
        let [first, second, third] = [arm(), arm(), arm()];
        assert!(matches!((&first.place, &second.place), (Place::Stand(_), Place::Stand(_))));
        assert!(matches!(third.place, Place::Shelf(_, 0)));
    }

    /// Waits for a bell; when it is armed, `armed` is run.
    async fn rung(bells: &Arc<Bells>, after: Duration, armed: impl Fn()) {
        let (handle, due) = (Handle::current(), Instant::now() + after);
        let mut bell = None;
        poll_fn(|cx| {
            if bell.is_some() {
                return Poll::Ready(());
            }
            bell.insert(bells.arm(due, cx.waker())).announce(|| Some(&handle));
            armed();
            Poll::Pending
        })
        .await;
        assert_eq!(Instant::now(), due);
    }

    /// The runtime's shutdown ends no wait that has its own end, and keeps no task for nothing.
    #[tokio::test(start_paused = true)]
    async fn bells_ring_after_the_end_and_then_rest() {
        let (bells, second) = (Arc::new(Bells::new()), Duration::from_secs(1));
        rung(&bells, second, || bells.close()).await;
        tokio::task::yield_now().await;
        assert!(!bells.started.load(Ordering::SeqCst));
        rung(&bells, second, || {}).await;
        tokio::task::yield_now().await;
        assert!(!bells.started.load(Ordering::SeqCst));
    }
}
