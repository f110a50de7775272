//! Which timers fire in one round of the driving task, and until when the task waits for the next
//! round.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};

use crate::base::sync::atomic::Ordering;
use crate::base::user_panics::drop_each;
use crate::time::timer_queue::clock::NEVER;
use crate::time::timer_queue::timer::DueTimer;
use crate::time::timer_queue::{Shared, TimerQueue};

/// The longest time for which the driving task waits. tokio's own timers reach two years ahead.
const LONGEST_WAIT: Duration = Duration::from_secs(365 * 24 * 3600);

/// What a round has found.
#[derive(Debug)]
pub(crate) enum Round {
    /// The queue is closed.
    Closed,
    /// Timers that are due, or none if the round has only freed timers.
    Done(Vec<DueTimer>),
    /// Another thread has changed the queue meanwhile.
    Changed,
    /// Nothing: the driving task waits until this instant.
    Waits(u64),
}

/// The driving task's side of a queue.
pub(crate) struct Wait {
    queue: TimerQueue,
    /// Timers that were due in the last round, and were armed after it had begun.
    late: Vec<DueTimer>,
    sleep: Option<Pin<Box<Sleep>>>,
}

impl Wait {
    pub(crate) fn new(queue: TimerQueue) -> Self {
        Wait { queue, late: Vec::new(), sleep: None }
    }

    pub(crate) fn queue(&self) -> &TimerQueue {
        &self.queue
    }

    /// Returns all timers that are due, in the order of their times, and for the same time in the
    /// order of their numbers. Returns `None` once the queue is closed. Intervals have been armed
    /// again, so they are pending.
    ///
    /// Frees a slice of the timers of ended targets. If such timers are left, returns at once, maybe
    /// without any timer: the caller yields and comes back.
    pub(crate) fn poll_round(&mut self, cx: &mut Context<'_>) -> Poll<Option<Vec<DueTimer>>> {
        loop {
            let now = self.queue.0.clock.nanos(Instant::now());
            match self.round(now, cx.waker()) {
                Round::Closed => return Poll::Ready(None),
                Round::Done(due) => return Poll::Ready(Some(due)),
                Round::Changed => {}
                Round::Waits(until) => ready!(self.poll_sleep(until, cx)),
            }
        }
    }

    /// One round at the instant `now`. If there is nothing to do, prepares a wait.
    pub(crate) fn round(&mut self, now: u64, waker: &Waker) -> Round {
        let shared = &*self.queue.0;
        if shared.closed.load(Ordering::SeqCst) {
            return Round::Closed;
        }
        shared.wake_up.set_awake();
        let due = shared.take_due(now, &mut self.late);
        let has_freed = shared.free_slice();
        if !due.is_empty() || has_freed {
            return Round::Done(due);
        }
        let until = self.late.is_empty().then(|| shared.wait_until(waker)).flatten();
        until.map_or(Round::Changed, Round::Waits)
    }

    fn poll_sleep(&mut self, next: u64, cx: &mut Context<'_>) -> Poll<()> {
        if next == NEVER {
            // Without a timer, a paused clock does not advance.
            self.sleep = None;
            return Poll::Pending;
        }
        let clock = &self.queue.0.clock;
        let next = clock.instant(next).min(Instant::now() + LONGEST_WAIT);
        let sleep = self.sleep.get_or_insert_with(|| Box::pin(sleep_until(next)));
        if sleep.deadline() != next {
            sleep.as_mut().reset(next);
        }
        sleep.as_mut().poll(cx)
    }
}

impl Shared {
    /// Takes the timers that are due at `now`, in their order. `late` has timers that were due
    /// already, and gets those that were armed after this round began.
    pub(super) fn take_due(&self, now: u64, late: &mut Vec<DueTimer>) -> Vec<DueTimer> {
        let next_id = self.next_id.load(Ordering::SeqCst);
        let mut due = std::mem::take(late);
        for locked in &self.shards {
            if locked.next.load(Ordering::SeqCst) > now {
                continue;
            }
            loop {
                let mut shard = locked.shard.lock();
                if shard.take_due(now, &mut due) {
                    locked.next.store(shard.earliest(), Ordering::SeqCst);
                    break;
                }
            }
        }
        if due.iter().any(|timer| timer.key.id >= next_id) {
            let (early, armed_since) = due.into_iter().partition(|timer| timer.key.id < next_id);
            (due, *late) = (early, armed_since);
        }
        due.sort_unstable_by_key(|timer| (timer.due, timer.key.id));
        due
    }

    /// Frees a slice of the timers of ended targets, in each shard. Returns whether there were any.
    pub(super) fn free_slice(&self) -> bool {
        if !self.has_ended_targets.swap(false, Ordering::SeqCst) {
            return false;
        }
        for locked in &self.shards {
            let mut shard = locked.shard.lock();
            let freed = shard.free_slice();
            if shard.has_ended_targets() {
                self.has_ended_targets.store(true, Ordering::SeqCst);
            }
            if shard.is_empty() {
                locked.next.store(NEVER, Ordering::SeqCst);
            }
            drop(shard);
            drop_each(freed);
        }
        true
    }

    /// Prepares a wait, and returns the instant until which to wait. Returns `None` if there is
    /// something to do.
    pub(super) fn wait_until(&self, waker: &Waker) -> Option<u64> {
        let next = self.next();
        self.wake_up.set_waiting(next, waker);
        let is_unchanged = self.next() == next
            && !self.has_ended_targets.load(Ordering::SeqCst)
            && !self.closed.load(Ordering::SeqCst);
        is_unchanged.then_some(next)
    }
}
