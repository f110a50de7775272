//! The cost of a request that a circuit breaker or a token bucket lets pass.
//!
//! Raw: a permit of a semaphore of tokio.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::support::{Bench, Row, Target, nanos_each};
use regrow::{BreakerRules, CircuitBreaker, RateLimit, TokenBucket};
use tokio::sync::Semaphore;

pub(crate) fn rows(bench: &Bench) {
    let row = |text| Row { text, unit: "ns", target: Target::None, size: 256_000 };
    bench.compare(&row("a request through a closed circuit breaker"), raw, breaker);
    bench.compare(&row("a token of a bucket that has some"), raw, bucket);
}

async fn raw(size: usize) -> f64 {
    let semaphore = Arc::new(Semaphore::new(1));
    let start = Instant::now();
    for _ in 0..size {
        drop(semaphore.acquire().await.expect("it is open"));
    }
    nanos_each(start, size)
}

async fn breaker(size: usize) -> f64 {
    let breaker = CircuitBreaker::new("bench", BreakerRules::new());
    let start = Instant::now();
    for _ in 0..size {
        breaker.run(async { Ok::<_, ()>(()) }).await.expect("it is closed");
    }
    nanos_each(start, size)
}

async fn bucket(size: usize) -> f64 {
    let bucket = TokenBucket::new(RateLimit::new(u32::MAX, Duration::from_millis(1)));
    let start = Instant::now();
    for _ in 0..size {
        bucket.acquire().await;
    }
    nanos_each(start, size)
}
