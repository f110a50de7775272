//! Pools of servers, and the routing of requests to partitions.

mod partition_routing;
mod pool_checkouts;
mod pool_checks;
mod pool_ends;
mod pool_queue;
mod pool_races;
mod pool_rates;
mod pool_replacements;
mod pool_sizes;
mod pool_stress;

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use regrow::{GenServer, Pid, Pool, PoolRef, PoolStatus, Reply, Result, Runtime, ServerContext};
use tokio::sync::oneshot;

use crate::support::injected_panics::BOOM;
use crate::support::settled;

const SECOND: Duration = Duration::from_secs(1);

/// What the workers of one pool share: a database server, say.
#[derive(Default)]
struct Site {
    /// The number of workers that were started.
    starts: AtomicUsize,
    /// How long a start takes.
    start_time: Mutex<Duration>,
    is_down: AtomicBool,
    /// The workers that clients use at this moment.
    in_use: Mutex<HashSet<Pid>>,
}

/// A worker: its number, and whether it is still usable.
struct Connection {
    number: usize,
    is_usable: bool,
}

enum Call {
    Number(Reply<usize>),
    IsUsable(Reply<bool>),
    /// Crashes.
    Crash(Reply<()>),
}

impl GenServer for Connection {
    type Args = Arc<Site>;
    type Call = Call;
    /// Makes the worker unusable.
    type Cast = ();

    async fn init(site: Arc<Site>, _: &mut ServerContext<Self>) -> Result<Self> {
        if site.is_down.load(Ordering::SeqCst) {
            return Err("the site is down".into());
        }
        let start_time = *site.start_time.lock().unwrap();
        if !start_time.is_zero() {
            tokio::time::sleep(start_time).await;
        }
        let number = site.starts.fetch_add(1, Ordering::SeqCst) + 1;
        Ok(Connection { number, is_usable: true })
    }

    async fn handle_call(&mut self, call: Call, _: &mut ServerContext<Self>) -> Result {
        match call {
            Call::Number(reply) => reply.send(self.number),
            Call::IsUsable(reply) => reply.send(self.is_usable),
            Call::Crash(_reply) => panic!("{BOOM}: as asked"),
        }
        Ok(())
    }

    async fn handle_cast(&mut self, (): (), _: &mut ServerContext<Self>) -> Result {
        self.is_usable = false;
        Ok(())
    }
}

/// A pool of connections to the site, whose workers may be restarted often.
fn pool_of(site: &Arc<Site>) -> Pool<Connection> {
    let site = site.clone();
    Pool::new("pool", move || site.clone()).intensity(1_000, SECOND)
}

async fn number(connection: &regrow::ServerRef<Connection>) -> usize {
    connection.call(Call::Number).await.expect("the worker runs")
}

/// The counts of the pool when every other task waits.
async fn counts(pool: &PoolRef<Connection>) -> [usize; 4] {
    settled().await;
    let PoolStatus { idle, lent, waiting, .. } = pool.status().await.expect("the pool runs");
    let status = pool.status().await.expect("the pool runs");
    [idle, lent, status.starting + status.stopping, waiting]
}

/// Starts a process that checks a worker out, does something with its checkout, and waits.
async fn client<T: Send + 'static>(
    rt: &Runtime,
    pool: &PoolRef<Connection>,
    with: impl FnOnce(regrow::Checkout<Connection>) -> T + Send + 'static,
) -> Pid {
    let (ready, has_checkout) = oneshot::channel();
    let pool = pool.clone();
    let client = rt.spawn_fallible(async move |_| {
        let _kept = with(pool.checkout().await?);
        let _ = ready.send(());
        std::future::pending().await
    });
    has_checkout.await.expect("the client has a worker");
    client.pid()
}

fn pid_of(rt: &Runtime, name: &str) -> Pid {
    rt.whereis(name).unwrap_or_else(|| panic!("no process holds the name {name}"))
}
