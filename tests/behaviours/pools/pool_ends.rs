//! Clients, workers, the pool's server and its supervisors end.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use regrow::{Backoff, CallError, ExitReason, PoolError, Restart, Runtime};
use tokio::sync::oneshot;

use super::{Call, SECOND, Site, client, counts, number, pid_of, pool_of};
use crate::support::{assert_nothing_left, killed, settled};

#[tokio::test(start_paused = true)]
async fn a_client_that_is_killed_returns_its_worker() {
    let (rt, site) = (Runtime::new(), Arc::new(Site::default()));
    let pool = pool_of(&site).size(1).start(&rt).await.unwrap();
    let client = client(&rt, &pool, |checkout| checkout).await;
    assert_eq!(counts(&pool).await, [0, 1, 0, 0]);
    killed(&rt, client).await;
    assert_eq!(counts(&pool).await, [1, 0, 0, 0]);
    assert_eq!(site.starts.load(Ordering::SeqCst), 1); // the same worker
}

#[tokio::test(start_paused = true)]
async fn a_worker_whose_checkout_was_leaked_is_replaced_when_the_client_ends() {
    let (rt, site) = (Runtime::new(), Arc::new(Site::default()));
    let pool = pool_of(&site).size(2).start(&rt).await.unwrap();
    let client = client(&rt, &pool, |checkout| {
        let pid = checkout.pid().unwrap();
        std::mem::forget(checkout);
        pid
    });
    let client = client.await;
    assert_eq!(counts(&pool).await, [1, 1, 0, 0]);
    killed(&rt, client).await;
    assert_eq!(counts(&pool).await, [2, 0, 0, 0]);
    assert_eq!(site.starts.load(Ordering::SeqCst), 3);
}

