//! The cost of a checkout with its return, and of a call that is routed to a partition.
//!
//! Raw, for a checkout: a permit of a tokio semaphore is acquired and released, and a server begins and
//! ends to monitor the client. A pool does both, and chooses a worker. The target is twice the cost.
//! Raw, for a routed call: a call to the same servers by direct handles, in turn.

use std::sync::Arc;
use std::time::Instant;

use regrow::{GenServer, PartitionSupervisor, Pid, Pool, Runtime};
use tokio::sync::Semaphore;
use tokio::task::yield_now;

use crate::support::{Bench, Echo, Row, Target, nanos_each, shut_down};

const WORKERS: usize = 8;

pub(crate) fn rows(bench: &Bench) {
    let measure = |text, clients| {
        let row = Row { text, unit: "ns", target: Target::Ratio(2.0), size: 256_000 };
        bench.compare(&row, move |n| semaphore(n, clients), move |n| pool(n, clients));
    };
    measure("checkout and return, 1 client of 8 workers", 1);
    measure("checkout and return, 8 clients of 8 workers", 8);
    measure("checkout and return, 64 clients of 8 workers", 64);

    bench.header("behaviours", ["plain call", "routed", "ratio"]);
    let measure = |text, target, routing| {
        let row = Row { text, unit: "ns", target: Target::Ratio(target), size: 256_000 };
        bench.compare(&row, |n| calls(n, Routing::Direct), move |n| calls(n, routing));
    };
    measure("a call by round robin", 1.3, Routing::RoundRobin);
    measure("a call by a consistent key", 1.3, Routing::Consistent);
    measure("a call to the least loaded of 8", 3.0, Routing::LeastLoaded);
}

/// Runs the work of each client in a process of its own, and returns the cost of one round.
async fn in_clients<F, Fut>(rt: &Runtime, size: usize, clients: usize, work: F) -> f64
where
    F: Fn(usize, Pid) -> Fut + Clone + Send + 'static,
    Fut: Future<Output = ()> + Send + 'static,
{
    let rounds = size.div_ceil(clients);
    let start = Instant::now();
    let clients: Vec<_> = (0..clients)
        .map(|_| {
            let work = work.clone();
            rt.spawn(move |ctx| work(rounds, ctx.pid()))
        })
        .collect();
    let count = clients.len();
    for client in clients {
        client.join().await;
    }
    let cost = nanos_each(start, rounds * count);
    shut_down(rt).await;
    cost
}

async fn semaphore(size: usize, clients: usize) -> f64 {
    let rt = Runtime::new();
    let server = Echo::start(&rt, ()).await.expect("it starts").pid().expect("it runs");
    let (semaphore, own) = (Arc::new(Semaphore::new(WORKERS)), rt.clone());
    let work = move |rounds, client| {
        let (semaphore, rt) = (semaphore.clone(), own.clone());
        async move {
            for round in 0..rounds {
                let permit = semaphore.acquire().await.expect("it is open");
                let monitor = rt.monitor(server, client);
                // Each use has an await, so that clients wait.
                if round % 8 == 0 {
                    yield_now().await;
                }
                rt.demonitor_flush(monitor);
                drop(permit);
            }
        }
    };
    in_clients(&rt, size, clients, work).await
}

async fn pool(size: usize, clients: usize) -> f64 {
    let rt = Runtime::new();
    let pool = Pool::<Echo>::new("pool", || ()).size(WORKERS).start(&rt).await.expect("it starts");
    let work = move |rounds, _| {
        let pool = pool.clone();
        async move {
            for round in 0..rounds {
                let checkout = pool.checkout().await.expect("a worker becomes free");
                if round % 8 == 0 {
                    yield_now().await;
                }
                drop(checkout);
            }
        }
    };
    in_clients(&rt, size, clients, work).await
}

#[derive(Clone, Copy)]
enum Routing {
    Direct,
    RoundRobin,
    Consistent,
    LeastLoaded,
}

async fn calls(size: usize, routing: Routing) -> f64 {
    let rt = Runtime::new();
    let echoes = PartitionSupervisor::<Echo>::new("echoes", |_| ()).partitions(WORKERS);
    let echoes = echoes.start(&rt).await.expect("they start");
    let all = echoes.all();
    let start = Instant::now();
    for round in 0..size {
        let chosen;
        let server = match routing {
            Routing::Direct => &all[round % WORKERS],
            Routing::RoundRobin => {
                chosen = echoes.round_robin();
                &chosen
            }
            Routing::Consistent => {
                chosen = echoes.consistent(round);
                &chosen
            }
            Routing::LeastLoaded => {
                chosen = echoes.least_loaded();
                &chosen
            }
        };
        server.call(|reply| reply).await.expect("the server replies");
    }
    let cost = nanos_each(start, size);
    shut_down(&rt).await;
    cost
}
