//! Tests of the sweeper, and of the rule that says whether a caller may rely on it.

use super::armed_slot::Home;
use super::cached_slot::vtable_addr;
use super::{DeadlinePool, Due, FREQUENT, MAX_SWEEP_INTERVAL, MIN_LIMIT, NEVER};
use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Poll, Waker};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::task::yield_now;
use tokio::time::{Instant, sleep};

const SECOND: Duration = Duration::from_secs(1);

/// Slots that one thread arms and another thread disarms are used again.
#[test]
fn slots_return_to_the_cache_or_the_pool_that_they_belong_to() {
    let deadlines = DeadlinePool::default();
    let arm = || deadlines.arm(Instant::now(), Waker::noop());
    for _ in 0..100 {
        let armed = [arm(), arm(), arm()];
        std::thread::scope(|scope| drop(scope.spawn(|| drop(armed)).join()));
    }
    let [first, second, third] = [arm(), arm(), arm()];
    assert!(matches!((&first.home, &second.home), (Home::SlotCache(_), Home::SlotCache(_))));
    assert!(matches!(third.home, Home::SlotPool(_, 0)));
}

/// A caller whose deadline comes before the next sweep must not rely on that sweep. The caller
/// requests sweeps that are in time for later callers.
#[tokio::test(start_paused = true)]
async fn a_slot_is_in_time_if_the_next_sweep_comes_before_its_deadline() {
    let (deadlines, handle) = (Arc::new(DeadlinePool::default()), Handle::current());
    let in_time = |after| deadlines.arm(Instant::now() + after, Waker::noop()).is_in_time();
    assert!(!in_time(SECOND), "there is no sweeper yet");
    deadlines.request_sweep(SECOND, Some(&handle));
    assert!(!in_time(SECOND), "there was no sweep yet");
    yield_now().await;
    assert!(in_time(SECOND) && !in_time(SECOND / 2));
    assert!(!in_time(2 * Duration::from_secs(3600)), "too many sweeps on the way");
    deadlines.request_sweep(SECOND / 2, Some(&handle));
    yield_now().await;
    assert!(!in_time(SECOND / 2), "a sweeper with a timer is not woken by a task");
    sleep(SECOND).await;
    assert!(in_time(SECOND / 2), "the next sweep takes the request into account");
}

/// The sweeper has no timer while no slot is armed and there was no request since the last sweep.
/// While a slot is armed, the sweeper has a timer.
#[tokio::test(start_paused = true)]
async fn a_sweeper_without_slots_and_requests_sets_no_timer() {
    let (deadlines, handle) = (Arc::new(DeadlinePool::default()), Handle::current());
    deadlines.request_sweep(SECOND, Some(&handle));
    yield_now().await;
    assert_ne!(deadlines.next_sweep.load(Ordering::SeqCst), NEVER);
    sleep(SECOND * 2).await;
    assert_eq!(deadlines.next_sweep.load(Ordering::SeqCst), NEVER);
    let far = deadlines.arm(Instant::now() + 60 * SECOND, Waker::noop());
    deadlines.request_sweep(SECOND, Some(&handle));
    yield_now().await;
    let sweeps = deadlines.sweeps.load(Ordering::SeqCst);
    sleep(Duration::from_nanos(4 * MAX_SWEEP_INTERVAL)).await;
    assert!(
        deadlines.has_swept_since(sweeps) && deadlines.next_sweep.load(Ordering::SeqCst) != NEVER
    );
    drop(far);
}

/// Waits on an armed slot, and checks that the wait ends at the deadline.
async fn wait(deadlines: &Arc<DeadlinePool>, after: Duration) {
    let (due, mut slot) = (Instant::now() + after, None);
    poll_fn(|cx| {
        if slot.is_some() {
            return Poll::Ready(());
        }
        let slot = slot.insert(deadlines.arm(due, cx.waker()));
        assert!(slot.is_in_time());
        Poll::Pending
    })
    .await;
    assert_eq!(Instant::now(), due);
}

/// The shutdown of the runtime ends no wait. The sweeper ends after the last wait, and a later
/// request does not start it again.
#[tokio::test(start_paused = true)]
async fn a_closed_sweeper_wakes_the_callers_that_wait_and_then_ends() {
    let (deadlines, handle) = (Arc::new(DeadlinePool::default()), Handle::current());
    deadlines.request_sweep(SECOND, Some(&handle));
    yield_now().await;
    let waiting = deadlines.clone();
    let waiting = tokio::spawn(async move { wait(&waiting, 2 * SECOND).await });
    yield_now().await;
    deadlines.close();
    assert!(waiting.await.is_ok());
    yield_now().await;
    assert!(!deadlines.started.load(Ordering::SeqCst));
    deadlines.request_sweep(SECOND, Some(&handle));
    assert!(!deadlines.started.load(Ordering::SeqCst), "callers have timers of their own");
}

/// A call takes a limit instead of an instant only while sweeps are frequent, and relies on it only
/// if they still are after it has armed its slot.
#[test]
fn a_slot_is_armed_for_a_limit_only_while_sweeps_are_frequent() {
    // The vtable of a clone is that of its own clones.
    let (deadlines, waker) = (DeadlinePool::default(), Waker::noop().clone());
    deadlines.task_vtable.store(vtable_addr(&waker), Ordering::Relaxed);
    drop(deadlines.arm(Instant::now(), &waker)); // the slot has its waker from now on
    let takes_limit = |limit| matches!(deadlines.due_after(limit), Some(Due::After(_)));
    let arm = || deadlines.rearm(Due::After(MIN_LIMIT), &waker).expect("the slot is free");
    for (next, frequent) in [(NEVER, false), (8, false), (8 | FREQUENT, true), (NEVER, false)] {
        deadlines.next_sweep.store(next, Ordering::SeqCst);
        assert_eq!(takes_limit(MIN_LIMIT), frequent);
        assert!(!takes_limit(MIN_LIMIT / 2), "a short limit is exact");
        assert!(!takes_limit(2 * Duration::from_secs(3600)), "too many sweeps on the way");
        assert_eq!(arm().is_in_time(), frequent);
    }
}
