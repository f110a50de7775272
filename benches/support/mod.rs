//! Shared code of the benches. A bench measures an operation on regrow and on *raw*, alternately and
//! in one process, and prints the ratio.
//!
//! Raw is a tokio task, an unbounded mpsc channel and a oneshot, and nothing else. Nanoseconds
//! differ between machines and over time. The ratio of two sides that are measured alternately is
//! comparable.
//!
//! * `cargo bench 2>/dev/null` prints one table of all rows.
//! * `cargo bench --bench send -- eight` measures only rows with "eight" in their names.
//! * `cargo bench -- --quick`, and `cargo test --benches`, run tiny sizes. They check that the
//!   benches work; their figures have no meaning.

#![allow(dead_code)] // no bench needs all of it

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use regrow::{Context, Pid, Runtime};
use tokio::sync::Notify;

/// How often each side is measured, after one round that is not counted.
const ROUNDS: usize = 7;

/// A quick run divides sizes by this.
const QUICK: usize = 1_000;

/// One row of the table.
pub(crate) struct Row {
    pub(crate) text: &'static str,
    pub(crate) unit: &'static str,
    /// The largest ratio that is accepted.
    pub(crate) target: Option<f64>,
    /// The number of operations of a measurement.
    pub(crate) size: usize,
}

/// The run of one bench file.
pub(crate) struct Bench {
    tokio: tokio::runtime::Runtime,
    quick: bool,
    /// Only rows whose names contain one of these are measured.
    only: Vec<String>,
}

impl Bench {
    /// Reads the command line and prints the header. `topic` is the header of the first column.
    pub(crate) fn new(topic: &str) -> Self {
        let args: Vec<String> = std::env::args().skip(1).collect();
        let has = |flag: &str| args.iter().any(|arg| arg == flag);
        let quick = has("--quick") || !has("--bench");
        let only = args.into_iter().filter(|arg| !arg.starts_with("--")).collect();
        let mut tokio = tokio::runtime::Builder::new_multi_thread();
        let tokio = tokio.worker_threads(2).enable_all().build().expect("tokio starts");
        print_row(topic, "unit", ["raw", "regrow", "ratio", "target"].map(String::from), "");
        Bench { tokio, quick, only }
    }

    /// Measures both sides alternately. A side takes the number of operations, and returns the cost
    /// of one.
    pub(crate) fn compare<A, B>(
        &self,
        row: &Row,
        raw: impl Fn(usize) -> A,
        regrow: impl Fn(usize) -> B,
    ) where
        A: Future<Output = f64> + Send + 'static,
        B: Future<Output = f64> + Send + 'static,
    {
        if !self.is_selected(row) {
            return;
        }
        let size = self.size(row.size);
        let rounds = if self.quick { 1 } else { ROUNDS };
        let mut results = Vec::new();
        for round in 0..=rounds {
            let result = if round % 2 == 0 {
                let raw = self.run(raw(size));
                (raw, self.run(regrow(size)))
            } else {
                let regrow = self.run(regrow(size));
                (self.run(raw(size)), regrow)
            };
            if round > 0 {
                results.push(result);
            }
        }
        print_result(row, &results);
    }

    /// Prints the header of a table of [`waits`](Self::waits).
    pub(crate) fn print_waits_header(&self, topic: &str) {
        print_row(topic, "unit", ["median", "worst", "best", "target"].map(String::from), "");
    }

    /// Measures how long each operation waits, and prints the median, the maximum and the minimum. The target is
    /// for the maximum.
    pub(crate) fn waits<A>(&self, row: &Row, measure: impl Fn(usize) -> A)
    where
        A: Future<Output = Vec<Duration>> + Send + 'static,
    {
        if !self.is_selected(row) {
            return;
        }
        let driver = self.tokio.spawn(measure(self.size(row.size)));
        let mut waits = self.tokio.block_on(driver).expect("a bench does not panic");
        waits.sort_unstable();
        let micros = |wait: Duration| wait.as_nanos() as f64 / 1_000.0;
        let (middle, worst) = (micros(waits[waits.len() / 2]), micros(waits[waits.len() - 1]));
        let best = micros(waits[0]);
        let verdict = match row.target {
            Some(target) if worst > target => "over",
            Some(_) => "ok",
            None => "",
        };
        let target = row.target.map_or_else(|| "-".into(), |target| format!("{target:.0}"));
        let cells = [format!("{middle:.0}"), format!("{worst:.0}"), format!("{best:.0}"), target];
        print_row(row.text, row.unit, cells, verdict);
    }

