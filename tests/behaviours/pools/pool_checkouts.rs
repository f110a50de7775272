//! Checkouts and returns.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use regrow::{Exhausted, Pool, PoolError, PoolRef, Restart, Runtime, StartError, Supervisor};

use super::{Call, Connection, SECOND, Site, client, counts, number, pid_of, pool_of};
use crate::support::{assert_nothing_left, killed, settled};

#[tokio::test(start_paused = true)]
async fn a_checked_out_worker_is_of_one_client_until_its_checkout_is_dropped() {
    let (rt, site) = (Runtime::new(), Arc::new(Site::default()));
    let pool = pool_of(&site).size(2).start(&rt).await.unwrap();
    let (first, second) = (pool.checkout().await.unwrap(), pool.checkout().await.unwrap());
    assert_ne!(number(&first).await, number(&second).await);
    assert_eq!(counts(&pool).await, [0, 2, 0, 0]);
    let refused = pool.checkout_within(SECOND).await.unwrap_err();
    assert_eq!(
        refused,
        PoolError::Timeout { limit: SECOND, start_error: None, rate_limited: false }
    );
    drop((first, second));
    assert_eq!(counts(&pool).await, [2, 0, 0, 0]);
    assert_eq!(site.starts.load(Ordering::SeqCst), 2);
    pool.stop().await.unwrap();
    assert_nothing_left(&rt).await;
}

#[tokio::test(start_paused = true)]
async fn the_worker_returned_last_is_lent_first_unless_the_pool_is_fifo() {
    for fifo in [false, true] {
        let (rt, site) = (Runtime::new(), Arc::new(Site::default()));
        let pool = pool_of(&site).size(2);
        let pool = if fifo { pool.fifo() } else { pool };
        let pool = pool.start(&rt).await.unwrap();
        let (first, second) = (pool.checkout().await.unwrap(), pool.checkout().await.unwrap());
        let (one, two) = (number(&first).await, number(&second).await);
        drop(first);
        drop(second);
        let next = number(&pool.checkout().await.unwrap()).await;
        assert_eq!(next, if fifo { one } else { two });
    }
}

#[tokio::test(start_paused = true)]
async fn a_pool_is_one_child_and_a_handle_by_name_outlives_its_restart() {
    let (rt, site) = (Runtime::new(), Arc::new(Site::default()));
    let spec = pool_of(&site).size(2).spec().unwrap();
    let pool = PoolRef::<Connection>::named(&rt, "pool");
    let unavailable = pool.checkout().await.unwrap_err();
    assert!(matches!(unavailable, PoolError::Unavailable(_)), "{unavailable}");

    let tree = Supervisor::one_for_one().child(spec).start(&rt).await.unwrap();
    let first = pool.checkout().await.unwrap();
    assert_eq!(tree.count_children().await.unwrap().active, 1);
    killed(&rt, pid_of(&rt, "pool")).await;
    settled().await;
    let second = pool.checkout().await.unwrap();
    assert!(number(&second).await > 2);
    assert!(first.call(Call::Number).await.is_err());
    drop(first); // of workers that are gone
    assert_eq!(counts(&pool).await, [1, 1, 0, 0]);
    drop(second);
    tree.stop().await.unwrap();
    let unavailable = pool.checkout().await.unwrap_err();
    assert!(matches!(unavailable, PoolError::Unavailable(_)), "{unavailable}");
    assert_nothing_left(&rt).await;
}

