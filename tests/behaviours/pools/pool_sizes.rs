//! The number of workers: overflow, lazy starts, resizes, lifetimes.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use regrow::{PoolError, Runtime};

use super::{SECOND, Site, counts, number, pool_of};
use crate::support::{assert_nothing_left, settled};

#[tokio::test(start_paused = true)]
async fn overflow_workers_are_started_while_clients_wait_and_end_when_returned() {
    let (rt, site) = (Runtime::new(), Arc::new(Site::default()));
    let pool = pool_of(&site).size(1).overflow(2).start(&rt).await.unwrap();
    let mut lent = Vec::new();
    for _ in 0..3 {
        lent.push(pool.checkout().await.unwrap());
    }
    assert!(pool.checkout_within(SECOND).await.is_err());
    assert_eq!(site.starts.load(Ordering::SeqCst), 3);
    drop(lent);
    assert_eq!(counts(&pool).await, [1, 0, 0, 0]);
}

#[tokio::test(start_paused = true)]
async fn overflow_workers_with_an_idle_time_serve_again_before_they_end() {
    let (rt, site) = (Runtime::new(), Arc::new(Site::default()));
    let pool = pool_of(&site).size(1).overflow(2).overflow_idle(8 * SECOND);
    let pool = pool.start(&rt).await.unwrap();
    for _ in 0..3 {
        let lent = (pool.checkout().await, pool.checkout().await, pool.checkout().await);
        drop(lent);
        assert_eq!(counts(&pool).await, [3, 0, 0, 0]);
        tokio::time::sleep(5 * SECOND).await;
    }
    assert_eq!(site.starts.load(Ordering::SeqCst), 3);
    tokio::time::sleep(6 * SECOND).await;
    assert_eq!(counts(&pool).await, [1, 0, 0, 0]);
}

#[tokio::test(start_paused = true)]
async fn a_lazy_pool_starts_workers_for_clients_only() {
    let (rt, site) = (Runtime::new(), Arc::new(Site::default()));
    let pool = pool_of(&site).size(3).lazy().start(&rt).await.unwrap();
    assert_eq!(counts(&pool).await, [0, 0, 0, 0]);
    let first = pool.checkout().await.unwrap();
    assert_eq!(counts(&pool).await, [0, 1, 0, 0]);
    let second = pool.checkout().await.unwrap();
    drop((first, second));
    drop(pool.checkout().await.unwrap());
    assert_eq!(counts(&pool).await, [2, 0, 0, 0]);
}

