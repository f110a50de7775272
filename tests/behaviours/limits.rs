//! Circuit breakers and token buckets.

use crate::support;

use std::future::pending;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use futures_util::{FutureExt, future::join_all};
use regrow::{
    Backoff, BreakerError, BreakerOpen, BreakerRules, BreakerState, ChildSpec, CircuitBreaker,
    Health, RateLimit, Runtime, Supervisor, TokenBucket,
};
use support::log::Log;
use support::{assert_nothing_left, settled};
use tokio::time::{Instant, sleep, timeout};

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn backoff() -> Backoff {
    Backoff::new().first(ms(1_000)).jitter(0.0).max(ms(4_000))
}

/// A breaker that opens at the first failure.
fn brittle() -> CircuitBreaker {
    let rules = BreakerRules::new().failures(1, ms(10_000)).backoff(backoff());
    CircuitBreaker::new("store", rules)
}

async fn fails() -> Result<(), &'static str> {
    Err("no")
}

async fn works() -> Result<(), &'static str> {
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn errors_time_outs_and_panics_count_as_failures() {
    let rules = BreakerRules::new().failures(3, ms(10_000)).backoff(backoff());
    let breaker = CircuitBreaker::new("store", rules);
    assert_eq!(breaker.run(fails()).await, Err(BreakerError::Failed("no")));
    let late = breaker.run_within(ms(50), pending::<Result<(), ()>>()).await;
    assert_eq!(late, Err(BreakerError::Timeout(ms(50))));
    assert_eq!(breaker.state(), BreakerState::Closed);
    let panics = async { panic!("broken") };
    let panicked = AssertUnwindSafe(breaker.run::<(), ()>(panics)).catch_unwind().await;
    assert!(panicked.is_err());
    assert_eq!(breaker.state(), BreakerState::Open);
    let open = BreakerOpen::clone(&breaker.ask().unwrap_err());
    assert_eq!((&*open.name, open.retry_in), ("store", ms(1_000)));
    assert_eq!(breaker.run(works()).await, Err(BreakerError::Open(open)));
}

#[tokio::test(start_paused = true)]
async fn each_change_of_a_breaker_is_logged_and_wakes_those_that_wait_for_it() {
    let log = Log::listen();
    let breaker = brittle();
    let own = breaker.clone();
    let watcher = tokio::spawn(async move {
        let mut seen = vec![BreakerState::Closed];
        while seen.len() < 4 {
            seen.push(own.changed(seen[seen.len() - 1]).await);
        }
        seen
    });
    settled().await;
    breaker.melt();
    sleep(ms(1_000)).await;
    let probe = breaker.ask().unwrap();
    settled().await;
    probe.succeed();
    use BreakerState::{Closed, HalfOpen, Open};
    assert_eq!(watcher.await.unwrap(), [Closed, Open, HalfOpen, Closed]);
    let heads = [
        "WARN circuit breaker opened",
        "INFO circuit breaker half-open",
        "INFO circuit breaker closed",
    ];
    assert_eq!(log.heads(), heads);
}

#[tokio::test(start_paused = true)]
async fn a_half_open_breaker_lets_one_of_many_requests_pass() {
    let breaker = brittle();
    breaker.melt();
    sleep(ms(1_000)).await;
    let runs = AtomicUsize::new(0);
    let requests = (0..100).map(|_| {
        breaker.run(async {
            runs.fetch_add(1, SeqCst);
            sleep(ms(10)).await;
            works().await
        })
    });
    let passed = join_all(requests).await.into_iter().filter(Result::is_ok).count();
    assert_eq!((runs.load(SeqCst), passed), (1, 1));
    assert_eq!(breaker.state(), BreakerState::Closed);
}

/// Each probe must succeed, and each that fails opens the breaker again, for longer.
#[tokio::test(start_paused = true)]
async fn as_many_probes_as_the_rules_say_pass_at_once_and_close_the_breaker() {
    let rules = BreakerRules::new().failures(1, ms(10_000)).backoff(backoff()).probes(2);
    let breaker = CircuitBreaker::new("store", rules);
    breaker.melt();
    sleep(ms(1_000)).await;
    let [first, second] = [breaker.ask().unwrap(), breaker.ask().unwrap()];
    assert!(breaker.ask().is_err());
    first.succeed();
    assert_eq!(breaker.state(), BreakerState::HalfOpen);
    second.fail();
    assert_eq!(breaker.ask().unwrap_err().retry_in, ms(2_000));
    sleep(ms(2_000)).await;
    breaker.ask().unwrap().succeed();
    breaker.ask().unwrap().succeed();
    assert_eq!(breaker.state(), BreakerState::Closed);
}

