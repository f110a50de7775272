//! Timers in large numbers, from threads outside tokio, and with extreme durations.

use crate::support;

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Wake, Waker};
use std::time::Duration;

use regrow::{ExitReason, Leftovers, Runtime, TimerRef};
use support::{Listener, idle, killed, message, settled};
use tokio::time::{Instant, sleep};

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// Returns the same pseudo-random numbers in every run.
fn scattered() -> impl Iterator<Item = u64> {
    std::iter::successors(Some(42_u64), |&n| {
        Some(n.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407))
    })
    .map(|n| n >> 33)
}

/// Each timer fires at its own millisecond, and timers of one millisecond fire in the order in
/// which they were set.
#[tokio::test(start_paused = true)]
async fn a_hundred_thousand_timers_fire_on_time_and_in_order() {
    const ALL: u64 = 100_000;
    let rt = Runtime::new();
    let start = Instant::now();
    let receiver = rt.spawn(move |mut ctx| async move {
        let mut before = (0, 0);
        for _ in 0..ALL {
            let bytes = ctx.recv().await.message().unwrap();
            let [due, number] =
                [0, 8].map(|at| u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap()));
            assert_eq!(start.elapsed(), ms(due));
            assert!((due, number) > before, "{:?} after {before:?}", (due, number));
            before = (due, number);
        }
    });
    for (number, delay) in (1..=ALL).zip(scattered().map(|n| n % 1_000)) {
        let message = [delay.to_le_bytes(), number.to_le_bytes()].concat();
        rt.send_after(receiver.pid(), ms(delay), message);
    }
    assert_eq!(rt.leftovers().timers as u64, ALL);
    assert_eq!(receiver.join().await, ExitReason::Normal);
    assert_eq!(rt.leftovers(), Leftovers::default());
}

/// Of many timers to many processes, half are cancelled, and some targets end. Exactly the other
/// timers deliver their message.
#[tokio::test(start_paused = true)]
async fn cancelled_timers_and_timers_of_ended_targets_do_not_fire() {
    let rt = Runtime::new();
    let mut targets: Vec<_> = (0..100).map(|_| Listener::new(&rt)).collect();
    let timers: Vec<_> = (0..10_000_usize)
        .zip(scattered())
        .map(|(n, delay)| {
            rt.send_after(targets[n % 100].pid, ms(1 + delay % 500), n.to_string().into())
        })
        .collect();
    let cancelled = timers.iter().step_by(2).filter(|timer| timer.cancel()).count();
    assert_eq!(cancelled, 5_000);
    for target in &targets[..50] {
        killed(&rt, target.pid).await;
    }
    assert_eq!(rt.leftovers().timers, 2_500);
    sleep(ms(501)).await;
    assert_eq!(rt.leftovers().timers, 0);
    for (n, target) in targets.iter_mut().enumerate() {
        let expected = if n >= 50 && n % 2 == 1 { 100 } else { 0 };
        assert_eq!(target.so_far().len(), expected);
    }
    assert!(timers.iter().all(|timer| !timer.cancel()));
}

/// Threads outside tokio can set, read and cancel timers.
#[tokio::test(start_paused = true)]
async fn threads_outside_tokio_can_set_timers() {
    let rt = Runtime::new();
    let mut target = Listener::new(&rt);
    let to = target.pid;
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let rt = rt.clone();
            std::thread::spawn(move || {
                let cancelled = rt.send_after(to, ms(100), b"never".to_vec());
                rt.send_after(to, ms(100), b"m".to_vec());
                assert_eq!(cancelled.remaining(), Some(ms(100)));
                assert!(cancelled.cancel());
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
    let start = Instant::now();
    for _ in 0..4 {
        assert_eq!(target.next().await, message("m"));
    }
    assert_eq!(start.elapsed(), ms(100));
    settled().await;
    assert!(target.so_far().is_empty());
}

/// T39. A timer is either delivered or cancelled, on any number of threads: never both, and never
/// neither.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_timer_is_either_cancelled_or_delivered() {
    let rt = Runtime::new();
    for _ in 0..500 {
        let mut target = Listener::new(&rt);
        let timers: Vec<_> =
            (0..8).map(|_| rt.send_after(target.pid, Duration::ZERO, b"m".to_vec())).collect();
        let cancelled = timers.iter().filter(|timer| timer.cancel()).count();
        for _ in cancelled..timers.len() {
            assert_eq!(target.next().await, message("m"));
        }
        rt.send(target.pid, b"fence".to_vec());
        assert_eq!(target.next().await, message("fence"));
        killed(&rt, target.pid).await;
    }
    assert_eq!(rt.leftovers(), Leftovers::default());
}

/// An interval is cancelled after its first tick, while the second may be about to fire. The cancel
/// returns `true`, and the interval is not pending afterwards.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_interval_does_not_tick_after_cancel() {
    let rt = Runtime::new();
    for _ in 0..200 {
        let mut target = Listener::new(&rt);
        let interval = rt.send_interval(target.pid, ms(1), b"tick".to_vec());
        assert_eq!(target.next().await, message("tick"));
        assert!(interval.cancel(), "an interval is pending until it is cancelled");
        assert_eq!(interval.remaining(), None);
        killed(&rt, target.pid).await;
    }
    assert_eq!(rt.leftovers(), Leftovers::default());
}

/// A waker that cancels an interval.
struct Cancels(TimerRef);

impl Wake for Cancels {
    fn wake(self: Arc<Self>) {
        assert!(self.0.cancel());
    }
}

