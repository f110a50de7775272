//! All processes are spawned at once, and then all are reaped: none ends in the cache that it was
//! spawned in.
//!
//! Raw: a task that owns the receiver of an mpsc channel and ends at once, and whose join handle is
//! awaited.
//!
//! The bench `growth` measures the same beside up to 1,000,000 idle processes.

use std::time::Instant;

use regrow::Runtime;
use tokio::sync::mpsc;

use crate::support::{Bench, Row, Target, eight_bytes, nanos_each};

pub(crate) fn rows(bench: &Bench) {
    let row = |text, size| Row { text, unit: "ns", target: Target::Ratio(0.85), size };
    bench.compare(&row("10,000 spawned at once, ended, reaped", 10_000), raw, regrow);
    bench.compare(&row("200,000 spawned at once, ended, reaped", 200_000), raw, regrow);
    bench.compare(&row("1,000,000 spawned at once, ended, reaped", 1_000_000), raw, regrow);
    let text = "200,000 spawned at once, each sent 8 bytes, reaped";
    bench.compare(&row(text, 200_000), raw_message, regrow_message);
}

async fn raw(size: usize) -> f64 {
    let start = Instant::now();
    let mut tasks = Vec::with_capacity(size);
    for _ in 0..size {
        let (sender, receiver) = mpsc::unbounded_channel::<Vec<u8>>();
        tasks.push((sender, tokio::spawn(async move { drop(receiver) })));
    }
    for (sender, task) in tasks {
        task.await.expect("it ends");
        drop(sender);
    }
    nanos_each(start, size)
}

async fn regrow(size: usize) -> f64 {
    let rt = Runtime::new();
    let start = Instant::now();
    let mut processes = Vec::with_capacity(size);
    for _ in 0..size {
        processes.push(rt.spawn(|ctx| async move { drop(ctx) }));
    }
    for process in processes {
        process.join().await;
    }
    nanos_each(start, size)
}

async fn raw_message(size: usize) -> f64 {
    let start = Instant::now();
    let mut tasks = Vec::with_capacity(size);
    for n in 0..size {
        let (sender, mut receiver) = mpsc::unbounded_channel::<Vec<u8>>();
        let task = tokio::spawn(async move { receiver.recv().await.map_or(0, |m| m.len()) });
        sender.send(eight_bytes(n)).expect("the task waits");
        tasks.push((sender, task));
    }
    for (sender, task) in tasks {
        assert_eq!(task.await.expect("it ends"), 8);
        drop(sender);
    }
    nanos_each(start, size)
}

async fn regrow_message(size: usize) -> f64 {
    let rt = Runtime::new();
    let start = Instant::now();
    let mut processes = Vec::with_capacity(size);
    for n in 0..size {
        let process = rt.spawn(|mut ctx| async move {
            assert_eq!(ctx.recv().await.message().map_or(0, |m| m.len()), 8);
        });
        assert!(rt.send(process.pid(), eight_bytes(n)));
        processes.push(process);
    }
    for process in processes {
        process.join().await;
    }
    nanos_each(start, size)
}
