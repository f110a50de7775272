//! Agents. The other side is a server with two calls that is written by hand, and, for a read, a value
//! behind a lock.

use std::sync::{Arc, RwLock};
use std::time::Instant;

use regrow::{Agent, GenServer, Reply, Result, Runtime, ServerContext};

use crate::support::{Bench, Row, Target, nanos_each, shut_down};

const SIZE: usize = 100_000;

struct Counter(u64);

enum Call {
    Get(Reply<u64>),
    Add(u64, Reply<()>),
}

impl GenServer for Counter {
    type Args = ();
    type Call = Call;
    type Cast = u64;

    async fn init((): (), _: &mut ServerContext<Self>) -> Result<Self> {
        Ok(Counter(0))
    }

    async fn handle_call(&mut self, call: Call, _: &mut ServerContext<Self>) -> Result {
        match call {
            Call::Get(reply) => reply.send(self.0),
            Call::Add(n, reply) => {
                self.0 += n;
                reply.send(());
            }
        }
        Ok(())
    }

    async fn handle_cast(&mut self, n: u64, _: &mut ServerContext<Self>) -> Result {
        self.0 += n;
        Ok(())
    }
}

pub(crate) fn rows(bench: &Bench) {
    let row = |text, target| Row { text, unit: "ns", target, size: SIZE };
    bench.header("an agent", ["server", "agent", "ratio"]);
    let updated = row("an agent, updated", Target::Ratio(1.3));
    bench.compare(&updated, server_updates, agent_updates);
    let cast = row("an agent, a cast", Target::Ratio(3.0));
    bench.compare(&cast, server_casts, agent_casts);
    bench.header("a value that is read", ["lock", "agent", "ratio"]);
    bench.compare(&row("an agent, read", Target::None), lock_reads, agent_reads);
}

async fn server_updates(size: usize) -> f64 {
    let rt = Runtime::new();
    let server = Counter::start(&rt, ()).await.expect("a server");
    let start = Instant::now();
    for _ in 0..size {
        server.call(|reply| Call::Add(1, reply)).await.expect("an answer");
    }
    let nanos = nanos_each(start, size);
    shut_down(&rt).await;
    nanos
}

async fn agent_updates(size: usize) -> f64 {
    let rt = Runtime::new();
    let agent = Agent::start(&rt, || 0_u64).await.expect("an agent");
    let start = Instant::now();
    for _ in 0..size {
        agent.update(|count| *count += 1).await.expect("an answer");
    }
    let nanos = nanos_each(start, size);
    shut_down(&rt).await;
    nanos
}

async fn server_casts(size: usize) -> f64 {
    let rt = Runtime::new();
    let server = Counter::start(&rt, ()).await.expect("a server");
    let start = Instant::now();
    (0..size).for_each(|_| assert!(server.cast(1)));
    assert_eq!(server.call_unlimited(Call::Get).await, Ok(size as u64));
    let nanos = nanos_each(start, size);
    shut_down(&rt).await;
    nanos
}

async fn agent_casts(size: usize) -> f64 {
    let rt = Runtime::new();
    let agent = Agent::start(&rt, || 0_u64).await.expect("an agent");
    let start = Instant::now();
    (0..size).for_each(|_| assert!(agent.cast(|count| *count += 1)));
    assert_eq!(agent.get(|count| *count).await, Ok(size as u64));
    let nanos = nanos_each(start, size);
    shut_down(&rt).await;
    nanos
}

async fn lock_reads(size: usize) -> f64 {
    let value = Arc::new(RwLock::new(1_u64));
    let start = Instant::now();
    for _ in 0..size {
        assert_eq!(std::hint::black_box(*value.read().expect("no panic")), 1);
    }
    nanos_each(start, size)
}

async fn agent_reads(size: usize) -> f64 {
    let rt = Runtime::new();
    let agent = Agent::start(&rt, || 1_u64).await.expect("an agent");
    let start = Instant::now();
    for _ in 0..size {
        assert_eq!(agent.get(|count| *count).await, Ok(1));
    }
    let nanos = nanos_each(start, size);
    shut_down(&rt).await;
    nanos
}
