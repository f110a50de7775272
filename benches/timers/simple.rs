//! The cost of a timer that is set and cancelled before it is due, as most timers are.
//!
//! Raw: a task that sleeps and then sends, and is aborted. A thousand timers are set, then a
//! thousand are cancelled.

use std::time::{Duration, Instant};

use crate::support::{Bench, Row, Target, nanos_each};
use regrow::Runtime;
use tokio::sync::mpsc;

const BATCH: usize = 1_000;
const DELAY: Duration = Duration::from_secs(60);

pub(crate) fn rows(bench: &Bench) {
    let text = "set and cancelled, to one process";
    let row = Row { text, unit: "ns", target: Target::Ratio(0.3), size: 200_000 };
    bench.compare(&row, raw, |size| regrow(size, 1));
    let spread = Row { text: "set and cancelled, to a thousand processes", ..row };
    bench.compare(&spread, raw, |size| regrow(size, BATCH));
}

async fn raw(size: usize) -> f64 {
    let (sender, _receiver) = mpsc::unbounded_channel::<Vec<u8>>();
    let start = Instant::now();
    let mut batch = Vec::with_capacity(BATCH);
    for _ in 0..size.div_ceil(BATCH) {
        for _ in 0..BATCH.min(size) {
            let sender = sender.clone();
            batch.push(tokio::spawn(async move {
                tokio::time::sleep(DELAY).await;
                let _ = sender.send(Vec::new());
            }));
        }
        for timer in batch.drain(..) {
            timer.abort();
        }
    }
    nanos_each(start, size)
}

async fn regrow(size: usize, targets: usize) -> f64 {
    let rt = Runtime::new();
    let spawn = || rt.spawn(|mut ctx| async move { drop(ctx.recv().await) }).pid();
    let targets: Vec<_> = (0..targets).map(|_| spawn()).collect();
    let start = Instant::now();
    let mut batch = Vec::with_capacity(BATCH);
    for _ in 0..size.div_ceil(BATCH) {
        for at in 0..BATCH.min(size) {
            batch.push(rt.send_after(targets[at % targets.len()], DELAY, Vec::new()));
        }
        for timer in batch.drain(..) {
            assert!(timer.cancel());
        }
    }
    let cost = nanos_each(start, size);
    crate::support::shut_down(&rt).await;
    cost
}
