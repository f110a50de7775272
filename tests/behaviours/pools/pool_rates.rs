//! Pools with a rate limit.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::FutureExt;
use regrow::{PoolError, PoolRef, RateLimit, Runtime, ServerRef};
use tokio::sync::mpsc::unbounded_channel;
use tokio::time::Instant;

use super::{Connection, SECOND, Site, counts, number, pid_of, pool_of};
use crate::support::{killed, settled};

const HOUR: Duration = Duration::from_secs(3_600);

/// Tokens that are not renewed within a test.
fn only(tokens: u32) -> RateLimit {
    RateLimit::new(tokens, HOUR * tokens)
}

async fn tokens(pool: &PoolRef<Connection>) -> Option<usize> {
    pool.status().await.unwrap().tokens
}

#[tokio::test(start_paused = true)]
async fn clients_are_served_in_order_at_the_rate_although_workers_are_idle() {
    let (rt, site) = (Runtime::new(), Arc::new(Site::default()));
    let rate = RateLimit::new(10, SECOND).burst(2);
    let pool = pool_of(&site).size(4).limit_rate(rate).start(&rt).await.unwrap();
    let (served, mut order) = unbounded_channel();
    let start = Instant::now();
    for client in 0..12_u32 {
        let (pool, served) = (pool.clone(), served.clone());
        rt.spawn(async move |_| {
            let _checkout = pool.checkout().await.unwrap();
            let _ = served.send((client, start.elapsed()));
        });
        tokio::task::yield_now().await;
    }
    drop(served);
    for client in 0..12_u32 {
        let due = SECOND / 10 * client.saturating_sub(1);
        assert_eq!(order.recv().await, Some((client, due)));
    }
    assert_eq!(counts(&pool).await, [4, 0, 0, 0]);
    assert_eq!(site.starts.load(Ordering::SeqCst), 4);
}

