//! The cost of a call and its reply.
//!
//! Raw: a task that receives the sender of a oneshot from an mpsc channel and replies through it.
//! There is no deadline, and if the task ends the caller gets no exit reason.

use std::time::Instant;

use crate::support::{Bench, Row, Target, nanos_each};
use regrow::{GenServer, Reply, Result, Runtime, ServerContext, ServerRef};
use tokio::sync::mpsc::{self, UnboundedSender};
use tokio::sync::oneshot;

const CALLERS: usize = 64;

pub(crate) fn rows(bench: &Bench) {
    let measure = |text, target, (callers, servers), deadline| {
        let row = Row { text, unit: "ns", target: Target::Ratio(target), size: 256_000 };
        bench.compare(
            &row,
            move |size| raw(size, callers, servers),
            move |size| regrow(size, callers, servers, deadline),
        );
    };
    measure("one after the other, 5 s deadline", 1.3, (1, 1), true);
    measure("one after the other, no deadline", 1.3, (1, 1), false);
    measure("64 callers of one server, 5 s deadline", 1.5, (CALLERS, 1), true);
    measure("64 callers of one server, no deadline", 1.25, (CALLERS, 1), false);
    measure("64 callers of 64 servers, 5 s deadline", 1.15, (CALLERS, CALLERS), true);
    measure("64 callers of 64 servers, no deadline", 1.0, (CALLERS, CALLERS), false);
}

type ReplySender = oneshot::Sender<u64>;

async fn raw(size: usize, callers: usize, servers: usize) -> f64 {
    let servers: Vec<UnboundedSender<ReplySender>> = (0..servers).map(|_| raw_server()).collect();
    let start = Instant::now();
    let caller = |at: usize| {
        let server = servers[at % servers.len()].clone();
        tokio::spawn(async move {
            for _ in 0..size.div_ceil(callers) {
                let (reply, answer) = oneshot::channel();
                server.send(reply).expect("the task runs");
                answer.await.expect("the server replies");
            }
        })
    };
    for caller in (0..callers).map(caller).collect::<Vec<_>>() {
        caller.await.expect("it ends");
    }
    nanos_each(start, size.div_ceil(callers) * callers)
}

fn raw_server() -> UnboundedSender<ReplySender> {
    let (sender, mut receiver) = mpsc::unbounded_channel::<ReplySender>();
    tokio::spawn(async move {
        let mut count = 0;
        while let Some(reply) = receiver.recv().await {
            count += 1;
            let _ = reply.send(count);
        }
    });
    sender
}

async fn regrow(size: usize, callers: usize, servers: usize, deadline: bool) -> f64 {
    let rt = Runtime::new();
    let mut all = Vec::new();
    for _ in 0..servers {
        all.push(Counter::start(&rt, ()).await.expect("it starts"));
    }
    let start = Instant::now();
    let caller =
        |at: usize| tokio::spawn(call(all[at % servers].clone(), size.div_ceil(callers), deadline));
    for caller in (0..callers).map(caller).collect::<Vec<_>>() {
        caller.await.expect("it ends");
    }
    let cost = nanos_each(start, size.div_ceil(callers) * callers);
    crate::support::shut_down(&rt).await;
    cost
}

async fn call(server: ServerRef<Counter>, times: usize, deadline: bool) {
    for _ in 0..times {
        let answer =
            if deadline { server.call(Next).await } else { server.call_unlimited(Next).await };
        answer.expect("the server replies");
    }
}

struct Counter(u64);

struct Next(Reply<u64>);

impl GenServer for Counter {
    type Args = ();
    type Call = Next;
    type Cast = ();

    async fn init(_: (), _: &mut ServerContext<Self>) -> Result<Self> {
        Ok(Counter(0))
    }

    async fn handle_call(&mut self, call: Next, _: &mut ServerContext<Self>) -> Result {
        self.0 += 1;
        call.0.send(self.0);
        Ok(())
    }

    async fn handle_cast(&mut self, _: (), _: &mut ServerContext<Self>) -> Result {
        Ok(())
    }
}
