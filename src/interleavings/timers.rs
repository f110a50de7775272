//! The timer queue: arming, disarming and the end of a target, while the driving task takes the
//! timers that are due.

use std::sync::Arc;
use std::task::{Wake, Waker};
use std::time::Duration;

use crate::base::pid::Pid;
use crate::base::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use crate::interleavings::check;
use crate::message::dest::Dest;
use crate::time::timer_queue::{Action, NewTimer, Round, TimerKey, TimerQueue, Wait};

/// Pids of two targets, whose timers are in the first and in the second shard.
const FIRST: u64 = 2;
const SECOND: u64 = 3;

/// The waker of the driving task.
struct Woken(AtomicUsize);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, SeqCst);
    }
}

fn arm(queue: &TimerQueue, target: u64, delay: u64) -> TimerKey {
    let (to, delay) = (Dest::Pid(Pid::from_raw(target)), Duration::from_nanos(delay));
    queue.arm_at(1, NewTimer { to, action: Action::Kill, delay, period: None })
}

/// Takes rounds at the instant `now` until there is nothing to do. Returns the numbers of the timers
/// that have fired, in their order, and the instant until which the driving task would wait.
fn rounds(wait: &mut Wait, now: u64, waker: &Waker) -> (Vec<u64>, u64) {
    let mut fired = Vec::new();
    loop {
        match wait.round(now, waker) {
            Round::Done(due) => fired.extend(due.iter().map(|due| due.key.id)),
            Round::Changed => {}
            Round::Waits(until) => return (fired, until),
            Round::Closed => return (fired, 0),
        }
    }
}

fn waker() -> (Arc<Woken>, Waker) {
    let woken = Arc::new(Woken(AtomicUsize::new(0)));
    (Arc::clone(&woken), Waker::from(woken))
}

/// L19. Timers are armed while the driving task decides until when it waits. It waits for the
/// earliest timer, or is woken.
///
/// Not under loom, which explores sequentially consistent accesses as acquire and release: with
/// these, each side may miss what the other has stored.
#[cfg(regrow_shuttle)]
#[test]
fn the_driving_task_waits_for_no_instant_after_a_timer_unless_it_is_woken() {
    check(|world| {
        let (queue, (woken, waker)) = (TimerQueue::default(), waker());
        arm(&queue, FIRST, 9);
        let other = queue.clone();
        let arms = world.on_thread(move |_| {
            arm(&other, SECOND, 5);
            arm(&other, FIRST, 7);
        });
        let (_, until) = rounds(&mut Wait::new(queue), 1, &waker);
        arms.join().expect("it ends");
        assert!(until <= 6 || woken.0.load(SeqCst) > 0, "waits until {until}");
    });
}

/// L19. A timer is disarmed while it fires.
#[test]
fn a_timer_fires_exactly_if_it_was_not_disarmed() {
    check(|world| {
        let (queue, (_, waker)) = (TimerQueue::default(), waker());
        let keys = [arm(&queue, FIRST, 1), arm(&queue, FIRST, 1)];
        let other = queue.clone();
        let disarms = world.on_thread(move |_| keys.map(|key| other.disarm(key)));
        let mut wait = Wait::new(queue.clone());
        let (fired, _) = rounds(&mut wait, 5, &waker);
        let disarmed = disarms.join().expect("it ends");
        for (key, disarmed) in keys.into_iter().zip(disarmed) {
            assert_ne!(disarmed, fired.contains(&key.id));
        }
        assert_eq!(queue.len(), 0);
    });
}

/// L19. A target ends while its timers fire and another thread disarms one of them. Afterwards none is
/// pending, and the entry of the one is free for another timer.
#[test]
fn no_timer_of_an_ended_target_is_pending() {
    check(|world| {
        let (queue, (_, waker)) = (TimerQueue::default(), waker());
        let keys = [arm(&queue, FIRST, 1), arm(&queue, FIRST, 8)];
        let (ends, disarms) = (queue.clone(), queue.clone());
        let disarmed = world.on_thread(move |_| disarms.disarm(keys[0]));
        let ended = world.on_thread(move |_| ends.end_target(Pid::from_raw(FIRST)));
        let mut wait = Wait::new(queue.clone());
        let (fired, _) = rounds(&mut wait, 5, &waker);
        let disarmed = disarmed.join().expect("it ends");
        ended.join().expect("it ends");
        assert!(!(disarmed && fired.contains(&keys[0].id)), "disarmed, and fired");
        assert!(!fired.contains(&keys[1].id), "it was not due");
        assert_eq!(queue.len(), 0);
        let next = arm(&queue, SECOND, 1);
        assert!(keys.into_iter().all(|key| !queue.disarm(key)));
        assert_eq!(rounds(&mut wait, 5, &waker).0, [next.id]);
    });
}

/// L19. Two timers that are due at once are armed one after the other, in two shards. They fire in
/// that order, although a round looks at one shard after the other.
#[test]
fn timers_that_are_due_at_once_fire_in_the_order_they_were_armed() {
    check(|world| {
        let (queue, (_, waker)) = (TimerQueue::default(), waker());
        let other = queue.clone();
        let arms = world.on_thread(move |_| [arm(&other, FIRST, 0), arm(&other, SECOND, 0)]);
        let mut wait = Wait::new(queue);
        let (mut fired, _) = rounds(&mut wait, 5, &waker);
        let armed = arms.join().expect("it ends").map(|key| key.id);
        fired.extend(rounds(&mut wait, 5, &waker).0);
        assert_eq!(fired, armed);
    });
}
