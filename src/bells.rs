//! Deadlines of calls, nearly free.
//!
//! A bell is an instant and a waker. Arming one is a store, and so is disarming it: no
//! timer is made. One task per runtime sleeps until the earliest deadline there was
//! when it last looked, rings what is due, and looks again.
//!
//! **Why none is missed.** The task sets `next` to *never* before it looks, and to the
//! earliest deadline it saw after. Whoever arms stores its deadline, then reads `next`:
//! either the look sees the deadline, or `next` reads as *never* or as something later
//! than the deadline, and the task is told to look again.
//!
//! A call is often over before the task comes to look. It sleeps until that call's deadline
//! all the same: so the calls that follow need not tell it again, each of them.
//!
//! When the runtime is shut down, the task ends as soon as no bell is armed. It says so before
//! it looks for the last time; and whoever arms looks whether it is there after that, and
//! starts it anew if not. So a wait that outlasts a shutdown still ends in time.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::task::Waker;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::bell::{Bell, LANES, Lane, NEVER, lane};

/// All bells of a runtime.
#[derive(Debug)]
pub(crate) struct Bells {
    free: [Lane; LANES],
    all: Mutex<Vec<Arc<Bell>>>,
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
            free: Default::default(),
            all: Mutex::default(),
            base: OnceLock::new(),
            next: AtomicU64::new(NEVER),
            told: AtomicU64::new(NEVER),
            look: Notify::new(),
            started: AtomicBool::new(false),
            closed: AtomicBool::new(false),
        }
    }

    /// Takes a bell and arms it for this waker. Panics, in the one who would wait, if tokio's
    /// time is not enabled.
    pub(crate) fn arm<'h>(
        self: &Arc<Self>,
        handle: impl FnOnce() -> Option<&'h Handle>,
        due: Instant,
        waker: &Waker,
    ) -> ArmedBell<'_> {
        let lane = &self.free[lane()];
        let kept = lane.lock().pop();
        let bell = kept.unwrap_or_else(|| self.cast());
        bell.register(waker);
        let due = self.nanos(due);
        bell.due.store(due, Ordering::SeqCst);
        let armed = ArmedBell { bell: Some(bell), lane, bells: self };
        if !self.started.load(Ordering::SeqCst)
            && let Some(handle) = handle()
        {
            self.start(handle);
        }
        if due < self.next.load(Ordering::SeqCst) {
            self.told.fetch_min(due, Ordering::SeqCst);
            self.look.notify_one();
        }
        armed
    }

    fn cast(&self) -> Arc<Bell> {
        let bell = Arc::new(Bell::new());
        self.all.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(&bell));
        bell
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
        let base =
            self.base.get_or_init(|| at.checked_sub(Duration::from_secs(3600)).unwrap_or(at));
        u64::try_from(at.saturating_duration_since(*base).as_nanos()).unwrap_or(NEVER - 1)
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
        let bells = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        let mut next = NEVER;
        let mut due = Vec::new();
        for bell in bells.iter() {
            match bell.due.load(Ordering::SeqCst) {
                NEVER => {}
                at if at <= now => due.push((Arc::clone(bell), at)),
                at => next = next.min(at),
            }
        }
        drop(bells);
        due.iter().for_each(|(bell, seen)| bell.ring(*seen));
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
        let bells = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        bells.iter().filter(|bell| bell.due.load(Ordering::SeqCst) != NEVER).count()
    }

    /// Ends the task as soon as nobody waits.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
        self.look.notify_one();
    }
}

/// A bell in use; dropping it disarms it and gives it back.
#[derive(Debug)]
pub(crate) struct ArmedBell<'a> {
    bell: Option<Arc<Bell>>,
    lane: &'a Lane,
    bells: &'a Bells,
}

impl ArmedBell<'_> {
    pub(crate) fn register(&self, waker: &Waker) {
        if let Some(bell) = &self.bell {
            bell.register(waker);
        }
    }
}

impl Drop for ArmedBell<'_> {
    fn drop(&mut self) {
        if let Some(bell) = self.bell.take() {
            // A look that comes before this rings for nothing, which does no harm.
            bell.due.store(NEVER, Ordering::Release);
            // To where it came from, or one thread might take all that others give back.
            self.lane.lock().push(bell);
            if self.bells.closed.load(Ordering::Relaxed) {
                self.bells.look.notify_one();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Bells;
    use crate::bell::NEVER;
    use std::future::poll_fn;
    use std::sync::Arc;
    use std::sync::atomic::Ordering;
    use std::task::{Poll, Waker};
    use std::time::Duration;
    use tokio::runtime::Handle;
    use tokio::time::Instant;

    /// A bell that was seen to be due, and is another call's by the time it is rung, still
    /// rings for that one.
    #[test]
    fn a_late_ring_leaves_the_next_deadline_alone() {
        let bells = Arc::new(Bells::new());
        let now = Instant::now();
        let first = bells.arm(|| None, now, Waker::noop());
        let seen = bells.nanos(now);
        drop(first);
        let second = bells.arm(|| None, now + Duration::from_secs(5), Waker::noop());
        let bell = second.bell.as_ref().expect("it is armed");
        bell.ring(seen);
        let armed = bell.due.load(Ordering::SeqCst);
        assert_eq!(armed, bells.nanos(now + Duration::from_secs(5)));
        bell.ring(armed);
        assert_eq!(bell.due.load(Ordering::SeqCst), NEVER);
    }

    /// One thread arms them and another lets them go: there are no more for that.
    #[test]
    fn bells_go_back_to_where_they_came_from() {
        let bells = Arc::new(Bells::new());
        for _ in 0..100 {
            let armed = bells.arm(|| None, Instant::now(), Waker::noop());
            std::thread::scope(|scope| drop(scope.spawn(|| drop(armed)).join()));
        }
        assert_eq!(bells.all.lock().unwrap().len(), 1);
    }

    /// Waits for a bell; when it is armed, `armed` is run.
    async fn rung(bells: &Arc<Bells>, after: Duration, armed: impl Fn()) {
        let (handle, due) = (Handle::current(), Instant::now() + after);
        let mut bell = None;
        poll_fn(|cx| {
            if bell.is_some() {
                return Poll::Ready(());
            }
            bell = Some(bells.arm(|| Some(&handle), due, cx.waker()));
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
