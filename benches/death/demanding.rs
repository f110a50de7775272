//! Ends that affect 10,000 and 100,000 others; servers as well as bare processes; a `Down` beside
//! messages that wait.
//!
//! Cascades: processes are linked to one, and it is killed. Measured until the bodies of all have
//! been dropped. Raw: the tasks are aborted one by one, without links and exit reasons.
//!
//! Fan-out: all processes monitor one, which ends. Measured until all have received the `Down`.
//! Raw: the ending task sends a message with its reason to each.

use std::sync::Arc;
use std::time::Instant;

use regrow::{Context, GenServer, Pid, Result, Runtime, ServerContext};
use tokio::sync::mpsc;

use crate::support::{Bench, Countdown, Pending, Row, Target, nanos_each, shut_down};

pub(crate) fn rows(bench: &Bench) {
    let links = |text, size| Row { text, unit: "ns/process", target: Target::Ratio(3.0), size };
    bench.compare(&links("cascade over 10,000 links", 10_000), abort, cascade);
    bench.compare(&links("cascade over 100,000 links", 100_000), abort, cascade);
    let text = "cascade over 10,000 links, servers";
    bench.compare(&links(text, 10_000), abort, server_cascade);
    let monitors = |text, size| Row { text, unit: "ns/watcher", target: Target::Ratio(1.5), size };
    bench.compare(&monitors("end of one, 10,000 monitor it", 10_000), raw_fan_out, fan_out);
    bench.compare(&monitors("end of one, 100,000 monitor it", 100_000), raw_fan_out, fan_out);
}

async fn abort(size: usize) -> f64 {
    let (all, ready) = (Countdown::new(size), Countdown::new(size));
    let task = |_| {
        let (pending, up) = (all.pending(), ready.pending());
        let (sender, mut receiver) = mpsc::unbounded_channel::<Vec<u8>>();
        let task = tokio::spawn(async move {
            drop(up);
            receiver.recv().await;
            drop(pending);
        });
        (sender, task)
    };
    let tasks: Vec<_> = (0..size).map(task).collect();
    ready.done().await;
    let start = Instant::now();
    for (_, task) in &tasks {
        task.abort();
    }
    all.done().await;
    nanos_each(start, size)
}

async fn cascade(size: usize) -> f64 {
    let rt = Runtime::new();
    let (all, ready) = (Countdown::new(size), Countdown::new(size));
    let spawn = || {
        let (pending, up) = (all.pending(), ready.pending());
        let body = |mut ctx: Context| async move {
            drop(up);
            ctx.recv().await;
            drop(pending);
        };
        rt.spawn(body).pid()
    };
    let first = spawn();
    for _ in 1..size {
        assert!(rt.link(spawn(), first));
    }
    ready.done().await;
    kill(&rt, first, &all, size).await
}

async fn kill(rt: &Runtime, first: Pid, all: &Countdown, size: usize) -> f64 {
    let start = Instant::now();
    rt.kill(first);
    all.done().await;
    let cost = nanos_each(start, size);
    shut_down(rt).await;
    cost
}

/// A server that is counted while it lives.
struct Linked(#[allow(dead_code)] Pending);

impl GenServer for Linked {
    type Args = Pending;
    type Call = ();
    type Cast = ();

    async fn init(pending: Pending, _: &mut ServerContext<Self>) -> Result<Self> {
        Ok(Linked(pending))
    }

    async fn handle_call(&mut self, (): (), _: &mut ServerContext<Self>) -> Result {
        Ok(())
    }

    async fn handle_cast(&mut self, (): (), _: &mut ServerContext<Self>) -> Result {
        Ok(())
    }
}

async fn server_cascade(size: usize) -> f64 {
    let rt = Runtime::new();
    let all = Countdown::new(size);
    let first = start_linked(&rt, &all).await;
    for _ in 1..size {
        assert!(rt.link(start_linked(&rt, &all).await, first));
    }
    kill(&rt, first, &all, size).await
}

async fn start_linked(rt: &Runtime, all: &Countdown) -> Pid {
    let server = Linked::start(rt, all.pending()).await.expect("it starts");
    server.pid().expect("it runs")
}

/// What the ending task sends.
enum Message {
    Ended(Arc<str>),
}

async fn raw_fan_out(size: usize) -> f64 {
    let (all, ready) = (Countdown::new(size), Countdown::new(size));
    let watchers: Vec<_> = (0..size)
        .map(|_| {
            let (sender, mut receiver) = mpsc::unbounded_channel::<Message>();
            let (pending, up) = (all.pending(), ready.pending());
            tokio::spawn(async move {
                drop(up);
                let Some(Message::Ended(reason)) = receiver.recv().await else { return };
                assert_eq!(&*reason, "normal");
                drop(pending);
            });
            sender
        })
        .collect();
    ready.done().await;
    let start = Instant::now();
    tokio::spawn(async move {
        let reason: Arc<str> = "normal".into();
        for watcher in watchers {
            let _ = watcher.send(Message::Ended(Arc::clone(&reason)));
        }
    });
    all.done().await;
    nanos_each(start, size)
}

async fn fan_out(size: usize) -> f64 {
    let rt = Runtime::new();
    let (all, ready) = (Countdown::new(size), Countdown::new(size));
    let target = rt.spawn(|mut ctx| async move { drop(ctx.recv().await) }).pid();
    for _ in 0..size {
        let (pending, up) = (all.pending(), ready.pending());
        rt.spawn(move |ctx| watcher(ctx, target, up, pending));
    }
    ready.done().await;
    let start = Instant::now();
    rt.send(target, Vec::new());
    all.done().await;
    let cost = nanos_each(start, size);
    shut_down(&rt).await;
    cost
}

async fn watcher(mut ctx: Context, target: Pid, ready: Pending, pending: Pending) {
    let monitor = ctx.runtime().monitor(ctx.pid(), target);
    drop(ready);
    let down = ctx.recv().await;
    let (reference, _, reason) = down.down().expect("only a Down arrives");
    assert!(reference == monitor && reason.is_clean());
    drop(pending);
}
