//! The queue against a model that keeps all timers in one list, under a clock that the test moves.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Wake, Waker};
use std::time::Duration;

use crate::base::pid::Pid;
use crate::base::random::Random;
use crate::message::dest::Dest;
use crate::time::timer_queue::clock::NEVER;
use crate::time::timer_queue::shard::SLICE;
use crate::time::timer_queue::{Action, DueTimer, Locked, NewTimer, TimerKey, TimerQueue};

const MILLISECOND: u64 = 1_000_000;
const HOUR: u64 = 3_600_000 * MILLISECOND;

/// One pending timer of the model.
#[derive(Debug, Clone, Copy)]
struct Model {
    key: TimerKey,
    due: u64,
    period: Option<u64>,
}

struct Case {
    queue: TimerQueue,
    late: Vec<DueTimer>,
    model: Vec<Model>,
    /// Keys of timers that may no longer be pending.
    old: Vec<TimerKey>,
    now: u64,
    random: Random,
}

fn timer(target: Pid, delay: u64, period: Option<u64>) -> NewTimer {
    NewTimer {
        to: Dest::Pid(target),
        action: Action::Send(vec![1], Default::default()),
        delay: Duration::from_nanos(delay),
        period: period.map(Duration::from_nanos),
    }
}

impl Case {
    fn new(seed: u64) -> Self {
        let (model, late, old) = (Vec::new(), Vec::new(), Vec::new());
        let random = Random::seeded(seed);
        Case { queue: TimerQueue::default(), late, model, old, now: 0, random }
    }

    /// A span of time. Short spans are as likely as long ones.
    fn span(&mut self) -> u64 {
        let longest = [1, 1_000, MILLISECOND, 70 * MILLISECOND, 5_000 * MILLISECOND, 300 * HOUR];
        let longest = longest[self.random.below(longest.len())];
        let in_units = self.random.below(1_000) as u64 * longest / 1_000;
        if self.random.below(3) == 0 { in_units / MILLISECOND * MILLISECOND } else { in_units }
    }

    fn pid(&mut self) -> Pid {
        Pid::from_raw(self.random.below(20) as u64)
    }

    fn step(&mut self) {
        match self.random.below(12) {
            0..=4 => self.arm(),
            5..=7 => self.disarm(),
            8 if self.random.below(4) == 0 => self.end_target(),
            9 => drop(self.queue.0.free_slice()),
            _ => self.advance(),
        }
        let first = self.model.iter().map(|timer| timer.due).min().unwrap_or(NEVER);
        assert!(self.queue.0.next() <= first, "a timer is due before `next`");
        assert_eq!(self.queue.len(), self.model.len());
    }

    fn arm(&mut self) {
        let (target, delay) = (self.pid(), self.span());
        let period = (self.random.below(8) == 0).then(|| self.span().max(MILLISECOND));
        let key = self.queue.arm_at(self.now, timer(target, delay, period));
        self.model.push(Model { key, due: self.now + delay, period });
    }

    fn disarm(&mut self) {
        if self.model.is_empty() || self.random.below(5) == 0 {
            if let Some(key) = self.old.last() {
                assert!(!self.queue.disarm(*key), "it is no longer pending");
            }
            return;
        }
        let at = self.random.below(self.model.len());
        let Model { key, due, .. } = self.model.swap_remove(at);
        let locked = self.queue.0.shard(key.target);
        assert_eq!(locked.shard.lock().due(key), Some(due));
        assert!(self.queue.disarm(key));
        self.old.push(key);
    }

    fn end_target(&mut self) {
        let target = self.pid();
        self.queue.end_target(target);
        self.old.extend(self.model.extract_if(.., |t| t.key.target == target).map(|t| t.key));
    }

    fn advance(&mut self) {
        // Often just to the next instant at which the driving task would be woken.
        let next = self.queue.0.next();
        let to_next = next != NEVER && self.random.below(2) == 0;
        self.now = if to_next { self.now.max(next) } else { self.now + self.span() };
        let due = self.queue.0.take_due(self.now, &mut self.late);
        assert!(self.late.is_empty());
        let fired: Vec<_> = due.iter().map(|timer| (timer.due, timer.key.id)).collect();
        assert_eq!(fired, self.take_due(), "at {}", self.now);
    }

    /// The timers of the model that are due.
    fn take_due(&mut self) -> Vec<(u64, u64)> {
        let mut due = Vec::new();
        for timer in std::mem::take(&mut self.model) {
            if timer.due > self.now {
                self.model.push(timer);
                continue;
            }
            due.push((timer.due, timer.key.id));
            match timer.period {
                Some(period) => self.model.push(Model { due: timer.due + period, ..timer }),
                None => self.old.push(timer.key),
            }
        }
        due.sort_unstable();
        due
    }
}

#[test]
fn the_queue_agrees_with_a_sorted_list() {
    let seeds =
        if std::env::var("REGROW_PROOF").is_ok_and(|size| size == "full") { 50_000 } else { 500 };
    for seed in 1..=seeds {
        let mut case = Case::new(seed);
        for _ in 0..300 {
            case.step();
        }
        // An interval that has missed ticks fires once a round.
        case.model.retain(|timer| timer.period.is_none() || !case.queue.disarm(timer.key));
        case.now += 400 * HOUR;
        let due = case.queue.0.take_due(case.now, &mut case.late);
        assert_eq!(due.len(), case.take_due().len(), "seed {seed}");
        while case.queue.0.free_slice() {}
        assert_eq!((case.queue.len(), case.queue.0.next()), (0, NEVER), "seed {seed}");
    }
}

