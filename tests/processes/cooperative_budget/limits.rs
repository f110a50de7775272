//! Pools, pipelines, circuit breakers and token buckets.

use super::{Echo, MANY, Other, SOON};

use std::future::ready;
use std::time::Duration;

use futures_util::stream;
use regrow::{
    BreakerRules, BreakerState, CircuitBreaker, Pipeline, Pool, PoolRef, RateLimit, Runtime,
    TokenBucket,
};
use tokio::time::Instant;

fn pool(size: usize) -> Pool<Echo> {
    Pool::new("pool", || ()).size(size)
}

#[tokio::test]
async fn checkouts_of_an_idle_worker_let_other_tasks_run() {
    let rt = Runtime::new();
    let pool = pool(1).start(&rt).await.unwrap();
    lets_other_tasks_run!("PoolRef::checkout", drop(pool.checkout().await.unwrap()));
    lets_other_tasks_run!("PoolRef::checkout_within", {
        drop(pool.checkout_within(SOON).await.unwrap());
    });
    lets_other_tasks_run!("PoolRef::transaction", {
        assert_eq!(pool.transaction(async |_| 7).await, Ok(7));
    });
    pool.stop().await.unwrap();
}

#[tokio::test]
async fn requests_to_an_ended_pool_let_other_tasks_run() {
    let rt = Runtime::new();
    lets_other_tasks_run!("Pool::start", drop(pool(0).start(&rt).await));
    let ended = pool(1).start(&rt).await.unwrap();
    ended.stop().await.unwrap();
    for pool in [ended, PoolRef::named(&rt, "never started")] {
        lets_other_tasks_run!("PoolRef::checkout", drop(pool.checkout().await));
        lets_other_tasks_run!("PoolRef::checkout_within", {
            drop(pool.checkout_within(SOON).await);
        });
        lets_other_tasks_run!("PoolRef::transaction", drop(pool.transaction(async |_| 7).await));
        lets_other_tasks_run!("PoolRef::status", drop(pool.status().await));
        lets_other_tasks_run!("PoolRef::resize", drop(pool.resize(2).await));
        lets_other_tasks_run!("PoolRef::stop", drop(pool.stop().await));
    }
}

#[tokio::test]
async fn refused_starts_of_a_pipeline_let_other_tasks_run() {
    let rt = Runtime::new();
    rt.shutdown();
    let numbers = Pipeline::from_stream("numbers", || stream::iter(0..10));
    let spec = numbers.for_each("ignore", |_| ready(Ok(())));
    lets_other_tasks_run!("PipelineSpec::start", drop(spec.clone().start(&rt).await));
}

/// The breaker lets work pass whose result is there at once, and refuses work while it is open.
#[tokio::test]
async fn work_behind_a_breaker_lets_other_tasks_run() {
    let breaker = CircuitBreaker::new("store", BreakerRules::new().failures(1, SOON));
    for is_open in [false, true] {
        let work = || ready(Ok::<u8, ()>(7));
        lets_other_tasks_run!("CircuitBreaker::run", {
            assert_eq!(breaker.run(work()).await.is_err(), is_open);
        });
        lets_other_tasks_run!("CircuitBreaker::run_within", {
            assert_eq!(breaker.run_within(SOON, work()).await.is_err(), is_open);
        });
        breaker.melt();
    }
    lets_other_tasks_run!("CircuitBreaker::changed", {
        assert_eq!(breaker.changed(BreakerState::Closed).await, BreakerState::Open);
    });
}

#[tokio::test]
async fn tokens_of_a_full_bucket_and_refusals_of_an_empty_one_let_other_tasks_run() {
    let full = TokenBucket::new(RateLimit::new(1, SOON).burst(u32::MAX));
    lets_other_tasks_run!("TokenBucket::acquire", full.acquire().await);
    lets_other_tasks_run!("TokenBucket::acquire_until", {
        full.acquire_until(Instant::now() + SOON).await.unwrap();
    });
    let empty = TokenBucket::new(RateLimit::new(1, Duration::from_secs(3_600)));
    empty.acquire().await;
    lets_other_tasks_run!("TokenBucket::acquire_until", {
        empty.acquire_until(Instant::now()).await.unwrap_err();
    });
}
