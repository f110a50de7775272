//! The cost of a message without a reply, from the send to the receive.
//!
//! Raw: the sender of an mpsc channel whose receiver is in a task. By handle, a server receives
//! casts of a number; by pid, a process receives empty byte messages, so that only the transport is
//! measured.

use std::time::Instant;

use crate::support::{Bench, Countdown, Pending, Row, Target, nanos_each, yield_sometimes};
use regrow::{GenServer, Pid, Result, Runtime, ServerContext};
use tokio::sync::mpsc;

pub(crate) fn rows(bench: &Bench) {
    let new_row = |text, target| Row { text, unit: "ns", target, size: 1_000_000 };
    let row = new_row("one to one, by handle", Target::Ratio(0.75));
    bench.compare(&row, |n| raw::<u64>(n, 1), |n| by_handle(n, 1));
    let row = new_row("eight to one, by handle", Target::Ratio(0.4));
    bench.compare(&row, |n| raw::<u64>(n, 8), |n| by_handle(n, 8));
    let row = new_row("one to one, by pid", Target::Ratio(0.95));
    bench.compare(&row, |n| raw::<Vec<u8>>(n, 1), |n| by_pid(n, 1));
    let row = new_row("eight to one, by pid", Target::None);
    bench.compare(&row, |n| raw::<Vec<u8>>(n, 8), |n| by_pid(n, 8));
}

async fn raw<T: Default + Send + 'static>(size: usize, senders: usize) -> f64 {
    let all = Countdown::new(1);
    let pending = all.pending();
    let (sink, mut receiver) = mpsc::unbounded_channel::<T>();
    tokio::spawn(async move {
        for _ in 0..size / senders * senders {
            receiver.recv().await;
        }
        drop(pending);
    });
    measure(size, senders, all, move || sink.send(T::default()).is_ok()).await
}

async fn by_pid(size: usize, senders: usize) -> f64 {
    let rt = Runtime::new();
    let all = Countdown::new(1);
    let sink = sink(&rt, size / senders * senders, all.pending());
    measure(size, senders, all, move || rt.send(sink, Vec::new())).await
}

fn sink(rt: &Runtime, expected: usize, all: Pending) -> Pid {
    let sink = rt.spawn(move |mut ctx| async move {
        for _ in 0..expected {
            ctx.recv().await;
        }
        drop(all);
    });
    sink.pid()
}

async fn by_handle(size: usize, senders: usize) -> f64 {
    let rt = Runtime::new();
    let all = Countdown::new(1);
    let args = (size / senders * senders, all.pending());
    let sink = Sink::start(&rt, args).await.expect("it starts");
    let cost = measure(size, senders, all, move || sink.cast(0)).await;
    crate::support::shut_down(&rt).await;
    cost
}

/// Sends from `senders` tasks at once. Measured until all messages have arrived.
async fn measure(
    size: usize,
    senders: usize,
    all: Countdown,
    send: impl Fn() -> bool + Clone + Send + 'static,
) -> f64 {
    let start = Instant::now();
    for _ in 0..senders {
        let send = send.clone();
        tokio::spawn(async move {
            for sent in 0..size / senders {
                assert!(send());
                yield_sometimes(sent).await;
            }
        });
    }
    all.done().await;
    nanos_each(start, size)
}

struct Sink {
    left: usize,
    all: Option<Pending>,
}

impl GenServer for Sink {
    type Args = (usize, Pending);
    type Call = ();
    type Cast = u64;

    async fn init((left, all): Self::Args, _: &mut ServerContext<Self>) -> Result<Self> {
        Ok(Sink { left, all: Some(all) })
    }

    async fn handle_call(&mut self, _: (), _: &mut ServerContext<Self>) -> Result {
        Ok(())
    }

    async fn handle_cast(&mut self, _: u64, _: &mut ServerContext<Self>) -> Result {
        self.left -= 1;
        if self.left == 0 {
            drop(self.all.take());
        }
        Ok(())
    }
}
