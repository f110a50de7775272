//! The cost of an item in a pipeline of two stages and a consumer.
//!
//! Raw: tasks of tokio with bounded channels between them. If one panics, its item is lost uncounted,
//! and the others end.

use std::time::Instant;

use crate::support::{Bench, Row, Target, nanos_each};
use futures_util::stream;
use regrow::{Pipeline, Runtime};
use tokio::sync::mpsc;

const CAPACITY: usize = 64;

pub(crate) fn rows(bench: &Bench) {
    let row = |text| Row { text, unit: "ns", target: Target::None, size: 256_000 };
    bench.compare(&row("an item through two stages and a consumer"), raw, |size| regrow(size, 1));
    bench.compare(&row("the same, 4 workers in each stage, in order"), raw, |size| regrow(size, 4));
}

async fn raw(size: usize) -> f64 {
    let (first, second) = (mpsc::channel(CAPACITY), mpsc::channel(CAPACITY));
    let (last, mut items) = mpsc::channel(CAPACITY);
    let start = Instant::now();
    tokio::spawn(pass_on(first.1, second.0));
    tokio::spawn(pass_on(second.1, last));
    tokio::spawn(async move {
        for n in 0..size as u64 {
            first.0.send(n).await.expect("the stage runs");
        }
    });
    let mut sum = 0;
    while let Some(n) = items.recv().await {
        sum += n;
    }
    assert!(sum >= size as u64);
    nanos_each(start, size)
}

async fn pass_on(mut from: mpsc::Receiver<u64>, to: mpsc::Sender<u64>) {
    while let Some(n) = from.recv().await {
        to.send(n + 1).await.expect("the next stage runs");
    }
}

async fn regrow(size: usize, workers: usize) -> f64 {
    let rt = Runtime::new();
    let pipeline = Pipeline::from_stream("bench", move || stream::iter(0..size as u64))
        .concurrency(workers)
        .map("first", |n| async move { Ok(n + 1) })
        .concurrency(workers)
        .map("second", |n| async move { Ok(n + 1) })
        .for_each("last", |_| async { Ok(()) });
    let counts = pipeline.counts();
    let start = Instant::now();
    pipeline.start(&rt).await.expect("it starts").ended().await;
    assert_eq!(counts.stages()[2].finished, size as u64);
    nanos_each(start, size)
}