#[tokio::test(start_paused = true)]
async fn a_newcomer_does_not_overtake_a_client_that_waits_for_a_token() {
    let (rt, site) = (Runtime::new(), Arc::new(Site::default()));
    let rate = RateLimit::new(1, SECOND);
    let pool = pool_of(&site).size(2).limit_rate(rate).start(&rt).await.unwrap();
    drop(pool.checkout().await.unwrap());
    let own = pool.clone();
    let waits = tokio::spawn(async move { own.checkout().await.map(|_| Instant::now()) });
    settled().await;
    assert_eq!(counts(&pool).await, [2, 0, 0, 1]);
    let start = Instant::now();
    drop(pool.checkout().await.unwrap());
    assert!(start.elapsed() > SECOND, "{:?}", start.elapsed());
    assert!(waits.await.unwrap().unwrap() <= start + SECOND);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_gets_no_token_in_time_fails_and_costs_none() {
    let (rt, site) = (Runtime::new(), Arc::new(Site::default()));
    let pool = pool_of(&site).size(2).limit_rate(RateLimit::new(1, SECOND));
    let pool = pool.start(&rt).await.unwrap();
    drop(pool.checkout().await.unwrap());
    let start = Instant::now();
    let limit = SECOND / 2;
    let error = pool.checkout_within(limit).await.unwrap_err();
    assert_eq!(error, PoolError::Timeout { limit, start_error: None, rate_limited: true });
    assert!(error.to_string().contains("rate limit"), "{error}");
    assert_eq!(start.elapsed(), limit);
    assert!(pool.checkout_within(Duration::ZERO).await.is_err());
    drop(pool.checkout_within(SECOND).await.unwrap());
    assert_eq!(start.elapsed(), SECOND);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_is_refused_or_finds_no_worker_costs_no_token() {
    let (rt, site) = (Runtime::new(), Arc::new(Site::default()));
    let pool = pool_of(&site).size(1).queue_limit(0).limit_rate(only(3));
    let pool = pool.start(&rt).await.unwrap();
    let lent = pool.checkout().await.unwrap();
    assert_eq!(pool.checkout().await.unwrap_err(), PoolError::QueueFull { limit: 0 });
    assert_eq!(tokens(&pool).await, Some(2));
    drop(lent);
    drop(pool.checkout().await.unwrap());
    let _last = pool.checkout().await.unwrap();
    assert_eq!(tokens(&pool).await, Some(0));
    let status = pool.status().await.unwrap();
    assert_eq!(status.to_string(), "0 idle, 1 lent, 0 waiting, rate limit reached");
}

#[tokio::test(start_paused = true)]
async fn the_token_of_a_client_that_gives_up_as_it_is_served_goes_to_the_next() {
    let (rt, site) = (Runtime::new(), Arc::new(Site::default()));
    let pool = pool_of(&site).size(2).limit_rate(only(3)).start(&rt).await.unwrap();
    let both = (pool.checkout().await.unwrap(), pool.checkout().await.unwrap());
    // The first client is not polled again, so its worker and its token stay in its answer.
    let mut first = Box::pin(pool.checkout_within(100 * SECOND));
    assert!((&mut first).now_or_never().is_none());
    settled().await;
    let own = pool.clone();
    let second = tokio::spawn(async move { own.checkout_within(100 * SECOND).await.is_ok() });
    settled().await;
    drop(both);
    assert_eq!(counts(&pool).await, [1, 1, 0, 1]);
    assert_eq!(tokens(&pool).await, Some(0));
    drop(first);
    assert!(second.await.unwrap());
    assert_eq!(tokens(&pool).await, Some(0));
    assert_eq!(counts(&pool).await, [2, 0, 0, 0]);
}

#[tokio::test(start_paused = true)]
async fn clients_that_give_up_in_a_storm_do_not_lower_the_rate() {
    let (rt, site) = (Runtime::new(), Arc::new(Site::default()));
    let rate = RateLimit::new(100, SECOND).burst(1);
    let pool = pool_of(&site).size(2).limit_rate(rate).start(&rt).await.unwrap();
    let (served, mut order) = unbounded_channel();
    let start = Instant::now();
    for client in 0..400_u32 {
        let (pool, served) = (pool.clone(), served.clone());
        let process = rt.spawn(async move |_| {
            let _checkout = pool.checkout_within(100 * SECOND).await.unwrap();
            let _ = served.send(client);
        });
        if client % 2 == 1 {
            tokio::task::yield_now().await;
            process.kill();
        }
    }
    drop(served);
    let mut all = Vec::new();
    while let Some(client) = order.recv().await {
        all.push(client);
    }
    assert!(all.is_sorted() && all.len() >= 200, "{all:?}");
    assert_eq!(start.elapsed(), SECOND / 100 * (all.len() as u32 - 1));
}

#[tokio::test(start_paused = true)]
async fn a_client_that_waits_for_a_token_has_no_worker_started() {
    let (rt, site) = (Runtime::new(), Arc::new(Site::default()));
    let pool = pool_of(&site).size(1).overflow(3).lazy().limit_rate(RateLimit::new(1, SECOND));
    let pool = pool.start(&rt).await.unwrap();
    let _lent = pool.checkout().await.unwrap();
    let waiting: Vec<_> = (0..3)
        .map(|_| {
            let own = pool.clone();
            tokio::spawn(async move { own.checkout().await.unwrap() })
        })
        .collect();
    assert_eq!(counts(&pool).await, [0, 1, 0, 3]);
    assert_eq!(site.starts.load(Ordering::SeqCst), 1);
    tokio::time::sleep(SECOND).await;
    assert_eq!(counts(&pool).await, [0, 2, 0, 2]);
    assert_eq!(site.starts.load(Ordering::SeqCst), 2);
    for client in waiting {
        drop(client.await.unwrap());
    }
}

#[tokio::test(start_paused = true)]
async fn workers_are_started_as_tokens_become_due_although_the_first_start_is_slow() {
    let (rt, site) = (Runtime::new(), Arc::new(Site::default()));
    let pool = pool_of(&site).size(1).overflow(10).limit_rate(RateLimit::new(10, SECOND));
    let pool = pool.start(&rt).await.unwrap();
    for _ in 0..8 {
        drop(pool.checkout().await.unwrap());
    }
    let _lent = pool.checkout().await.unwrap();
    assert_eq!(tokens(&pool).await, Some(1));
    *site.start_time.lock().unwrap() = SECOND;
    let start = Instant::now();
    let clients: Vec<_> = (0..10)
        .map(|_| {
            let own = pool.clone();
            tokio::spawn(async move { own.checkout_within(60 * SECOND).await.unwrap() })
        })
        .collect();
    assert_eq!(counts(&pool).await, [0, 1, 1, 10]);
    tokio::time::sleep(SECOND * 19 / 20).await;
    assert_eq!(counts(&pool).await, [0, 1, 10, 10]);
    let mut checkouts = Vec::new();
    for client in clients {
        checkouts.push(client.await.unwrap());
    }
    assert!(start.elapsed() < 2 * SECOND, "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_check_that_hangs_is_not_blamed_on_the_rate_limit() {
    let (rt, site) = (Runtime::new(), Arc::new(Site::default()));
    let hangs = async |_| std::future::pending::<bool>().await;
    let hangs = move |worker: ServerRef<Connection>| hangs(worker);
    let pool = pool_of(&site).size(1).check_on_checkout(hangs).limit_rate(only(1));
    let pool = pool.start(&rt).await.unwrap();
    let error = pool.checkout_within(SECOND).await.unwrap_err();
    assert_eq!(error, PoolError::Timeout { limit: SECOND, start_error: None, rate_limited: false });
    assert_eq!(tokens(&pool).await, Some(1));
}

#[tokio::test(start_paused = true)]
async fn a_check_that_fails_late_lets_no_more_clients_pass_than_the_burst() {
    let (rt, site) = (Runtime::new(), Arc::new(Site::default()));
    let is_first = Arc::new(AtomicBool::new(true));
    let fails_late = move |_: ServerRef<Connection>| {
        let is_first = is_first.swap(false, Ordering::SeqCst);
        async move {
            if is_first {
                tokio::time::sleep(10 * SECOND + SECOND / 100).await;
            }
            !is_first
        }
    };
    let pool = pool_of(&site).size(4).check_on_checkout(fails_late);
    let pool = pool.limit_rate(RateLimit::new(2, SECOND)).start(&rt).await.unwrap();
    let own = pool.clone();
    let first = tokio::spawn(async move { own.checkout_within(60 * SECOND).await.unwrap() });
    tokio::time::sleep(10 * SECOND).await;
    let _second = pool.checkout().await.unwrap();
    // The first client takes another worker now, with the last token.
    let _first = first.await.unwrap();
    assert_eq!(tokens(&pool).await, Some(0));
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_fails_its_check_costs_no_token() {
    let (rt, site) = (Runtime::new(), Arc::new(Site::default()));
    let not_the_first = async |worker: ServerRef<Connection>| number(&worker).await > 1;
    let pool = pool_of(&site).size(1).check_on_checkout(not_the_first);
    let pool = pool.limit_rate(only(2)).start(&rt).await.unwrap();
    assert_eq!(number(&pool.checkout().await.unwrap()).await, 2);
    assert_eq!(tokens(&pool).await, Some(1));
}

#[tokio::test(start_paused = true)]
async fn the_tokens_survive_a_restart_of_the_server_which_serves_when_the_next_is_due() {
    let (rt, site) = (Runtime::new(), Arc::new(Site::default()));
    let pool = pool_of(&site).size(2).limit_rate(RateLimit::new(1, SECOND));
    let pool = pool.start(&rt).await.unwrap();
    let start = Instant::now();
    drop(pool.checkout().await.unwrap());
    let own = pool.clone();
    let waits = tokio::spawn(async move { own.checkout().await.is_ok() });
    settled().await;
    killed(&rt, pid_of(&rt, "pool/server")).await;
    settled().await;
    assert_eq!(tokens(&pool).await, Some(0));
    assert!(waits.await.unwrap());
    assert_eq!(start.elapsed(), SECOND);
}

#[tokio::test(start_paused = true)]
async fn a_pool_without_a_rate_limit_has_no_tokens() {
    let (rt, site) = (Runtime::new(), Arc::new(Site::default()));
    let pool = pool_of(&site).size(1).start(&rt).await.unwrap();
    assert_eq!(tokens(&pool).await, None);
}
