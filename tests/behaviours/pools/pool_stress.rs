//! Many checkouts, by clients that crash, are killed, and forget their checkouts.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use regrow::{Pid, PoolRef, Runtime};
use tokio::task::yield_now;

use super::{Call, Connection, SECOND, Site, pool_of};
use crate::support::injected_panics::BOOM;

const CHECKOUTS: usize = match option_env!("REGROW_PROOF") {
    Some(_) => 600_000,
    None => 30_000,
};

const WORKERS: usize = 8;
const CLIENTS: usize = 32;

/// The use of a worker, which ends when this is dropped, before the checkout is.
struct InUse<'a>(&'a Site, Pid);

impl<'a> InUse<'a> {
    fn begin(site: &'a Site, worker: Pid) -> Self {
        assert!(site.in_use.lock().unwrap().insert(worker), "{worker} is lent twice");
        InUse(site, worker)
    }
}

impl Drop for InUse<'_> {
    fn drop(&mut self) {
        self.0.in_use.lock().unwrap().remove(&self.1);
    }
}

/// One client process: it checks out a number of times, and ends in one of several ways.
async fn client_life(pool: &PoolRef<Connection>, site: &Site, life: usize, done: &AtomicUsize) {
    for round in 0..50 {
        let Ok(checkout) = pool.checkout_within(60 * SECOND).await else { return };
        let in_use = InUse::begin(site, checkout.pid().expect("a worker has a pid"));
        done.fetch_add(1, Ordering::Relaxed);
        if round % 8 == 0 {
            let _ = checkout.call(Call::Number).await;
        }
        let crashes = life % 16 == 3 && round == 20;
        if crashes {
            let _ = checkout.call(Call::Crash).await;
        }
        if round % 5 == 0 {
            yield_now().await;
        }
        drop(in_use);
        match (life % 16, round) {
            (1, 30) => return std::mem::forget(checkout),
            (5, 30) => panic!("{BOOM}: a client crashes"),
            (7, 10) => checkout.discard(),
            _ => drop(checkout),
        }
    }
}

#[test]
fn no_worker_is_lost_among_many_checkouts_crashes_kills_and_leaks() {
    crate::support::injected_panics::hush_injected_panics();
    let mut tokio = tokio::runtime::Builder::new_multi_thread();
    let tokio = tokio.worker_threads(2).enable_all().build().unwrap();
    tokio.block_on(async {
        let (rt, site) = (Runtime::new(), Arc::new(Site::default()));
        let pool = pool_of(&site).size(WORKERS).intensity(1_000_000, SECOND);
        let pool = pool.start(&rt).await.unwrap();
        let (done, lives) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let clients = (0..CLIENTS).map(|_| {
            let (rt, pool, site) = (rt.clone(), pool.clone(), site.clone());
            let (done, lives) = (done.clone(), lives.clone());
            tokio::spawn(async move {
                while done.load(Ordering::Relaxed) < CHECKOUTS {
                    let life = lives.fetch_add(1, Ordering::Relaxed);
                    let (pool, own, done) = (pool.clone(), site.clone(), done.clone());
                    let client =
                        rt.spawn(async move |_| client_life(&pool, &own, life, &done).await);
                    if life % 16 == 9 {
                        for _ in 0..life % 64 {
                            yield_now().await;
                        }
                        client.kill();
                    }
                    client.join().await;
                }
            })
        });
        for client in clients.collect::<Vec<_>>() {
            client.await.unwrap();
        }
        assert!(done.load(Ordering::Relaxed) >= CHECKOUTS);
        whole(&rt, &pool).await;
    });
}

/// Waits until all workers are idle, nothing waits, and no client is monitored.
async fn whole(rt: &Runtime, pool: &PoolRef<Connection>) {
    let mut last = String::new();
    for _ in 0..100_000 {
        let status = pool.status().await.unwrap();
        let server = rt.info(rt.whereis("pool/server").unwrap()).unwrap();
        if (status.idle, status.workers(), status.waiting) == (WORKERS, WORKERS, 0)
            && server.monitoring == 0
        {
            return;
        }
        last = format!("{status}, {:?}", server.monitoring);
        yield_now().await;
    }
    panic!("{last}");
}
