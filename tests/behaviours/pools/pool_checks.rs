//! Checks of workers.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use regrow::{PoolError, Runtime, ServerRef};

use super::{Call, Connection, SECOND, Site, counts, number, pool_of};
use crate::support::injected_panics::BOOM;

async fn is_usable(connection: ServerRef<Connection>) -> bool {
    connection.call(Call::IsUsable).await.unwrap_or(false)
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_fails_its_check_before_a_checkout_is_replaced() {
    let (rt, site) = (Runtime::new(), Arc::new(Site::default()));
    let pool = pool_of(&site).size(1).check_on_checkout(is_usable).start(&rt).await.unwrap();
    let checkout = pool.checkout().await.unwrap();
    checkout.cast(());
    drop(checkout);
    assert_eq!(number(&pool.checkout().await.unwrap()).await, 2);
    assert_eq!(counts(&pool).await, [1, 0, 0, 0]);
}

#[tokio::test(start_paused = true)]
async fn a_check_before_a_checkout_that_panics_replaces_the_worker_and_not_the_client() {
    let (rt, site) = (Runtime::new(), Arc::new(Site::default()));
    let fresh = async |worker: ServerRef<Connection>| match number(&worker).await {
        1 => panic!("{BOOM}: a faulty check"),
        _ => true,
    };
    let fresh = move |worker: ServerRef<Connection>| fresh(worker);
    let pool = pool_of(&site).size(1).check_on_checkout(fresh).start(&rt).await.unwrap();
    assert_eq!(number(&pool.checkout().await.unwrap()).await, 2);
    assert_eq!(counts(&pool).await, [1, 0, 0, 0]);
}

#[tokio::test(start_paused = true)]
async fn a_check_that_hangs_ends_with_the_limit_of_the_checkout_and_replaces_the_worker() {
    let (rt, site) = (Runtime::new(), Arc::new(Site::default()));
    let hangs = async |_| std::future::pending::<bool>().await;
    let hangs = move |worker: ServerRef<Connection>| hangs(worker);
    let pool = pool_of(&site).size(1).check_on_checkout(hangs).start(&rt).await.unwrap();
    let error = pool.checkout_within(SECOND).await.unwrap_err();
    assert!(matches!(error, PoolError::Timeout { .. }), "{error}");
    assert_eq!(counts(&pool).await, [1, 0, 0, 0]);
    assert_eq!(site.starts.load(Ordering::SeqCst), 2);
}

#[tokio::test(start_paused = true)]
async fn idle_workers_that_fail_their_check_are_replaced_one_after_the_other() {
    let (rt, site) = (Runtime::new(), Arc::new(Site::default()));
    let pool = pool_of(&site).size(2).check_every(10 * SECOND, is_usable).start(&rt).await.unwrap();
    for _ in 0..2 {
        let both = (pool.checkout().await.unwrap(), pool.checkout().await.unwrap());
        both.0.cast(());
    }
    tokio::time::sleep(15 * SECOND).await;
    assert_eq!(counts(&pool).await, [2, 0, 0, 0]);
    let replaced = site.starts.load(Ordering::SeqCst) - 2;
    assert!((1..=2).contains(&replaced), "{replaced}");
}

#[tokio::test(start_paused = true)]
async fn a_check_of_idle_workers_that_panics_replaces_the_worker_and_not_the_server() {
    let (rt, site) = (Runtime::new(), Arc::new(Site::default()));
    let panics = |_| async { panic!("a faulty check") };
    let pool = pool_of(&site).size(1).check_every(10 * SECOND, panics).start(&rt).await.unwrap();
    let server = rt.whereis("pool/server");
    tokio::time::sleep(15 * SECOND).await;
    assert_eq!(site.starts.load(Ordering::SeqCst), 2);
    assert_eq!(rt.whereis("pool/server"), server);
    assert_eq!(counts(&pool).await, [1, 0, 0, 0]);
}
