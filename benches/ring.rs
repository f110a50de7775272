//! The cost of a hop in a ring of processes that pass one message on: of 100,000 in the demanding
//! table, of 1,000 in the simple one.
//!
//! Raw: as many tasks, each with the receiver of its mpsc channel and the sender of the next
//! task's channel.

mod support;

use std::time::Instant;

use regrow::{Context, Pid, Runtime};
use support::{Bench, Countdown, Pending, Row, Table, Target, eight_bytes, nanos_each};
use tokio::sync::mpsc;

const RING: usize = 1_000;
const LARGE: usize = 100_000;

fn main() {
    let bench = Bench::new("ring");
    let row = |text, size| Row { text, unit: "ns", target: Target::Ratio(1.0), size };
    if bench.shows(Table::Demanding) {
        let text = "one hop in a ring of 100,000, 8 bytes, by pid";
        let message = || eight_bytes(1);
        let members = |size| LARGE.min(size);
        let row = row(text, 500_000);
        bench.compare(
            &row,
            move |n| raw(n, members(n), message()),
            move |n| regrow(n, members(n), message()),
        );
    }
    if bench.shows(Table::Simple) {
        let row = row("one hop in a ring of 1,000, by pid", 500_000);
        let members = |size| RING.min(size);
        bench.compare(
            &row,
            move |n| raw(n, members(n), Vec::new()),
            move |n| regrow(n, members(n), Vec::new()),
        );
    }
}

async fn raw(size: usize, ring: usize, message: Vec<u8>) -> f64 {
    let done = Countdown::new(1);
    let mut pending = Some(done.pending());
    let (first, mut receiver) = mpsc::unbounded_channel::<Vec<u8>>();
    for at in 0..ring {
        let (next, next_receiver) = mpsc::unbounded_channel();
        let next = if at + 1 == ring { first.clone() } else { next };
        let mut own = std::mem::replace(&mut receiver, next_receiver);
        let end: Option<Pending> = if at == 0 { pending.take() } else { None };
        let hops = size / ring;
        tokio::spawn(async move {
            for _ in 0..hops {
                let message = own.recv().await.expect("the message goes round");
                let _ = next.send(message);
            }
            drop(end);
        });
    }
    let start = Instant::now();
    first.send(message).expect("the first task waits");
    done.done().await;
    nanos_each(start, size)
}

async fn regrow(size: usize, members: usize, message: Vec<u8>) -> f64 {
    let rt = Runtime::new();
    let done = Countdown::new(1);
    let ring: Vec<Pid> = (0..members)
        .map(|at| {
            let end = if at == 0 { Some(done.pending()) } else { None };
            rt.spawn(move |ctx| member(ctx, size / members, end)).pid()
        })
        .collect();
    for at in 0..members {
        support::send_pid(&rt, ring[at], ring[(at + 1) % members]);
    }
    let start = Instant::now();
    rt.send(ring[0], message);
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
