//! The number of allocations of a message, and of the life of a server as a child, in the steady state.
//!
//! A global allocator counts them, so the counts are the same in each run. A hundredth of an
//! allocation is a buffer that grew once.
//!
//! Raw: an mpsc channel, which allocates a block of 32 slots now and then, and a oneshot; for a child
//! the supervisor of `supervision/by_hand.rs`.

#[path = "../supervision/by_hand.rs"]
#[expect(dead_code, reason = "no group is restarted, and no child panics")]
mod by_hand;
mod children;
#[path = "../support/mod.rs"]
mod support;

use std::alloc::System;
use std::time::Duration;

use regrow::{
    DynamicSupervisor, GenServer, KeyedServers, Reply, Result, Runtime, ServerContext, ServerRef,
};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use support::{Bench, Row, Target};
use tokio::sync::{mpsc, oneshot};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// The number of messages before the measurement.
const WARM: usize = 10_000;

/// The largest number of queued messages.
const BATCH: usize = 32;

fn main() {
    let bench = Bench::new("allocations");
    children::rows(&bench);
    let row = |text, target| Row { text, unit: "per op", target, size: 50_000 };
    bench.compare(&row("a cast", Target::None), raw_cast, |n| async move {
        without_calls(regrow(n, cast).await)
    });
    bench.compare(&row("a call, 5 s deadline", Target::Ratio(1.01)), raw_call, |n| regrow(n, call));
    bench.compare(
        &row("a call by key, which starts nothing", Target::Ratio(2.01)),
        raw_call,
        by_key,
    );
}

type Message = Option<oneshot::Sender<u64>>;

fn raw_server() -> mpsc::UnboundedSender<Message> {
    let (sender, mut receiver) = mpsc::unbounded_channel::<Message>();
    tokio::spawn(async move {
        while let Some(message) = receiver.recv().await {
            if let Some(reply) = message {
                let _ = reply.send(1);
            }
        }
    });
    sender
}

async fn raw_cast(size: usize) -> f64 {
    let server = raw_server();
    let send = async |times: usize| {
        for n in 0..times {
            let _ = server.send(None);
            if n % BATCH == 0 {
                raw_call_once(&server).await;
            }
        }
    };
    send(WARM).await;
    let region = Region::new(ALLOCATOR);
    send(size).await;
    without_calls(each(&region, size))
}

/// Subtracts the allocations of the calls in between: one for each call.
fn without_calls(each: f64) -> f64 {
    (each - 1.0 / BATCH as f64).max(0.0)
}

async fn raw_call_once(server: &mpsc::UnboundedSender<Message>) {
    let (reply, answer) = oneshot::channel();
    let _ = server.send(Some(reply));
    answer.await.expect("the server replies");
}

async fn raw_call(size: usize) -> f64 {
    let server = raw_server();
    for _ in 0..WARM {
        raw_call_once(&server).await;
    }
    let region = Region::new(ALLOCATOR);
    for _ in 0..size {
        raw_call_once(&server).await;
    }
    each(&region, size)
}

fn each(region: &Region<'_, System>, size: usize) -> f64 {
    region.change().allocations as f64 / size as f64
}

async fn regrow(size: usize, send: impl AsyncFn(&ServerRef<Server>, usize)) -> f64 {
    let rt = Runtime::new();
    let server = Server::start(&rt, ()).await.expect("it starts");
    send(&server, WARM).await;
    let region = Region::new(ALLOCATOR);
    send(&server, size).await;
    each(&region, size)
}

async fn cast(server: &ServerRef<Server>, times: usize) {
    for n in 0..times {
        server.cast(());
        if n % BATCH == 0 {
            server.call(|reply| reply).await.expect("the server replies");
        }
    }
}

async fn call(server: &ServerRef<Server>, times: usize) {
    for _ in 0..times {
        server.call(|reply| reply).await.expect("the server replies");
    }
}

/// Calls a running server with `call_or_start`.
async fn by_key(size: usize) -> f64 {
    let supervisor = DynamicSupervisor::new().start(&Runtime::new()).await.expect("it starts");
    let servers: KeyedServers<u64, Server> = KeyedServers::new(&supervisor);
    let limit = Duration::from_secs(5);
    let call = async |times: usize| {
        for _ in 0..times {
            let answer = servers.call_or_start(&7, || Server::spec(()), |reply| reply, limit);
            answer.await.expect("the server replies");
        }
    };
    call(WARM).await;
    let region = Region::new(ALLOCATOR);
    call(size).await;
    each(&region, size)
}

struct Server;

impl GenServer for Server {
    type Args = ();
    type Call = Reply<u64>;
    type Cast = ();

    async fn init((): (), _: &mut ServerContext<Self>) -> Result<Self> {
        Ok(Server)
    }

    async fn handle_call(&mut self, reply: Reply<u64>, _: &mut ServerContext<Self>) -> Result {
        reply.send(1);
        Ok(())
    }

    async fn handle_cast(&mut self, (): (), _: &mut ServerContext<Self>) -> Result {
        Ok(())
    }
}
