//! The cost of an end that affects ten thousand processes.
//!
//! Cascades: processes are linked, and one is killed. Measured until the bodies of all have been
//! dropped. Raw: ten thousand tasks are aborted one by one, without links and exit reasons.
//!
//! Fan-out: all processes monitor one, which ends. Measured until all have received the `Down`.
//! Raw: the ending task sends a message to each.

use std::time::Instant;

use crate::support::{Bench, Countdown, Pending, Row, Target, nanos_each, wait_until_idle};
use regrow::{Context, Pid, Runtime};
use tokio::sync::mpsc;

pub(crate) fn rows(bench: &Bench) {
    let row = |text, unit, target| Row { text, unit, target: Target::Ratio(target), size: 10_000 };
    bench.compare(&row("links, all to one process that is killed", "ns/process", 4.0), abort, star);
    bench.compare(&row("links, a chain", "ns/process", 4.0), abort, chain);
    bench.compare(
        &row("monitors, all of one process that ends", "ns/watcher", 1.5),
        raw_fan_out,
        fan_out,
    );
}

async fn abort(size: usize) -> f64 {
    let all = Countdown::new(size);
    let tasks: Vec<_> = (0..size).map(|_| tokio::spawn(sleep(all.pending()))).collect();
    wait_until_idle().await;
    let start = Instant::now();
    for task in &tasks {
        task.abort();
    }
    all.done().await;
    nanos_each(start, size)
}

async fn sleep(pending: Pending) {
    std::future::pending::<()>().await;
    drop(pending);
}

async fn star(size: usize) -> f64 {
    cascade(size, |_| 0).await
}

async fn chain(size: usize) -> f64 {
    cascade(size, |at| at - 1).await
}

/// Links each process but the first to an earlier one, and kills the first.
async fn cascade(size: usize, to: impl Fn(usize) -> usize) -> f64 {
    let rt = Runtime::new();
    let all = Countdown::new(size);
    let mut processes: Vec<Pid> = Vec::with_capacity(size);
    for at in 0..size {
        let pending = all.pending();
        let pid = rt.spawn(|_| sleep(pending)).pid();
        if at > 0 {
            assert!(rt.link(pid, processes[to(at)]));
        }
        processes.push(pid);
    }
    wait_until_idle().await;
    let start = Instant::now();
    rt.kill(processes[0]);
    all.done().await;
    let cost = nanos_each(start, size);
    crate::support::shut_down(&rt).await;
    cost
}

async fn raw_fan_out(size: usize) -> f64 {
    let all = Countdown::new(size);
    let watchers: Vec<_> = (0..size)
        .map(|_| {
            let (sender, mut receiver) = mpsc::unbounded_channel::<Vec<u8>>();
            let pending = all.pending();
            tokio::spawn(async move {
                receiver.recv().await;
                drop(pending);
            });
            sender
        })
        .collect();
    wait_until_idle().await;
    let start = Instant::now();
    tokio::spawn(async move {
        for watcher in watchers {
            let _ = watcher.send(Vec::new());
        }
    });
    all.done().await;
    nanos_each(start, size)
}

async fn fan_out(size: usize) -> f64 {
    let rt = Runtime::new();
    let all = Countdown::new(size);
    let target = rt.spawn(|mut ctx| async move { drop(ctx.recv().await) }).pid();
    for _ in 0..size {
        let pending = all.pending();
        rt.spawn(move |ctx| watcher(ctx, target, pending));
    }
    wait_until_idle().await;
    let start = Instant::now();
    rt.send(target, Vec::new());
    all.done().await;
    let cost = nanos_each(start, size);
    crate::support::shut_down(&rt).await;
    cost
}

async fn watcher(mut ctx: Context, target: Pid, pending: Pending) {
    ctx.runtime().monitor(ctx.pid(), target);
    ctx.recv().await;
    drop(pending);
}
