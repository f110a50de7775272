//! What the benches share: they ask what a thing costs on regrow and on *raw*, in
//! turns, in one process, and print the ratio.
//!
//! Raw is a tokio task, an unbounded mpsc channel and a oneshot, and nothing else.
//! Nanoseconds differ from machine to machine and from hour to hour; the ratio of two
//! sides that ran side by side carries over.
//!
//! * `cargo bench 2>/dev/null` prints one table of everything.
//! * `cargo bench --bench send -- eight` asks only what has "eight" in its name.
//! * `cargo bench -- --quick`, and `cargo test --benches`, run tiny sizes: a check that
//!   the benches work, whose figures mean nothing.

#![allow(dead_code)] // no bench needs all of it

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use regrow::{Context, Pid, Runtime};
use tokio::sync::Notify;

/// Each side is asked this often, after one turn that doesn't count.
const ROUNDS: usize = 7;

/// A quick run divides sizes by this.
const QUICK: usize = 1_000;

/// One row of the table.
pub(crate) struct Question {
    pub(crate) text: &'static str,
    pub(crate) unit: &'static str,
    /// The ratio that is aimed at.
    pub(crate) target: Option<f64>,
    /// How many operations a turn is.
    pub(crate) size: usize,
}

/// The run of one bench file.
pub(crate) struct Bench {
    tokio: tokio::runtime::Runtime,
    quick: bool,
    /// Only questions that contain one of these.
    only: Vec<String>,
}

impl Bench {
    /// A run as the command line wants it. `topic` heads the first column.
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

    /// Asks both sides in turns. A side does as many operations as it is told, and
    /// returns what one of them cost.
    pub(crate) fn compare<A, B>(
        &self,
        question: &Question,
        raw: impl Fn(usize) -> A,
        regrow: impl Fn(usize) -> B,
    ) where
        A: Future<Output = f64> + Send + 'static,
        B: Future<Output = f64> + Send + 'static,
    {
        if !self.wants(question) {
            return;
        }
        let size = self.size(question.size);
        let rounds = if self.quick { 1 } else { ROUNDS };
        let mut turns = Vec::new();
        for round in 0..=rounds {
            let turn = if round % 2 == 0 {
                let raw = self.run(raw(size));
                (raw, self.run(regrow(size)))
            } else {
                let regrow = self.run(regrow(size));
                (self.run(raw(size)), regrow)
            };
            if round > 0 {
                turns.push(turn);
            }
        }
        print_answer(question, &turns);
    }

    /// The head of a table of [`waits`](Self::waits).
    pub(crate) fn head_of_waits(&self, topic: &str) {
        print_row(topic, "unit", ["median", "worst", "", "target"].map(String::from), "");
    }

    /// Asks how long each of some operations waits, and prints the median and the worst of
    /// all; the target is one for the worst.
    pub(crate) fn waits<A>(&self, question: &Question, ask: impl Fn(usize) -> A)
    where
        A: Future<Output = Vec<Duration>> + Send + 'static,
    {
        if !self.wants(question) {
            return;
        }
        let driver = self.tokio.spawn(ask(self.size(question.size)));
        let mut waits = self.tokio.block_on(driver).expect("a bench does not panic");
        waits.sort_unstable();
        let micros = |wait: Duration| wait.as_nanos() as f64 / 1_000.0;
        let (middle, worst) = (micros(waits[waits.len() / 2]), micros(waits[waits.len() - 1]));
        let verdict = match question.target {
            Some(target) if worst > target => "over",
            Some(_) => "ok",
            None => "",
        };
        let target = question.target.map_or_else(|| "-".into(), |target| format!("{target:.0}"));
        let cells = [format!("{middle:.0}"), format!("{worst:.0}"), String::new(), target];
        print_row(question.text, question.unit, cells, verdict);
    }

    fn wants(&self, question: &Question) -> bool {
        self.only.is_empty() || self.only.iter().any(|word| question.text.contains(word.as_str()))
    }

    fn size(&self, full: usize) -> usize {
        if self.quick { (full / QUICK).max(10) } else { full }
    }

    /// Runs on a worker, as everything else does.
    fn run<F: Future<Output = f64> + Send + 'static>(&self, side: F) -> f64 {
        let driver = self.tokio.spawn(side);
        self.tokio.block_on(driver).expect("a bench does not panic")
    }
}

/// Nanoseconds since `start`, for each of `operations`.
pub(crate) fn nanos_each(start: Instant, operations: usize) -> f64 {
    start.elapsed().as_nanos() as f64 / operations as f64
}

/// Counts down as its clones are dropped.
#[derive(Clone)]
pub(crate) struct Countdown(Arc<Count>);

struct Count {
    left: AtomicUsize,
    done: Notify,
}

/// One that is still to come.
pub(crate) struct Pending(Arc<Count>);

impl Countdown {
    pub(crate) fn new(from: usize) -> Self {
        Countdown(Arc::new(Count { left: AtomicUsize::new(from), done: Notify::new() }))
    }

    /// To be held by one of those that are counted, until it is through.
    pub(crate) fn pending(&self) -> Pending {
        Pending(Arc::clone(&self.0))
    }

    /// Waits for all. For one waiter.
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

/// Gives up the worker now and then, as a sender does that gets its work from somewhere.
pub(crate) async fn breathe(sent: usize) {
    if sent % 100 == 99 {
        tokio::task::yield_now().await;
    }
}

/// Ends all processes, and waits until nothing is left of them.
pub(crate) async fn clear(rt: &Runtime) {
    rt.shutdown();
    while rt.process_count() > 0 {
        tokio::task::yield_now().await;
    }
}

/// Tells a process of another, in its next message.
pub(crate) fn introduce(rt: &Runtime, to: Pid, other: Pid) {
    rt.send(to, other.raw().to_le_bytes().to_vec());
}

/// Learns what [`introduce`] tells.
pub(crate) async fn meet(ctx: &mut Context) -> Pid {
    let message = ctx.recv().await.message().expect("a pid");
    Pid::from_raw(u64::from_le_bytes(message.try_into().expect("eight bytes")))
}

/// The ratio is the median of the rounds' own, not that of the medians: a slow moment
/// of the machine hits both sides of its round.
fn print_answer(question: &Question, turns: &[(f64, f64)]) {
    let raw = median(turns.iter().map(|turn| turn.0).collect());
    let regrow = median(turns.iter().map(|turn| turn.1).collect());
    let ratio = median(turns.iter().map(|turn| turn.1 / turn.0).collect());
    let target = question.target.map_or_else(|| "-".into(), |target| format!("{target:.2}"));
    let verdict = match question.target {
        Some(target) if ratio > target => "over",
        Some(_) => "ok",
        None => "",
    };
    let digits = if question.unit == "per op" { 2 } else { 0 };
    let ratio = if ratio.is_finite() { format!("{ratio:.2}") } else { "-".into() };
    let cells = [format!("{raw:.digits$}"), format!("{regrow:.digits$}"), ratio, target];
    print_row(question.text, question.unit, cells, verdict);
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