#[tokio::test(start_paused = true)]
async fn a_transaction_returns_its_worker_and_one_that_is_cut_short_replaces_it() {
    let (rt, site) = (Runtime::new(), Arc::new(Site::default()));
    let pool = pool_of(&site).size(1).start(&rt).await.unwrap();
    let one = pool.transaction(async |worker| number(worker).await).await.unwrap();
    let kept: Result<usize, &str> =
        pool.transaction(async |_| Err("an error is a result")).await.unwrap();
    assert_eq!((one, kept), (1, Err("an error is a result")));
    assert_eq!(pool.transaction(async |worker| number(worker).await).await.unwrap(), 1);

    let endless = pool.transaction(async |_| std::future::pending::<()>().await);
    tokio::time::timeout(SECOND, endless).await.unwrap_err();
    assert_eq!(pool.transaction(async |worker| number(worker).await).await.unwrap(), 2);

    let own = pool.clone();
    let failed = rt.spawn(async move |_| {
        let _ = own.transaction(async |_| panic!("in the middle")).await;
    });
    assert!(failed.join().await.crash().is_some());
    assert_eq!(pool.transaction(async |worker| number(worker).await).await.unwrap(), 3);
    assert_eq!(counts(&pool).await, [1, 0, 0, 0]);
}

#[tokio::test(start_paused = true)]
async fn a_discarded_worker_is_replaced() {
    let (rt, site) = (Runtime::new(), Arc::new(Site::default()));
    let pool = pool_of(&site).size(1).start(&rt).await.unwrap();
    pool.checkout().await.unwrap().discard();
    assert_eq!(number(&pool.checkout().await.unwrap()).await, 2);
    // A replaced worker is no restart: it does not use the restart limit.
    let strict = Pool::<Connection>::new("strict", {
        let site = site.clone();
        move || site.clone()
    });
    let strict = strict.size(1).intensity(0, SECOND).start(&rt).await.unwrap();
    for _ in 0..10 {
        strict.checkout().await.unwrap().discard();
    }
    assert!(strict.checkout().await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn settings_that_cannot_work_are_refused_and_nothing_is_started() {
    let (rt, site) = (Runtime::new(), Arc::new(Site::default()));
    let refused = [
        pool_of(&site).size(0).start(&rt).await.unwrap_err(),
        pool_of(&site).overflow(usize::MAX).start(&rt).await.unwrap_err(),
        pool_of(&site).max_lifetime(Duration::ZERO).start(&rt).await.unwrap_err(),
        pool_of(&site).max_idle(Duration::ZERO).start(&rt).await.unwrap_err(),
        pool_of(&site).worker(|worker| worker.named("one")).start(&rt).await.unwrap_err(),
        pool_of(&site)
            .worker(|worker| worker.restart(Restart::Temporary))
            .start(&rt)
            .await
            .unwrap_err(),
        pool_of(&site)
            .worker(|worker| worker.restart_budget(3, 5 * SECOND, Exhausted::GiveUp))
            .start(&rt)
            .await
            .unwrap_err(),
    ];
    let settings =
        ["`size`", "`overflow`", "`max_lifetime`", "`max_idle`", "name", "transient", "Forget"];
    assert_eq!(refused.len(), settings.len());
    for (error, what) in refused.iter().zip(settings) {
        assert!(matches!(error, StartError::Invalid(text) if text.contains(what)), "{error}");
    }
    assert_eq!(rt.spawned(), 0);
}

#[tokio::test(start_paused = true)]
async fn the_start_of_a_pool_fails_with_the_error_of_a_worker_and_leaves_nothing() {
    let (rt, site) = (Runtime::new(), Arc::new(Site::default()));
    site.is_down.store(true, Ordering::SeqCst);
    let error = pool_of(&site).size(3).start(&rt).await.unwrap_err();
    assert!(format!("{error:?}").contains("the site is down"), "{error:?}");
    assert_nothing_left(&rt).await;
}

#[tokio::test(start_paused = true)]
async fn one_description_does_not_run_twice_at_the_same_time() {
    let (one, two, site) = (Runtime::new(), Runtime::new(), Arc::new(Site::default()));
    let spec = pool_of(&site).size(1).spec().unwrap();
    let tree = Supervisor::one_for_one().child(spec.clone()).start(&one).await.unwrap();
    let error = Supervisor::one_for_one().child(spec.clone()).start(&two).await.unwrap_err();
    assert!(error.to_string().contains("one for each runtime"), "{error}");
    tree.stop().await.unwrap();
    assert!(Supervisor::one_for_one().child(spec).start(&two).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_checkout_outside_of_processes_works_without_a_monitor() {
    let (rt, site) = (Runtime::new(), Arc::new(Site::default()));
    let pool = pool_of(&site).size(1).start(&rt).await.unwrap();
    let own = pool.clone();
    let task = tokio::spawn(async move {
        let _checkout = own.checkout().await.unwrap();
        std::future::pending::<()>().await;
    });
    settled().await;
    assert_eq!(counts(&pool).await, [0, 1, 0, 0]);
    task.abort();
    assert_eq!(counts(&pool).await, [1, 0, 0, 0]);
}

/// The pool does not monitor it: its pid is one of another table.
#[tokio::test(start_paused = true)]
async fn a_process_of_another_runtime_has_a_worker_until_its_checkout_is_dropped() {
    let (rt, other, site) = (Runtime::new(), Runtime::new(), Arc::new(Site::default()));
    let pool = pool_of(&site).size(1).start(&rt).await.unwrap();
    let holder = client(&other, &pool, |checkout| checkout).await;
    let (own, runtime) = (pool.clone(), other.clone());
    let waits = tokio::spawn(async move { client(&runtime, &own, |checkout| checkout).await });
    assert_eq!(counts(&pool).await, [0, 1, 0, 1]);
    killed(&other, holder).await;
    let next = waits.await.unwrap();
    assert_eq!(counts(&pool).await, [0, 1, 0, 0]);
    killed(&other, next).await;
    assert_eq!(counts(&pool).await, [1, 0, 0, 0]);
    assert_eq!(site.starts.load(Ordering::SeqCst), 1);
    let leaks = client(&other, &pool, std::mem::forget).await;
    killed(&other, leaks).await;
    assert_eq!(counts(&pool).await, [0, 1, 0, 0]);
    pool.stop().await.unwrap();
    assert_nothing_left(&rt).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_client_on_another_tokio_runtime_waits_and_is_served() {
    let (rt, site) = (Runtime::new(), Arc::new(Site::default()));
    let pool = pool_of(&site).size(1).start(&rt).await.unwrap();
    let only = pool.checkout().await.unwrap();
    let own = pool.clone();
    let thread = std::thread::spawn(move || {
        let tokio = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        tokio.block_on(async move {
            let checkout = own.checkout_within(60 * SECOND).await.unwrap();
            number(&checkout).await
        })
    });
    while pool.status().await.unwrap().waiting == 0 {
        tokio::task::yield_now().await;
    }
    drop(only);
    let used = tokio::task::spawn_blocking(move || thread.join().unwrap()).await.unwrap();
    assert_eq!(used, 1);
    assert_eq!(number(&pool.checkout().await.unwrap()).await, 1);
}

#[tokio::test(start_paused = true)]
async fn the_tree_and_the_status_of_the_server_show_the_pool() {
    let (rt, site) = (Runtime::new(), Arc::new(Site::default()));
    let pool = pool_of(&site).size(2).start(&rt).await.unwrap();
    let client = client(&rt, &pool, |checkout| checkout).await;
    let tree = pool.supervisor().tree().await.unwrap().to_string();
    for part in ["workers", "server", "Connection"] {
        assert!(tree.contains(part) || part == "Connection", "{tree}");
    }
    assert_eq!(pool.status().await.unwrap().to_string(), "1 idle, 1 lent, 0 waiting");
    rt.kill(client);
    assert_eq!(counts(&pool).await, [2, 0, 0, 0]);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_lives_on_is_not_monitored_after_its_returns() {
    let (rt, site) = (Runtime::new(), Arc::new(Site::default()));
    let pool = pool_of(&site).size(1).start(&rt).await.unwrap();
    let server = pid_of(&rt, "pool/server");
    let own = pool.clone();
    let _client = rt.spawn(async move |_| {
        for _ in 0..10 {
            drop(own.checkout().await);
        }
        std::future::pending::<()>().await;
    });
    settled().await;
    assert_eq!(rt.info(server).unwrap().monitoring, 0);
    let _holder = client(&rt, &pool, |checkout| checkout).await;
    assert_eq!(rt.info(server).unwrap().monitoring, 1);
}
