//! What it costs that ten thousand hear of one death.
//!
//! Cascades: processes are linked to one another, and one is killed; measured until
//! the bodies of all have been dropped. Raw can only abort ten thousand tasks, one by
//! one, and knows neither links nor reasons.
//!
//! Fan-out: all watch one process, and it ends; measured until all have received its
//! `Down`. Raw: the dying task sends each a message.

mod support;

use std::time::Instant;

use regrow::{Context, Pid, Runtime};
use support::{Bench, Countdown, Pending, Question, nanos_each};
use tokio::sync::mpsc;

fn main() {
    let bench = Bench::new("death");
    let question = |text, unit, target| Question { text, unit, target: Some(target), size: 10_000 };
    bench.compare(&question("links, all to one that dies", "ns/process", 4.0), abort, star);
    bench.compare(&question("links, each to the next", "ns/process", 4.0), abort, chain);
    bench.compare(&question("monitors, all of one that dies", "ns/watcher", 1.5), tell, fan_out);
}

async fn abort(size: usize) -> f64 {
    let all = Countdown::new(size);
    let tasks: Vec<_> = (0..size).map(|_| tokio::spawn(sleep(all.pending()))).collect();
    settle().await;
    let start = Instant::now();
    for task in &tasks {
        task.abort();
    }
    all.done().await;
    nanos_each(start, size)
}

async fn sleep(held: Pending) {
    std::future::pending::<()>().await;
    drop(held);
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
        let held = all.pending();
        let pid = rt.spawn(|_| sleep(held)).pid();
        if at > 0 {
            assert!(rt.link(pid, processes[to(at)]));
        }
        processes.push(pid);
    }
    settle().await;
    let start = Instant::now();
    rt.kill(processes[0]);
    all.done().await;
    let cost = nanos_each(start, size);
    support::clear(&rt).await;
    cost
}

async fn tell(size: usize) -> f64 {
    let all = Countdown::new(size);
    let watchers: Vec<_> = (0..size)
        .map(|_| {
            let (sender, mut receiver) = mpsc::unbounded_channel::<Vec<u8>>();
            let told = all.pending();
            tokio::spawn(async move {
                receiver.recv().await;
                drop(told);
            });
            sender
        })
        .collect();
    settle().await;
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
        let told = all.pending();
        rt.spawn(move |ctx| watcher(ctx, target, told));
    }
    settle().await;
    let start = Instant::now();
    rt.send(target, Vec::new());
    all.done().await;
    let cost = nanos_each(start, size);
    support::clear(&rt).await;
    cost
}

async fn watcher(mut ctx: Context, target: Pid, told: Pending) {
    ctx.runtime().monitor(ctx.pid(), target);
    ctx.recv().await;
    drop(told);
}

/// Lets what was spawned come to rest.
async fn settle() {
    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
}