/// The number of chunks of memory that the queue holds.
fn allocated(queue: &TimerQueue) -> usize {
    queue.0.shards.iter().map(|Locked { shard, .. }| shard.lock().allocated()).sum()
}

/// The timers of a target that has ended are freed slice by slice, long before they are due, and with
/// them their memory, except for one chunk.
#[test]
fn the_timers_of_an_ended_target_are_freed_in_slices() {
    let (queue, target) = (TimerQueue::default(), Pid::from_raw(7));
    let keys: Vec<_> =
        (0..20 * SLICE).map(|_| queue.arm_at(0, timer(target, HOUR, None))).collect();
    let other = queue.arm_at(0, timer(Pid::from_raw(15), HOUR, None));
    assert!(allocated(&queue) > 20 * SLICE / 64);
    queue.end_target(target);
    assert_eq!(queue.len(), 1);
    assert!(keys.iter().all(|key| !queue.disarm(*key) && queue.due(*key).is_none()));
    for slice in (0..20).rev() {
        assert!(queue.0.free_slice(), "slice {slice}");
        assert!(allocated(&queue) <= slice * SLICE / 64 + 2, "after slice {slice}");
    }
    assert!(!queue.0.free_slice());
    assert!(queue.0.take_due(2 * HOUR, &mut Vec::new()).iter().map(|due| due.key).eq([other]));
}

/// A timer that was armed after a round began waits for the next one, as one does that the round did
/// not see.
#[test]
fn a_timer_that_is_armed_during_a_round_waits_for_the_next_round() {
    let queue = TimerQueue::default();
    let [early, late] = [1, 2].map(|pid| queue.arm_at(0, timer(Pid::from_raw(pid), 0, None)));
    // The round begins before the second timer has its number.
    queue.0.next_id.store(late.id, Ordering::SeqCst);
    let mut waiting = Vec::new();
    let due = queue.0.take_due(1, &mut waiting);
    assert_eq!(due.iter().map(|due| due.key).collect::<Vec<_>>(), [early]);
    queue.0.next_id.store(late.id + 1, Ordering::SeqCst);
    let due = queue.0.take_due(1, &mut waiting);
    assert_eq!(due.iter().map(|due| due.key).collect::<Vec<_>>(), [late]);
}

#[derive(Default)]
struct Woken(AtomicUsize);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// The driving task is woken for an earlier timer and for timers that are to be freed, and for nothing
/// else.
#[test]
fn the_driving_task_is_woken_only_for_an_earlier_timer_or_for_timers_to_be_freed() {
    let (queue, woken) = (TimerQueue::default(), Arc::new(Woken::default()));
    let waker = Waker::from(Arc::clone(&woken));
    let cx = Context::from_waker(&waker);
    let wakes = || woken.0.swap(0, Ordering::SeqCst);
    let target = Pid::from_raw(1);
    assert_eq!(queue.0.wait_until(cx.waker()), Some(NEVER));
    let first = queue.arm_at(0, timer(target, 500, None));
    assert_eq!(wakes(), 1);
    assert_eq!(queue.0.wait_until(cx.waker()), Some(500));
    queue.arm_at(0, timer(target, 500, None));
    queue.arm_at(0, timer(Pid::from_raw(2), 900, None));
    queue.disarm(first);
    assert_eq!(wakes(), 0);
    for _ in 0..=SLICE {
        queue.arm_at(0, timer(target, HOUR, None));
    }
    queue.end_target(target);
    assert_eq!(wakes(), 1);
    assert_eq!(queue.0.wait_until(cx.waker()), None, "there are timers to be freed");
}

/// On a tokio of one thread, whose clock may be paused, no wait is left over from a timer that was
/// cancelled: the clock would advance to it.
#[test]
fn the_cancellation_of_the_last_timer_ends_the_wait_for_it() {
    for (threads, expected) in [(None, 1), (Some(1), 0)] {
        let mut tokio = match threads {
            None => tokio::runtime::Builder::new_current_thread(),
            Some(threads) => {
                let mut tokio = tokio::runtime::Builder::new_multi_thread();
                tokio.worker_threads(threads);
                tokio
            }
        };
        let tokio = tokio.enable_time().build().unwrap();
        let _inside = tokio.enter();
        let (queue, woken) = (TimerQueue::default(), Arc::new(Woken::default()));
        let waker = Waker::from(Arc::clone(&woken));
        let armed = queue.arm(timer(Pid::from_raw(1), HOUR, None), tokio.handle());
        assert!(armed.starts_driver);
        assert!(queue.0.wait_until(&waker).is_some_and(|until| until < NEVER));
        assert!(queue.disarm(armed.key));
        assert_eq!(woken.0.load(Ordering::SeqCst), expected);
        assert_eq!(queue.0.wait_until(&waker), Some(NEVER));
    }
}