    fn is_selected(&self, row: &Row) -> bool {
        self.only.is_empty() || self.only.iter().any(|word| row.text.contains(word.as_str()))
    }

    pub(crate) fn size(&self, full: usize) -> usize {
        if self.quick { (full / QUICK).max(10) } else { full }
    }

    /// Runs a preparation that is not measured.
    pub(crate) fn block_on<F: Future>(&self, prepare: F) -> F::Output {
        self.tokio.block_on(prepare)
    }

    /// Runs one side on a worker, as all other tasks.
    fn run<F: Future<Output = f64> + Send + 'static>(&self, side: F) -> f64 {
        let driver = self.tokio.spawn(side);
        self.tokio.block_on(driver).expect("a bench does not panic")
    }
}

/// The nanoseconds since `start`, divided by `operations`.
pub(crate) fn nanos_each(start: Instant, operations: usize) -> f64 {
    start.elapsed().as_nanos() as f64 / operations as f64
}

/// Counts how many [`Pending`] have not been dropped.
#[derive(Clone)]
pub(crate) struct Countdown(Arc<Count>);

struct Count {
    left: AtomicUsize,
    done: Notify,
}

/// Counted by a [`Countdown`] until it is dropped.
pub(crate) struct Pending(Arc<Count>);

impl Countdown {
    pub(crate) fn new(from: usize) -> Self {
        Countdown(Arc::new(Count { left: AtomicUsize::new(from), done: Notify::new() }))
    }

    /// A guard for one of the counted operations. The operation drops it when it has finished.
    pub(crate) fn pending(&self) -> Pending {
        Pending(Arc::clone(&self.0))
    }

    /// Waits until all guards are dropped. Only one task may wait.
    pub(crate) async fn done(&self) {
        while self.0.left.load(Ordering::Acquire) > 0 {
            self.0.done.notified().await;
        }
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        if self.0.left.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.0.done.notify_one();
        }
    }
}

/// Yields after every hundredth message, as a sender does that waits for its own input.
pub(crate) async fn yield_sometimes(sent: usize) {
    if sent % 100 == 99 {
        tokio::task::yield_now().await;
    }
}

/// Ends all processes, and waits until none is left in the table.
pub(crate) async fn shut_down(rt: &Runtime) {
    rt.shutdown();
    while rt.process_count() > 0 {
        tokio::task::yield_now().await;
    }
}

/// Sends a pid to a process.
pub(crate) fn send_pid(rt: &Runtime, to: Pid, other: Pid) {
    rt.send(to, other.raw().to_le_bytes().to_vec());
}

/// Receives the pid that [`send_pid`] sends.
pub(crate) async fn receive_pid(ctx: &mut Context) -> Pid {
    let message = ctx.recv().await.message().expect("a pid");
    Pid::from_raw(u64::from_le_bytes(message.try_into().expect("eight bytes")))
}

/// Prints a row. The ratio is the median of the ratios of all rounds, and not the ratio of the medians:
/// a slow moment of the machine affects both sides of its round.
fn print_result(row: &Row, results: &[(f64, f64)]) {
    let raw = median(results.iter().map(|result| result.0).collect());
    let regrow = median(results.iter().map(|result| result.1).collect());
    let ratio = median(results.iter().map(|result| result.1 / result.0).collect());
    let target = row.target.map_or_else(|| "-".into(), |target| format!("{target:.2}"));
    let verdict = match row.target {
        Some(target) if ratio > target => "over",
        Some(_) => "ok",
        None => "",
    };
    let digits = if row.unit == "per op" { 2 } else { 0 };
    let ratio = if ratio.is_finite() { format!("{ratio:.2}") } else { "-".into() };
    let cells = [format!("{raw:.digits$}"), format!("{regrow:.digits$}"), ratio, target];
    print_row(row.text, row.unit, cells, verdict);
}

fn print_row(text: &str, unit: &str, [raw, regrow, ratio, target]: [String; 4], verdict: &str) {
    println!(
        "{text:<44} | {unit:<10} | {raw:>7} | {regrow:>7} | {ratio:>5} | {target:>6} | {verdict}"
    );
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
