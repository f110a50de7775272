//! Messages with content, from senders that do not pause: sender and receiver run on two cores at
//! once.
//!
//! Raw: the sender of an mpsc channel whose receiver is in a task. By handle, a server receives casts
//! with 64 bytes; by pid, a process receives 8 bytes. The rows of processor time count the time of
//! all threads together.

use std::time::Instant;

use regrow::{GenServer, Result, Runtime, ServerContext};
use tokio::sync::mpsc;

use crate::support::{
    Bench, Countdown, Pending, Row, Target, cpu_nanos, eight_bytes, nanos_each, shut_down,
};

pub(crate) fn rows(bench: &Bench) {
    let row = |text, target| Row { text, unit: "ns", target, size: 1_000_000 };
    let text = "1,000,000 of 8 bytes by pid, on two cores at once";
    let first = row(text, Target::Cost(150.0));
    bench.compare(
        &first,
        |n| raw(n, 1, eight_bytes, Unit::Elapsed),
        |n| by_pid(n, 1, Unit::Elapsed),
    );
    if cpu_nanos().is_some() {
        let cpu = row("the same, processor time", Target::None);
        let cpu = Row { unit: "ns of CPU", ..cpu };
        bench.compare(&cpu, |n| raw(n, 1, eight_bytes, Unit::Cpu), |n| by_pid(n, 1, Unit::Cpu));
    }
    let eight = row("eight senders of 8 bytes to one, by pid", Target::Ratio(1.0));
    bench.compare(
        &eight,
        |n| raw(n, 8, eight_bytes, Unit::Elapsed),
        |n| by_pid(n, 8, Unit::Elapsed),
    );
    let one = row("one sender of 64 bytes to one, by handle", Target::Ratio(1.0));
    bench.compare(&one, |n| raw(n, 1, order, Unit::Elapsed), |n| by_handle(n, 1));
    let eight = row("eight senders of 64 bytes to one, by handle", Target::Ratio(0.75));
    bench.compare(&eight, |n| raw(n, 8, order, Unit::Elapsed), |n| by_handle(n, 8));
}

/// What is measured of a row.
#[derive(Clone, Copy)]
enum Unit {
    Elapsed,
    Cpu,
}

/// 64 bytes.
type Order = [u64; 8];

fn order(n: usize) -> Order {
    [n as u64; 8]
}

/// A message, and how the receiver reads its content.
trait Content: Send + 'static {
    fn sum(&self) -> usize;
}

impl Content for Vec<u8> {
    fn sum(&self) -> usize {
        self.len()
    }
}

impl Content for Order {
    fn sum(&self) -> usize {
        self[7] as usize
    }
}

async fn raw<T: Content>(size: usize, senders: usize, message: fn(usize) -> T, unit: Unit) -> f64 {
    let all = Countdown::new(1);
    let pending = all.pending();
    let (sink, mut receiver) = mpsc::unbounded_channel::<T>();
    tokio::spawn(async move {
        let mut sum = 0;
        for _ in 0..size / senders * senders {
            sum += receiver.recv().await.expect("the senders send all").sum();
        }
        assert!(sum >= size / senders);
        drop(pending);
    });
    measure(size, senders, (all, unit), move |n| sink.send(message(n)).is_ok()).await
}

async fn by_pid(size: usize, senders: usize, unit: Unit) -> f64 {
    let rt = Runtime::new();
    let all = Countdown::new(1);
    let pending = all.pending();
    let sink = rt.spawn(move |mut ctx| async move {
        let mut sum = 0;
        for _ in 0..size / senders * senders {
            sum += ctx.recv().await.message().expect("only messages arrive").sum();
        }
        assert!(sum >= size / senders);
        drop(pending);
    });
    let sink = sink.pid();
    measure(size, senders, (all, unit), move |n| rt.send(sink, eight_bytes(n))).await
}

async fn by_handle(size: usize, senders: usize) -> f64 {
    let rt = Runtime::new();
    let all = Countdown::new(1);
    let args = (size / senders * senders, all.pending());
    let sink = Sink::start(&rt, args).await.expect("it starts");
    let cost = measure(size, senders, (all, Unit::Elapsed), move |n| sink.cast(order(n))).await;
    shut_down(&rt).await;
    cost
}

/// Sends from `senders` tasks at once, without a pause. Measured until all messages have arrived.
async fn measure(
    size: usize,
    senders: usize,
    (all, unit): (Countdown, Unit),
    send: impl Fn(usize) -> bool + Clone + Send + 'static,
) -> f64 {
    let (start, cpu) = (Instant::now(), cpu_nanos());
    for _ in 0..senders {
        let send = send.clone();
        tokio::spawn(async move {
            for n in 0..size / senders {
                assert!(send(n));
            }
        });
    }
    all.done().await;
    match (unit, cpu, cpu_nanos()) {
        (Unit::Cpu, Some(before), Some(after)) => (after - before) / size as f64,
        _ => nanos_each(start, size),
    }
}

struct Sink {
    left: usize,
    sum: usize,
    all: Option<Pending>,
}

impl GenServer for Sink {
    type Args = (usize, Pending);
    type Call = ();
    type Cast = Order;

    async fn init((left, all): Self::Args, _: &mut ServerContext<Self>) -> Result<Self> {
        Ok(Sink { left, sum: 0, all: Some(all) })
    }

    async fn handle_call(&mut self, _: (), _: &mut ServerContext<Self>) -> Result {
        Ok(())
    }

    async fn handle_cast(&mut self, order: Order, _: &mut ServerContext<Self>) -> Result {
        self.left -= 1;
        self.sum += order.sum();
        if self.left == 0 {
            assert!(self.sum > 0);
            drop(self.all.take());
        }
        Ok(())
    }
}
