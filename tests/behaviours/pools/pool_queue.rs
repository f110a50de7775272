//! The queue of the clients that wait.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use futures_util::FutureExt;
use regrow::{PoolError, Runtime};
use tokio::sync::mpsc::unbounded_channel;

use super::{SECOND, Site, counts, number, pool_of};
use crate::support::{killed, settled};

#[tokio::test(start_paused = true)]
async fn clients_are_served_in_the_order_of_their_requests() {
    let (rt, site) = (Runtime::new(), Arc::new(Site::default()));
    let pool = pool_of(&site).size(1).start(&rt).await.unwrap();
    let only = pool.checkout().await.unwrap();
    let (served, mut order) = unbounded_channel();
    for client in 0..10 {
        let (pool, served) = (pool.clone(), served.clone());
        rt.spawn(async move |_| {
            let _checkout = pool.checkout().await;
            let _ = served.send(client);
        });
        settled().await;
    }
    assert_eq!(counts(&pool).await, [0, 1, 0, 10]);
    drop(only);
    // A newcomer does not overtake the clients that wait.
    let newcomer = pool.checkout().await.unwrap();
    let mut served = Vec::new();
    while let Ok(client) = order.try_recv() {
        served.push(client);
    }
    assert_eq!(served, (0..10).collect::<Vec<_>>());
    drop(newcomer);
    assert_eq!(counts(&pool).await, [1, 0, 0, 0]);
}

#[tokio::test(start_paused = true)]
async fn clients_that_give_up_leave_the_queue_and_lose_no_worker() {
    let (rt, site) = (Runtime::new(), Arc::new(Site::default()));
    let pool = pool_of(&site).size(1).start(&rt).await.unwrap();
    let only = pool.checkout().await.unwrap();
    let dropped = tokio::time::timeout(SECOND, pool.checkout_within(100 * SECOND));
    let timed_out = pool.checkout_within(SECOND);
    let own = pool.clone();
    let killed_client = rt.spawn(async move |_| drop(own.checkout_within(100 * SECOND).await));
    let (dropped, timed_out) = tokio::join!(dropped, timed_out);
    assert!(dropped.is_err());
    assert!(matches!(timed_out, Err(PoolError::Timeout { .. })));
    assert_eq!(counts(&pool).await, [0, 1, 0, 1]);
    killed(&rt, killed_client.pid()).await;
    assert_eq!(counts(&pool).await, [0, 1, 0, 0]);
    drop(only);
    assert_eq!(counts(&pool).await, [1, 0, 0, 0]);
    assert_eq!(number(&pool.checkout().await.unwrap()).await, 1);
}

#[tokio::test(start_paused = true)]
async fn a_worker_handed_to_a_client_that_gives_up_at_that_moment_goes_to_the_next() {
    let (rt, site) = (Runtime::new(), Arc::new(Site::default()));
    let pool = pool_of(&site).size(1).start(&rt).await.unwrap();
    let only = pool.checkout().await.unwrap();
    // The first client is not polled again, so the worker stays in its answer until it is dropped.
    let mut first = Box::pin(pool.checkout_within(100 * SECOND));
    assert!((&mut first).now_or_never().is_none());
    settled().await;
    let own = pool.clone();
    let second = tokio::spawn(async move { own.checkout_within(100 * SECOND).await });
    settled().await;
    drop(only);
    settled().await;
    assert!(!second.is_finished());
    assert_eq!(counts(&pool).await, [0, 1, 0, 1]);
    drop(first);
    settled().await;
    assert!(second.is_finished());
    drop(second);
    settled().await;
}

/// Of 300 clients, a third is killed while it waits, and a third reaches its time limit, many of both
/// at the moment in which a worker is handed over.
#[tokio::test(start_paused = true)]
async fn clients_are_served_in_order_among_many_that_give_up() {
    let (rt, site) = (Runtime::new(), Arc::new(Site::default()));
    let pool = pool_of(&site).size(2).start(&rt).await.unwrap();
    let both = (pool.checkout().await.unwrap(), pool.checkout().await.unwrap());
    let (served, mut order) = unbounded_channel();
    let mut to_kill = Vec::new();
    for client in 0..300_u32 {
        let (pool, served) = (pool.clone(), served.clone());
        let limit = if client % 3 == 1 { SECOND / 1_000 * client } else { 100 * SECOND };
        let process = rt.spawn(async move |_| {
            let checkout = pool.checkout_within(limit).await;
            if checkout.is_ok() {
                let _ = served.send(client);
                tokio::time::sleep(SECOND / 500).await;
            }
        });
        to_kill.extend((client % 3 == 2).then_some(process));
        settled().await;
    }
    drop(both);
    for process in to_kill {
        process.kill();
        settled().await;
    }
    tokio::time::sleep(10 * SECOND).await;
    let mut all = Vec::new();
    while let Ok(client) = order.try_recv() {
        all.push(client);
    }
    assert!(all.is_sorted(), "{all:?}");
    assert_eq!(all.iter().filter(|client| *client % 3 == 0).count(), 100);
    assert_eq!(counts(&pool).await, [2, 0, 0, 0]);
    assert_eq!(site.starts.load(Ordering::SeqCst), 2);
}

#[tokio::test(start_paused = true)]
async fn a_full_queue_refuses_the_newest_client_or_the_oldest() {
    for oldest in [false, true] {
        let (rt, site) = (Runtime::new(), Arc::new(Site::default()));
        let pool = pool_of(&site).size(1).queue_limit(2);
        let pool = if oldest { pool.discard_oldest() } else { pool };
        let pool = pool.start(&rt).await.unwrap();
        let only = pool.checkout().await.unwrap();
        let (refused, mut order) = unbounded_channel();
        for client in 0..3 {
            let (pool, refused) = (pool.clone(), refused.clone());
            rt.spawn(async move |_| {
                if pool.checkout_within(100 * SECOND).await.is_err() {
                    let _ = refused.send(client);
                }
            });
            settled().await;
        }
        assert_eq!(order.recv().await, Some(if oldest { 0 } else { 2 }));
        assert_eq!(counts(&pool).await, [0, 1, 0, 2]);
        drop(only);
        assert_eq!(counts(&pool).await, [1, 0, 0, 0]);
        assert!(order.is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn a_queue_full_of_clients_that_have_given_up_accepts_the_next_one() {
    let (rt, site) = (Runtime::new(), Arc::new(Site::default()));
    let pool = pool_of(&site).size(1).queue_limit(1).start(&rt).await.unwrap();
    let only = pool.checkout().await.unwrap();
    for _ in 0..100 {
        assert!(matches!(pool.checkout_within(SECOND).await, Err(PoolError::Timeout { .. })));
    }
    let own = pool.clone();
    let waits = tokio::spawn(async move { own.checkout().await.is_ok() });
    settled().await;
    let refused = pool.checkout().await.unwrap_err();
    assert_eq!(refused, PoolError::QueueFull { limit: 1 });
    drop(only);
    assert!(waits.await.unwrap());
}
