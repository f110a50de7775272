//! What a process weighs.
//!
//! Counted in the bytes that are asked of the allocator, by a global allocator that
//! counts, so the figures are exact and the same in each run. Resident memory would
//! need a program for each figure, since freed memory is used again. The counting
//! allocator is a crate because this one forbids `unsafe` everywhere.
//!
//! Raw: a task parked on the receiver of an mpsc channel, its sender kept.

mod support;

use peak_alloc::PeakAlloc;
use regrow::Runtime;
use support::{Bench, Countdown, Question};
use tokio::sync::mpsc;

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

fn main() {
    let bench = Bench::new("memory");
    let idle = |text, size| Question { text, unit: "bytes", target: Some(0.36), size };
    bench.compare(&idle("an idle process, one of 10,000", 10_000), raw_idle, regrow_idle);
    bench.compare(&idle("one of 100,000", 100_000), raw_idle, regrow_idle);
    bench.compare(&idle("one of 1,000,000", 1_000_000), raw_idle, regrow_idle);
    let text = "after one message, one of 100,000";
    let used = Question { text, unit: "bytes", target: Some(0.45), size: 100_000 };
    bench.compare(&used, raw_used, regrow_used);
}

async fn raw_idle(size: usize) -> f64 {
    raw(size, false).await
}

async fn raw_used(size: usize) -> f64 {
    raw(size, true).await
}

async fn regrow_idle(size: usize) -> f64 {
    regrow(size, false).await
}

async fn regrow_used(size: usize) -> f64 {
    regrow(size, true).await
}

async fn raw(size: usize, used: bool) -> f64 {
    let mut senders = Vec::with_capacity(size);
    let mut tasks = Vec::with_capacity(size);
    let ready = Countdown::new(size);
    let before = ALLOCATOR.current_usage();
    for _ in 0..size {
        let (sender, mut receiver) = mpsc::unbounded_channel::<Vec<u8>>();
        if used {
            sender.send(Vec::new()).expect("it lives");
        }
        let ready = ready.pending();
        senders.push(sender);
        tasks.push(tokio::spawn(async move {
            if used {
                receiver.recv().await;
            }
            drop(ready);
            receiver.recv().await;
        }));
    }
    ready.done().await;
    let each = bytes_each(before, size);
    drop(senders);
    for task in tasks {
        task.await.expect("it ends");
    }
    each
}

async fn regrow(size: usize, used: bool) -> f64 {
    let rt = Runtime::new();
    let ready = Countdown::new(size);
    let before = ALLOCATOR.current_usage();
    for _ in 0..size {
        let ready = ready.pending();
        let process = rt.spawn(move |mut ctx| async move {
            if used {
                ctx.recv().await;
            }
            drop(ready);
            ctx.recv().await;
        });
        if used {
            rt.send(process.pid(), Vec::new());
        }
    }
    ready.done().await;
    let each = bytes_each(before, size);
    support::clear(&rt).await;
    each
}

fn bytes_each(before: usize, size: usize) -> f64 {
    (ALLOCATOR.current_usage() - before) as f64 / size as f64
}
