//! The cost of a round trip between two processes.
//!
//! In the demanding table each ping is a new message of 8 bytes; in the simple one it is empty.
//!
//! Raw: two tasks, each with the receiver of an mpsc channel and the other's sender.

mod support;

use std::time::Instant;

use regrow::Runtime;
use support::{Bench, Row, Table, Target, eight_bytes, nanos_each};
use tokio::sync::{mpsc, oneshot};

fn main() {
    let bench = Bench::new("ping_pong");
    let row = |text| Row { text, unit: "ns", target: Target::Ratio(1.15), size: 300_000 };
    if bench.shows(Table::Demanding) {
        let row = row("one round trip of 8 bytes, by pid");
        bench.compare(&row, |n| raw(n, eight_bytes), |n| regrow(n, eight_bytes));
    }
    if bench.shows(Table::Simple) {
        let row = row("one round trip, by pid");
        bench.compare(&row, |n| raw(n, empty), |n| regrow(n, empty));
    }
}

fn empty(_: usize) -> Vec<u8> {
    Vec::new()
}

async fn raw(size: usize, message: fn(usize) -> Vec<u8>) -> f64 {
    let (ping, mut pings) = mpsc::unbounded_channel::<Vec<u8>>();
    let (pong, mut pongs) = mpsc::unbounded_channel::<Vec<u8>>();
    tokio::spawn(async move {
        while let Some(message) = pings.recv().await {
            pong.send(message).expect("the other task waits");
        }
    });
    let player = tokio::spawn(async move {
        let start = Instant::now();
        for n in 0..size {
            ping.send(message(n)).expect("the other task waits");
            pongs.recv().await;
        }
        nanos_each(start, size)
    });
    player.await.expect("it ends")
}

async fn regrow(size: usize, message: fn(usize) -> Vec<u8>) -> f64 {
    let rt = Runtime::new();
    let (result, measured) = oneshot::channel();
    let player = rt.spawn(move |mut ctx| async move {
        let echo = support::receive_pid(&mut ctx).await;
        let rt = ctx.runtime();
        let start = Instant::now();
        for n in 0..size {
            rt.send(echo, message(n));
            ctx.recv().await;
        }
        let _ = result.send(nanos_each(start, size));
    });
    let player = player.pid();
    let echo = rt.spawn(move |mut ctx| async move {
        let rt = ctx.runtime();
        while let Some(message) = ctx.recv().await.message() {
            rt.send(player, message);
        }
    });
    support::send_pid(&rt, player, echo.pid());
    let cost = measured.await.expect("the process sends the result");
    support::shut_down(&rt).await;
    cost
}