#[tokio::test(start_paused = true)]
async fn a_probe_that_is_dropped_gives_its_place_to_the_next_request() {
    let breaker = brittle();
    breaker.melt();
    sleep(ms(1_000)).await;
    let dropped = timeout(ms(10), breaker.run(pending::<Result<(), ()>>())).await;
    assert!(dropped.is_err());
    assert_eq!(breaker.state(), BreakerState::HalfOpen);
    drop(breaker.ask().unwrap());
    assert_eq!(breaker.run(works()).await, Ok(()));
    assert_eq!(breaker.state(), BreakerState::Closed);
}

#[tokio::test(start_paused = true)]
async fn a_success_from_before_the_opening_does_not_close_the_breaker() {
    let breaker = brittle();
    let early = breaker.ask().unwrap();
    breaker.melt();
    sleep(ms(1_000)).await;
    let probe = breaker.ask().unwrap();
    early.succeed();
    assert_eq!(breaker.state(), BreakerState::HalfOpen);
    probe.fail();
    assert_eq!(breaker.state(), BreakerState::Open);
}

#[tokio::test(start_paused = true)]
async fn a_server_behind_an_open_breaker_is_degraded_also_after_its_restart() {
    let rt = Runtime::new();
    let breaker = brittle();
    let own = breaker.clone();
    let client = ChildSpec::task("client", move |ctx| async move {
        own.degrades(&ctx);
        pending().await
    });
    let tree = Supervisor::one_for_one().child(client).start(&rt).await.unwrap();
    settled().await;
    let pid = tree.which_child("client").await.unwrap().pid().unwrap();
    assert_eq!(rt.health(pid), Some(Health::Ready));
    breaker.melt();
    let why = Health::Degraded("circuit breaker \"store\" is open".into());
    assert_eq!(rt.health(pid), Some(why.clone()));
    rt.kill(pid);
    settled().await;
    let pid = tree.which_child("client").await.unwrap().pid().unwrap();
    assert_eq!(rt.health(pid), Some(why));
    sleep(ms(1_000)).await;
    breaker.run(works()).await.unwrap();
    assert_eq!(rt.health(pid), Some(Health::Ready));
    tree.stop().await.unwrap();
    assert_nothing_left(&rt).await;
}

/// Concurrent changes: the published state and the health are those of the last one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_changes_of_a_breaker_end_in_its_state() {
    let rt = Runtime::new();
    let breaker = brittle();
    let own = breaker.clone();
    let reporting = rt.spawn(|ctx| async move {
        own.degrades(&ctx);
        pending().await
    });
    // The first change of health shows that the process reports.
    breaker.melt();
    while rt.health(reporting.pid()) == Some(Health::Ready) {
        tokio::task::yield_now().await;
    }
    let turns = |changes: fn(&CircuitBreaker)| {
        let breaker = breaker.clone();
        tokio::task::spawn_blocking(move || (0..2_000).for_each(|_| changes(&breaker)))
    };
    let (melts, resets) = (turns(CircuitBreaker::melt), turns(CircuitBreaker::reset));
    melts.await.unwrap();
    resets.await.unwrap();
    let is_ready = rt.health(reporting.pid()) == Some(Health::Ready);
    assert_eq!(is_ready, breaker.state() == BreakerState::Closed);
    assert_eq!(breaker.ask().is_ok(), breaker.state() == BreakerState::Closed);
    rt.kill(reporting.pid());
    reporting.join().await;
}

#[tokio::test(start_paused = true)]
async fn requests_get_their_tokens_in_order_at_exactly_the_rate() {
    // A third of a millisecond for each token: below the resolution of a timer.
    let bucket = TokenBucket::new(RateLimit::new(3_000, ms(1_000)).burst(1));
    bucket.try_acquire().unwrap();
    let start = Instant::now();
    let order = Arc::new(std::sync::Mutex::new(Vec::new()));
    let requests = (0..3_000).map(|n| {
        let (bucket, order) = (bucket.clone(), order.clone());
        tokio::spawn(async move {
            bucket.acquire().await;
            order.lock().unwrap().push(n);
        })
    });
    join_all(requests).await;
    assert!((ms(1_000)..=ms(1_001)).contains(&start.elapsed()), "{:?}", start.elapsed());
    let order = order.lock().unwrap();
    assert!(order.len() == 3_000 && order.is_sorted());
}

