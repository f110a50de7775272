//! What a hop costs in a ring of a thousand processes that pass one message on.
//!
//! Raw: a thousand tasks, each with the receiver of an mpsc channel and the sender of
//! the next one's.

mod support;

use std::time::Instant;

use regrow::{Context, Pid, Runtime};
use support::{Bench, Countdown, Pending, Question, nanos_each};
use tokio::sync::mpsc;

const RING: usize = 1_000;

fn main() {
    let bench = Bench::new("ring");
    let text = "one hop in a ring of 1,000, by pid";
    let question = Question { text, unit: "ns", target: Some(1.0), size: 500_000 };
    bench.compare(&question, raw, regrow);
}

async fn raw(size: usize) -> f64 {
    let home = Countdown::new(1);
    let mut pending = Some(home.pending());
    let (first, mut receiver) = mpsc::unbounded_channel::<Vec<u8>>();
    for at in 0..RING {
        let (next, its_receiver) = mpsc::unbounded_channel();
        let next = if at + 1 == RING { first.clone() } else { next };
        let mut own = std::mem::replace(&mut receiver, its_receiver);
        let end: Option<Pending> = if at == 0 { pending.take() } else { None };
        let hops = size / RING;
        tokio::spawn(async move {
            for _ in 0..hops {
                let message = own.recv().await.expect("it goes round");
                let _ = next.send(message);
            }
            drop(end);
        });
    }
    let start = Instant::now();
    first.send(Vec::new()).expect("the first waits");
    home.done().await;
    nanos_each(start, size)
}

async fn regrow(size: usize) -> f64 {
    let rt = Runtime::new();
    let home = Countdown::new(1);
    let ring: Vec<Pid> = (0..RING)
        .map(|at| {
            let end = if at == 0 { Some(home.pending()) } else { None };
            rt.spawn(move |ctx| member(ctx, size / RING, end)).pid()
        })
        .collect();
    for at in 0..RING {
        support::introduce(&rt, ring[at], ring[(at + 1) % RING]);
    }
    let start = Instant::now();
    rt.send(ring[0], Vec::new());
    home.done().await;
    let cost = nanos_each(start, size);
    support::clear(&rt).await;
    cost
}

async fn member(mut ctx: Context, hops: usize, end: Option<Pending>) {
    let rt = ctx.runtime();
    let next = support::meet(&mut ctx).await;
    for _ in 0..hops {
        let message = ctx.recv().await.message().expect("it goes round");
        rt.send(next, message);
    }
    drop(end);
}
