//! The cost of a process from its spawn until it is reaped.
//!
//! Raw: a task that owns the receiver of an mpsc channel and ends at once, and whose join handle is
//! awaited. A thousand are spawned, then a thousand are awaited.

use std::time::Instant;

use crate::support::{Bench, Row, Target, nanos_each};
use regrow::Runtime;
use tokio::sync::mpsc;

const BATCH: usize = 1_000;

pub(crate) fn rows(bench: &Bench) {
    let row = |text| Row { text, unit: "ns", target: Target::Ratio(0.85), size: 200_000 };
    bench.compare(&row("spawned, ended, reaped"), raw, regrow);
    let among =
        Row { target: Target::Ratio(0.85), ..row("the same, among 100,000 idle processes") };
    bench.compare(&among, raw_among, regrow_among);
}

async fn raw(size: usize) -> f64 {
    let start = Instant::now();
    let mut batch = Vec::with_capacity(BATCH);
    for _ in 0..size.div_ceil(BATCH) {
        for _ in 0..BATCH.min(size) {
            let (sender, receiver) = mpsc::unbounded_channel::<Vec<u8>>();
            batch.push((sender, tokio::spawn(async move { drop(receiver) })));
        }
        for (sender, task) in batch.drain(..) {
            task.await.expect("it ends");
            drop(sender);
        }
    }
    nanos_each(start, size)
}

async fn regrow(size: usize) -> f64 {
    spawn_and_reap(&Runtime::new(), size).await
}

async fn spawn_and_reap(rt: &Runtime, size: usize) -> f64 {
    let start = Instant::now();
    let mut batch = Vec::with_capacity(BATCH);
    for _ in 0..size.div_ceil(BATCH) {
        for _ in 0..BATCH.min(size) {
            batch.push(rt.spawn(|ctx| async move { drop(ctx) }));
        }
        for process in batch.drain(..) {
            process.join().await;
        }
    }
    nanos_each(start, size)
}

async fn raw_among(size: usize) -> f64 {
    let idle: Vec<_> = (0..size / 2)
        .map(|_| {
            let (sender, mut receiver) = mpsc::unbounded_channel::<Vec<u8>>();
            (sender, tokio::spawn(async move { drop(receiver.recv().await) }))
        })
        .collect();
    let cost = raw(size).await;
    for (sender, task) in idle {
        drop(sender);
        task.await.expect("it ends");
    }
    cost
}

async fn regrow_among(size: usize) -> f64 {
    let rt = Runtime::new();
    for _ in 0..size / 2 {
        rt.spawn(|mut ctx| async move { drop(ctx.recv().await) });
    }
    let cost = spawn_and_reap(&rt, size).await;
    crate::support::shut_down(&rt).await;
    cost
}