#[tokio::test(start_paused = true)]
async fn a_checkout_moved_out_of_its_process_loses_the_worker_when_the_process_ends() {
    let (rt, site) = (Runtime::new(), Arc::new(Site::default()));
    let pool = pool_of(&site).size(1).start(&rt).await.unwrap();
    let (move_out, moved) = oneshot::channel();
    let client = client(&rt, &pool, |checkout| drop(move_out.send(checkout))).await;
    let moved = moved.await.unwrap();
    assert_eq!(number(&moved).await, 1);
    killed(&rt, client).await;
    let next = pool.checkout().await.unwrap();
    assert_eq!(number(&next).await, 2);
    assert_eq!(moved.call(Call::Number).await, Err(CallError::NoProc));
    drop(moved); // has no lease any more
    assert_eq!(counts(&pool).await, [0, 1, 0, 0]);
    drop(next);
    assert_eq!(counts(&pool).await, [1, 0, 0, 0]);
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_crashes_while_lent_fails_the_call_with_the_reason_and_is_restarted() {
    let (rt, site) = (Runtime::new(), Arc::new(Site::default()));
    let pool = pool_of(&site).size(1).start(&rt).await.unwrap();
    let checkout = pool.checkout().await.unwrap();
    let Err(CallError::Exited(reason)) = checkout.call(Call::Crash).await else {
        panic!("the call fails with the reason")
    };
    assert_eq!(reason.crash().unwrap().message(), "boom: as asked");
    // The restarted worker goes to the next client, although the first one has not returned.
    let next = pool.checkout().await.unwrap();
    assert_eq!(number(&next).await, 2);
    drop(checkout);
    assert_eq!(counts(&pool).await, [0, 1, 0, 0]);
    drop(next);
    assert_eq!(counts(&pool).await, [1, 0, 0, 0]);
}

#[tokio::test(start_paused = true)]
async fn an_idle_worker_that_has_crashed_is_not_lent() {
    let (rt, site) = (Runtime::new(), Arc::new(Site::default()));
    let backoff = Backoff::new().first(SECOND).jitter(0.0);
    let pool = pool_of(&site).size(2).backoff(backoff).start(&rt).await.unwrap();
    let pid = pool.checkout().await.unwrap().pid().unwrap(); // the one that is lent next
    killed(&rt, pid).await;
    let alive = pool.checkout().await.unwrap();
    assert_ne!(alive.pid(), Some(pid));
    assert!(pool.checkout_within(SECOND / 2).await.is_err());
    let restarted = pool.checkout_within(SECOND).await.unwrap();
    assert_eq!(number(&restarted).await, 3);
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_is_not_restarted_is_replaced() {
    let (rt, site) = (Runtime::new(), Arc::new(Site::default()));
    let pool = pool_of(&site).size(1).worker(|worker| worker.restart(Restart::Transient));
    let pool = pool.start(&rt).await.unwrap();
    for n in 1..5 {
        let checkout = pool.checkout().await.unwrap();
        assert_eq!(number(&checkout).await, n);
        checkout.stop(ExitReason::Normal).await.unwrap();
    }
    tokio::time::sleep(SECOND).await; // the pause before the last one
    assert_eq!(counts(&pool).await, [1, 0, 0, 0]);
}

#[tokio::test(start_paused = true)]
async fn checkouts_stay_valid_and_come_back_when_the_server_of_the_pool_crashes() {
    let (rt, site) = (Runtime::new(), Arc::new(Site::default()));
    let pool = pool_of(&site).size(3).start(&rt).await.unwrap();
    let (first, second) = (pool.checkout().await.unwrap(), pool.checkout().await.unwrap());
    let leaking = client(&rt, &pool, std::mem::forget).await;
    let server = pid_of(&rt, "pool/server");
    let reply = pool.clone();
    let waits = tokio::spawn(async move { reply.checkout().await.map(|it| it.pid()) });
    settled().await;
    killed(&rt, server).await;
    drop(first); // to the server that is gone, or to its successor
    settled().await;
    assert_ne!(pid_of(&rt, "pool/server"), server);
    assert!(waits.await.unwrap().is_ok());
    assert_eq!(number(&second).await, 2);
    assert_eq!(counts(&pool).await, [1, 2, 0, 0]);
    drop(second);
    killed(&rt, leaking).await; // the successor monitors it
    assert_eq!(counts(&pool).await, [3, 0, 0, 0]);
    assert_eq!(site.starts.load(Ordering::SeqCst), 4); // only the leaked one was replaced
    pool.stop().await.unwrap();
    assert_nothing_left(&rt).await;
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_is_returned_while_the_server_is_restarted_is_lent_again() {
    let (rt, site) = (Runtime::new(), Arc::new(Site::default()));
    let pool = pool_of(&site).size(1).start(&rt).await.unwrap();
    let checkout = pool.checkout().await.unwrap();
    rt.kill(pid_of(&rt, "pool/server"));
    drop(checkout); // before the supervisor has seen the end
    assert_eq!(number(&pool.checkout().await.unwrap()).await, 1);
    assert_eq!(counts(&pool).await, [1, 0, 0, 0]);
}

#[tokio::test(start_paused = true)]
async fn all_workers_are_started_again_when_their_supervisor_is_killed() {
    let (rt, site) = (Runtime::new(), Arc::new(Site::default()));
    let pool = pool_of(&site).size(2).start(&rt).await.unwrap();
    let first = pool.checkout().await.unwrap();
    killed(&rt, pid_of(&rt, "pool/workers")).await;
    assert!(number(&pool.checkout().await.unwrap()).await > 2);
    assert!(first.call(Call::Number).await.is_err());
    drop(first);
    assert_eq!(counts(&pool).await, [2, 0, 0, 0]);
    assert_eq!(site.starts.load(Ordering::SeqCst), 4);
}

#[tokio::test(start_paused = true)]
async fn a_pool_whose_workers_keep_crashing_ends_and_its_clients_get_an_error() {
    let (rt, site) = (Runtime::new(), Arc::new(Site::default()));
    let pool = pool_of(&site).size(1).intensity(0, SECOND).start(&rt).await.unwrap();
    let mut errors = Vec::new();
    for _ in 0..20 {
        match pool.checkout().await {
            Ok(checkout) => drop(checkout.call(Call::Crash).await),
            Err(error) => errors.push(error),
        }
        settled().await;
    }
    assert!(!errors.is_empty() && !pool.supervisor().is_alive());
    assert!(errors.iter().all(|error| matches!(error, PoolError::Unavailable(_))), "{errors:?}");
    assert_nothing_left(&rt).await;
}

#[tokio::test(start_paused = true)]
async fn workers_that_cannot_be_started_are_tried_again_and_the_time_out_names_the_reason() {
    let (rt, site) = (Runtime::new(), Arc::new(Site::default()));
    let pool = pool_of(&site).size(2).lazy().start(&rt).await.unwrap();
    site.is_down.store(true, Ordering::SeqCst);
    let started = rt.spawned();
    let error = pool.checkout_within(10 * SECOND).await.unwrap_err();
    assert!(format!("{error:?}").contains("the site is down"), "{error:?}");
    assert!(rt.spawned() - started < 60, "{} processes in ten seconds", rt.spawned() - started);
    site.is_down.store(false, Ordering::SeqCst);
    assert!(pool.checkout_within(10 * SECOND).await.is_ok());
    let error = pool.checkout_within(Duration::ZERO).await;
    assert!(error.is_ok(), "{error:?}");
}
