//! The cost of a hop in a ring of a thousand processes that pass one message on.
//!
//! Raw: a thousand tasks, each with the receiver of its mpsc channel and the sender of the next
//! task's channel.

mod support;

use std::time::Instant;

use regrow::{Context, Pid, Runtime};
use support::{Bench, Countdown, Pending, Row, nanos_each};
use tokio::sync::mpsc;

const RING: usize = 1_000;

fn main() {
    let bench = Bench::new("ring");
    let text = "one hop in a ring of 1,000, by pid";
    let row = Row { text, unit: "ns", target: Some(1.0), size: 500_000 };
    bench.compare(&row, raw, regrow);
}

async fn raw(size: usize) -> f64 {
    let done = Countdown::new(1);
    let mut pending = Some(done.pending());
    let (first, mut receiver) = mpsc::unbounded_channel::<Vec<u8>>();
    for at in 0..RING {
        let (next, next_receiver) = mpsc::unbounded_channel();
        let next = if at + 1 == RING { first.clone() } else { next };
        let mut own = std::mem::replace(&mut receiver, next_receiver);
        let end: Option<Pending> = if at == 0 { pending.take() } else { None };
        let hops = size / RING;
        tokio::spawn(async move {
            for _ in 0..hops {
                let message = own.recv().await.expect("the message goes round");
                let _ = next.send(message);
            }
            drop(end);
        });
    }
    let start = Instant::now();
    first.send(Vec::new()).expect("the first task waits");
    done.done().await;
    nanos_each(start, size)
}

async fn regrow(size: usize) -> f64 {
    let rt = Runtime::new();
    let done = Countdown::new(1);
    let ring: Vec<Pid> = (0..RING)
        .map(|at| {
            let end = if at == 0 { Some(done.pending()) } else { None };
            rt.spawn(move |ctx| member(ctx, size / RING, end)).pid()
        })
        .collect();
    for at in 0..RING {
        support::send_pid(&rt, ring[at], ring[(at + 1) % RING]);
    }
    let start = Instant::now();
    rt.send(ring[0], Vec::new());
    done.done().await;
    let cost = nanos_each(start, size);
    support::shut_down(&rt).await;
    cost
}

async fn member(mut ctx: Context, hops: usize, end: Option<Pending>) {
    let rt = ctx.runtime();
    let next = support::receive_pid(&mut ctx).await;
    for _ in 0..hops {
        let message = ctx.recv().await.message().expect("the message goes round");
        rt.send(next, message);
    }
    drop(end);
}
