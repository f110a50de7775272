//! Races of the two sides of a checkout.

use std::sync::Arc;

use regrow::{PoolRef, Runtime};
use tokio::task::yield_now;

use super::{Connection, SECOND, Site, pool_of};

/// The number of rounds of a race.
const ROUNDS: usize = if cfg!(regrow_proof) { 2_000 } else { 300 };

fn on_workers(test: impl AsyncFn(Runtime, PoolRef<Connection>)) {
    for workers in [1, 2, 4] {
        let mut tokio = tokio::runtime::Builder::new_multi_thread();
        let tokio = tokio.worker_threads(workers).enable_all().build().unwrap();
        tokio.block_on(async {
            let (rt, site) = (Runtime::new(), Arc::new(Site::default()));
            let pool = pool_of(&site).size(1).start(&rt).await.unwrap();
            test(rt, pool).await;
        });
    }
}

/// Waits until the only worker is idle, nothing waits, and no client is monitored.
async fn whole(rt: &Runtime, pool: &PoolRef<Connection>, round: usize) {
    for _ in 0..100_000 {
        let status = pool.status().await.unwrap();
        let server = rt.whereis("pool/server").and_then(|server| rt.info(server));
        let monitors = server.map_or(1, |server| server.monitoring);
        if (status.idle, status.workers(), status.waiting, monitors) == (1, 1, 0, 0) {
            return;
        }
        yield_now().await;
    }
    let status = pool.status().await.unwrap();
    panic!("round {round}: {status}, {:?}", rt.whereis("pool/server").and_then(|pid| rt.info(pid)));
}

#[test]
fn a_worker_that_is_handed_over_while_the_client_gives_up_is_not_lost() {
    on_workers(async |rt, pool| {
        for round in 0..ROUNDS {
            let only = pool.checkout().await.unwrap();
            let own = pool.clone();
            let waits = rt.spawn(async move |_| drop(own.checkout().await));
            for _ in 0..round % 7 {
                yield_now().await;
            }
            // The return and the kill race.
            let returned = tokio::spawn(async move { drop(only) });
            for _ in 0..round % 3 {
                yield_now().await;
            }
            waits.kill();
            returned.await.unwrap();
            waits.join().await;
            whole(&rt, &pool, round).await;
        }
    });
}

#[test]
fn a_client_that_is_killed_while_it_checks_out_and_returns_loses_no_worker() {
    on_workers(async |rt, pool| {
        for round in 0..ROUNDS {
            let own = pool.clone();
            let client = rt.spawn(async move |_| {
                loop {
                    let checkout = own.checkout().await;
                    yield_now().await;
                    drop(checkout);
                }
            });
            for _ in 0..round % 11 {
                yield_now().await;
            }
            client.kill();
            client.join().await;
            whole(&rt, &pool, round).await;
        }
    });
}

#[test]
fn the_server_is_killed_while_clients_check_out_and_return() {
    on_workers(async |rt, pool| {
        let supervisor = pool.supervisor();
        for round in 0.. {
            let clients: Vec<_> = (0..4)
                .map(|_| {
                    let own = pool.clone();
                    rt.spawn(async move |_| {
                        for _ in 0..5 {
                            let checkout = own.checkout_within(10 * SECOND).await;
                            yield_now().await;
                            drop(checkout);
                        }
                    })
                })
                .collect();
            for _ in 0..round % 7 {
                yield_now().await;
            }
            if let Some(server) = rt.whereis("pool/server") {
                rt.kill(server);
            }
            for client in clients {
                client.join().await;
            }
            whole(&rt, &pool, round).await;
            assert!(supervisor.is_alive());
            // The restart limit of the pool's own supervisor is reached.
            if round == 2 {
                return;
            }
        }
    });
}