#[tokio::test(start_paused = true)]
async fn a_pool_can_consist_of_overflow_alone() {
    let (rt, site) = (Runtime::new(), Arc::new(Site::default()));
    let pool = pool_of(&site).size(0).overflow(1).start(&rt).await.unwrap();
    for n in 1..4 {
        assert_eq!(number(&pool.checkout().await.unwrap()).await, n);
        assert_eq!(counts(&pool).await, [0, 0, 0, 0]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_resize_cuts_no_checkout_short() {
    let (rt, site) = (Runtime::new(), Arc::new(Site::default()));
    let pool = pool_of(&site).size(4).start(&rt).await.unwrap();
    let lent = (pool.checkout().await.unwrap(), pool.checkout().await.unwrap());
    pool.resize(1).await.unwrap();
    assert_eq!(counts(&pool).await, [0, 2, 0, 0]);
    assert!(number(&lent.0).await != number(&lent.1).await);
    drop(lent);
    assert_eq!(counts(&pool).await, [1, 0, 0, 0]);
    pool.resize(3).await.unwrap();
    assert_eq!(counts(&pool).await, [3, 0, 0, 0]);

    let refused = pool.resize(0).await.unwrap_err();
    assert!(matches!(&refused, PoolError::Invalid(what) if what.contains("size")), "{refused}");
    // The size survives the server.
    rt.kill(rt.whereis("pool/server").unwrap());
    assert_eq!(counts(&pool).await, [3, 0, 0, 0]);
    pool.stop().await.unwrap();
    assert_nothing_left(&rt).await;
}

#[tokio::test(start_paused = true)]
async fn a_resize_to_fewer_workers_serves_the_clients_that_wait_with_those_that_are_kept() {
    let (rt, site) = (Runtime::new(), Arc::new(Site::default()));
    let pool = pool_of(&site).size(4).start(&rt).await.unwrap();
    let mut lent = Vec::new();
    for _ in 0..4 {
        lent.push(pool.checkout().await.unwrap());
    }
    let waiting: Vec<_> = (0..3)
        .map(|_| {
            let own = pool.clone();
            tokio::spawn(async move { number(&own.checkout().await.unwrap()).await })
        })
        .collect();
    settled().await;
    pool.resize(1).await.unwrap();
    assert_eq!(counts(&pool).await, [0, 4, 0, 3]);
    lent.truncate(1);
    // Three workers are stopped, although clients wait: the pool has one worker too many.
    assert_eq!(counts(&pool).await, [0, 1, 0, 3]);
    let kept = number(&lent[0]).await;
    drop(lent);
    for client in waiting {
        assert_eq!(client.await.unwrap(), kept);
    }
    assert_eq!(counts(&pool).await, [1, 0, 0, 0]);
    assert_eq!(site.starts.load(Ordering::SeqCst), 4);
}

#[tokio::test(start_paused = true)]
async fn a_pool_made_larger_again_waits_for_the_stops_of_the_resize_before() {
    let (rt, site) = (Runtime::new(), Arc::new(Site::default()));
    let pool = pool_of(&site).size(3).start(&rt).await.unwrap();
    let mut lent = Vec::new();
    for _ in 0..3 {
        lent.push(pool.checkout().await.unwrap());
    }
    pool.resize(1).await.unwrap();
    pool.resize(3).await.unwrap();
    drop(lent);
    assert_eq!(counts(&pool).await, [3, 0, 0, 0]);
    assert_eq!(site.starts.load(Ordering::SeqCst), 3); // none was stopped meanwhile
    pool.resize(1).await.unwrap();
    pool.resize(3).await.unwrap(); // two are being stopped
    assert!(pool.status().await.unwrap().workers() <= 3);
    assert_eq!(counts(&pool).await, [3, 0, 0, 0]);
    assert_eq!(site.starts.load(Ordering::SeqCst), 5);
}

#[tokio::test(start_paused = true)]
async fn a_resize_to_more_workers_serves_the_clients_that_wait() {
    let (rt, site) = (Runtime::new(), Arc::new(Site::default()));
    let pool = pool_of(&site).size(1).start(&rt).await.unwrap();
    let _only = pool.checkout().await.unwrap();
    let own = pool.clone();
    let waits = tokio::spawn(async move { own.checkout().await.is_ok() });
    settled().await;
    pool.resize(2).await.unwrap();
    assert!(waits.await.unwrap());
}

#[tokio::test(start_paused = true)]
async fn a_worker_older_than_its_lifetime_is_replaced_when_it_is_returned_or_idle() {
    let (rt, site) = (Runtime::new(), Arc::new(Site::default()));
    let pool = pool_of(&site).size(2).max_lifetime(8 * SECOND).start(&rt).await.unwrap();
    let lent = pool.checkout().await.unwrap();
    tokio::time::sleep(20 * SECOND).await;
    assert!(number(&lent).await <= 2); // not cut short
    drop(lent);
    settled().await;
    let both = (pool.checkout().await.unwrap(), pool.checkout().await.unwrap());
    assert!(number(&both.0).await > 2 && number(&both.1).await > 2);
}

#[tokio::test(start_paused = true)]
async fn a_worker_idle_for_too_long_is_replaced_and_in_a_lazy_pool_ended() {
    for lazy in [false, true] {
        let (rt, site) = (Runtime::new(), Arc::new(Site::default()));
        let pool = pool_of(&site).size(1).max_idle(4 * SECOND);
        let pool = if lazy { pool.lazy() } else { pool };
        let pool = pool.start(&rt).await.unwrap();
        assert_eq!(number(&pool.checkout().await.unwrap()).await, 1);
        tokio::time::sleep(6 * SECOND).await;
        assert_eq!(counts(&pool).await, if lazy { [0; 4] } else { [1, 0, 0, 0] });
        assert_eq!(number(&pool.checkout().await.unwrap()).await, 2);
    }
}