/// A message timer and an interval are due at the same instant. The delivery of the message cancels
/// the interval, which then does not tick.
#[tokio::test(start_paused = true)]
async fn an_interval_cancelled_at_its_due_instant_does_not_tick() {
    let rt = Runtime::new();
    let mut target = Listener::new(&rt);
    let reader = rt.spawn({
        let target = target.pid;
        move |mut ctx| async move {
            let rt = ctx.runtime();
            rt.send_after(ctx.pid(), ms(10), b"m".to_vec());
            let interval = rt.send_interval(target, ms(10), b"tick".to_vec());
            let waker = Waker::from(Arc::new(Cancels(interval)));
            let receives = pin!(ctx.recv());
            assert!(receives.poll(&mut Context::from_waker(&waker)).is_pending());
            std::future::pending::<()>().await;
        }
    });
    sleep(ms(100)).await;
    rt.send(target.pid, b"nothing".to_vec());
    assert_eq!(target.next().await, message("nothing"));
    killed(&rt, reader.pid()).await;
}

/// An interval has missed ticks. Its receiver cancels it at the first of them, and receives no other.
#[tokio::test(start_paused = true)]
async fn an_interval_cancelled_at_its_first_missed_tick_sends_no_other() {
    let rt = Runtime::new();
    let receiver = rt.spawn(|mut ctx| async move {
        let interval = ctx.runtime().send_interval(ctx.pid(), ms(10), b"tick".to_vec());
        assert_eq!(ctx.recv().await, message("tick"));
        assert!(interval.cancel());
        assert_eq!(ctx.recv_timeout(ms(1_000)).await, None);
    });
    settled().await;
    tokio::time::advance(ms(95)).await;
    assert_eq!(receiver.join().await, ExitReason::Normal);
}

/// TMR-008. The target ends at the instant at which its timers are due. Each timer is delivered or
/// dropped, and is not pending afterwards.
#[tokio::test(start_paused = true)]
async fn a_timer_due_at_the_end_of_its_target_is_dropped() {
    let rt = Runtime::new();
    let target = idle(&rt);
    rt.kill_after(target, ms(10));
    let kill_again = rt.kill_after(target, ms(10));
    let send = rt.send_after(target, ms(10), b"m".to_vec());
    let interval = rt.send_interval(target, ms(5), b"tick".to_vec());
    assert_eq!(rt.ended(target).await, ExitReason::Killed);
    for timer in [kill_again, send, interval] {
        assert!(!timer.cancel());
    }
    assert_eq!(rt.leftovers(), Leftovers::default());
}

/// The same race on several threads, many times: no timer outlives its target.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn timers_end_with_their_target_under_concurrent_kills() {
    let rt = Runtime::new();
    for _ in 0..1_000 {
        let target = idle(&rt);
        let ended = rt.ended(target);
        let killer = tokio::spawn({
            let rt = rt.clone();
            async move { rt.kill(target) }
        });
        let late = rt.send_after(target, Duration::from_secs(3_600), b"m".to_vec());
        let interval = rt.send_interval(target, ms(1), b"m".to_vec());
        killer.await.unwrap();
        ended.await;
        assert!(!late.cancel() && !interval.cancel());
    }
    assert_eq!(rt.leftovers().timers, 0);
}

/// A timer with a delay beyond the range of the clock stays pending, and can be cancelled.
#[tokio::test(start_paused = true)]
async fn a_timer_with_a_max_delay_never_fires() {
    let rt = Runtime::new();
    let mut target = Listener::new(&rt);
    let never = rt.send_after(target.pid, Duration::MAX, b"never".to_vec());
    let never_either = rt.send_interval(target.pid, Duration::MAX, b"never".to_vec());
    rt.send_after(target.pid, ms(1), b"soon".to_vec());
    assert_eq!(target.next().await, message("soon"));
    sleep(Duration::from_secs(10 * 365 * 24 * 3600)).await;
    assert!(target.so_far().is_empty());
    assert!(never.remaining().unwrap() > Duration::from_secs(80 * 365 * 24 * 3600));
    assert!(never.cancel() && never_either.cancel());
}

/// A timer that is due in five years is as exact as one that is due soon.
#[tokio::test(start_paused = true)]
async fn a_timer_of_five_years_fires_to_the_millisecond() {
    const YEARS: Duration = Duration::from_millis(5 * 365 * 24 * 3_600_000 + 7);
    let rt = Runtime::new();
    let mut target = Listener::new(&rt);
    let start = Instant::now();
    rt.send_after(target.pid, YEARS, b"m".to_vec());
    assert_eq!(target.next().await, message("m"));
    assert_eq!(start.elapsed(), YEARS);
}

#[tokio::test(start_paused = true)]
async fn a_timer_can_be_set_after_years_without_one() {
    let rt = Runtime::new();
    let mut target = Listener::new(&rt);
    rt.send_after(target.pid, ms(1), b"first".to_vec());
    assert_eq!(target.next().await, message("first"));
    sleep(Duration::from_secs(5 * 365 * 24 * 3600)).await;
    let start = Instant::now();
    rt.send_after(target.pid, ms(3), b"next".to_vec());
    assert_eq!(target.next().await, message("next"));
    assert_eq!(start.elapsed(), ms(3));
}

/// An interval of zero would tick without end.
#[tokio::test(start_paused = true)]
#[should_panic(expected = "a period above zero")]
async fn an_interval_of_zero_is_refused() {
    let rt = Runtime::new();
    rt.send_interval(idle(&rt), Duration::ZERO, b"m".to_vec());
}