#[tokio::test(start_paused = true)]
async fn a_bucket_gives_its_burst_at_once_and_no_more_after_any_pause() {
    let bucket = TokenBucket::new(RateLimit::new(10, ms(1_000)).burst(3));
    for pause in [0, 100_000] {
        sleep(ms(pause)).await;
        let taken = std::iter::repeat_with(|| bucket.try_acquire());
        assert_eq!(taken.take_while(Result::is_ok).count(), 3);
        assert_eq!(bucket.try_acquire().unwrap_err().retry_in, ms(100));
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_does_not_overtake_those_that_wait() {
    let bucket = TokenBucket::new(RateLimit::new(10, ms(1_000)).burst(1));
    bucket.try_acquire().unwrap();
    let (first, second) = (bucket.acquire(), bucket.acquire());
    tokio::pin!(first, second);
    assert!((&mut first).now_or_never().is_none() && (&mut second).now_or_never().is_none());
    sleep(ms(150)).await;
    // A token is there, and belongs to the first request. It was not polled when the token came: of
    // the 50 ms since then, the bucket has lost all but two.
    assert_eq!(bucket.try_acquire().unwrap_err().retry_in, ms(198));
    let start = Instant::now();
    first.await;
    assert_eq!(start.elapsed(), ms(0));
    second.await;
    assert!((ms(98)..=ms(99)).contains(&start.elapsed()), "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn after_a_stall_the_requests_that_wait_get_the_burst_at_once_and_no_more() {
    let bucket = TokenBucket::new(RateLimit::new(10, ms(1_000)).burst(2));
    let passed = Arc::new(AtomicUsize::new(0));
    for _ in 0..20 {
        let (bucket, passed) = (bucket.clone(), passed.clone());
        tokio::spawn(async move {
            bucket.acquire().await;
            passed.fetch_add(1, SeqCst);
        });
    }
    settled().await;
    assert_eq!(passed.load(SeqCst), 2);
    // No request is polled for 10 s.
    tokio::time::advance(ms(10_000)).await;
    settled().await;
    assert_eq!(passed.load(SeqCst), 4);
    sleep(ms(205)).await;
    assert_eq!(passed.load(SeqCst), 6);
}

#[test]
fn requests_on_several_threads_all_get_the_tokens_that_there_are() {
    let bucket = TokenBucket::new(RateLimit::new(1, ms(1_000_000)).burst(80_000));
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..10_000 {
                    bucket.try_acquire().unwrap();
                    bucket.acquire().now_or_never().unwrap();
                }
            });
        }
    });
    assert!(bucket.try_acquire().is_err());
}

/// Two requests wait, and are not polled when their tokens come.
#[tokio::test(start_paused = true)]
async fn a_request_gets_a_token_at_once_if_there_are_enough_for_those_that_wait() {
    let bucket = TokenBucket::new(RateLimit::new(10, ms(1_000)).burst(3));
    for _ in 0..3 {
        bucket.try_acquire().unwrap();
    }
    let (first, second) = (bucket.acquire(), bucket.acquire());
    tokio::pin!(first, second);
    assert!((&mut first).now_or_never().is_none() && (&mut second).now_or_never().is_none());
    assert_eq!(bucket.try_acquire().unwrap_err().retry_in, ms(300));
    sleep(ms(299)).await;
    assert!(bucket.try_acquire().is_err());
    sleep(ms(1)).await;
    bucket.try_acquire().unwrap();
    assert!(first.now_or_never().is_some() && second.now_or_never().is_some());
}

#[tokio::test(start_paused = true)]
async fn a_request_that_is_dropped_takes_no_token() {
    let bucket = TokenBucket::new(RateLimit::new(10, ms(1_000)).burst(1));
    bucket.try_acquire().unwrap();
    let start = Instant::now();
    assert!(timeout(ms(20), bucket.acquire()).await.is_err());
    bucket.acquire().await;
    assert!((ms(100)..=ms(101)).contains(&start.elapsed()), "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_request_that_cannot_be_in_time_is_refused_at_once() {
    let bucket = TokenBucket::new(RateLimit::new(10, ms(1_000)).burst(1));
    bucket.try_acquire().unwrap();
    let waiting = bucket.acquire();
    tokio::pin!(waiting);
    assert!((&mut waiting).now_or_never().is_none());
    let start = Instant::now();
    let late = bucket.acquire_until(start + ms(199)).await.unwrap_err();
    assert_eq!((late.retry_in, start.elapsed()), (ms(200), ms(0)));
    let (acquired, ()) = tokio::join!(bucket.acquire_until(start + ms(205)), waiting);
    acquired.unwrap();
    assert!((ms(200)..=ms(202)).contains(&start.elapsed()), "{:?}", start.elapsed());
}
