//! The memory of a process: the bytes that it allocates, and the bytes that are resident.
//!
//! A global allocator counts the *allocated* bytes, so the figures are exact and the same in each
//! run. The counting allocator is a crate because this crate forbids `unsafe`.
//!
//! The operating system counts the *resident* bytes (`VmRSS`, so these rows are printed on Linux
//! only). They are more, since an allocator rounds sizes up and has data of its own. Freed memory
//! is reused, so each figure is measured in a new process of this program.
//!
//! Raw: a task that waits on the receiver of an mpsc channel, with its sender kept.

mod support;

use std::process::Command;

use peak_alloc::PeakAlloc;
use regrow::{GenServer, Result, Runtime, ServerContext};
use support::{Bench, Countdown, Row};
use tokio::sync::mpsc;

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

/// The environment variable with the side and the size that a new process measures.
const RESIDENT: &str = "REGROW_BENCH_RESIDENT";

fn main() {
    if let Ok(order) = std::env::var(RESIDENT) {
        return measure(&order);
    }
    let bench = Bench::new("memory");
    let idle = |text, size| Row { text, unit: "bytes", target: Some(0.36), size };
    bench.compare(&idle("an idle process, one of 10,000", 10_000), raw_idle, regrow_idle);
    bench.compare(&idle("an idle process, one of 100,000", 100_000), raw_idle, regrow_idle);
    bench.compare(&idle("an idle process, one of 1,000,000", 1_000_000), raw_idle, regrow_idle);
    let text = "after one message, one of 100,000";
    let used = Row { text, unit: "bytes", target: Some(0.45), size: 100_000 };
    bench.compare(&used, raw_used, regrow_used);
    let server = |text| Row { text, unit: "bytes", target: None, size: 100_000 };
    bench.compare(&server("an idle server, one of 100,000"), raw_idle, regrow_server);
    if resident().is_some() {
        let process = idle("an idle process, resident, one of 100,000", 100_000);
        bench.compare(
            &process,
            |size| in_new_process("raw", size),
            |size| in_new_process("process", size),
        );
        let server = server("an idle server, resident, one of 100,000");
        bench.compare(
            &server,
            |size| in_new_process("raw", size),
            |size| in_new_process("server", size),
        );
    }
}

async fn raw_idle(size: usize) -> f64 {
    raw(size, false, allocated).await
}

async fn raw_used(size: usize) -> f64 {
    raw(size, true, allocated).await
}

async fn regrow_idle(size: usize) -> f64 {
    regrow(size, false, allocated).await
}

async fn regrow_used(size: usize) -> f64 {
    regrow(size, true, allocated).await
}

async fn regrow_server(size: usize) -> f64 {
    servers(size, allocated).await
}

fn allocated() -> usize {
    ALLOCATOR.current_usage()
}

/// The resident bytes of this process, where the operating system reports them.
fn resident() -> Option<usize> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: usize = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kib * 1024)
}

/// Measures the resident bytes of one side in a new process.
async fn in_new_process(side: &str, size: usize) -> f64 {
    let own = std::env::current_exe().expect("a bench is a file");
    let measured = Command::new(own).env(RESIDENT, format!("{side} {size}")).output();
    let measured = measured.expect("the program can be started");
    let bytes = String::from_utf8_lossy(&measured.stdout);
    bytes.trim().parse().expect("it prints a number")
}

/// Measures one side, and prints the bytes.
fn measure(order: &str) {
    let (side, size) = order.split_once(' ').expect("a side and its size");
    let size = size.parse().expect("a number");
    let mut tokio = tokio::runtime::Builder::new_multi_thread();
    let tokio = tokio.worker_threads(2).enable_all().build().expect("tokio starts");
    let bytes = || resident().expect("it could be read before");
    let each = tokio.block_on(async {
        match side {
            "process" => tokio::spawn(regrow(size, false, bytes)).await,
            "server" => tokio::spawn(servers(size, bytes)).await,
            _ => tokio::spawn(raw(size, false, bytes)).await,
        }
    });
    println!("{}", each.expect("a bench does not panic"));
}

async fn raw(size: usize, used: bool, bytes: impl Fn() -> usize) -> f64 {
    // Allocated before the count begins, since the space for the handles is no part of a task.
    let mut kept: Vec<_> = (0..size).map(|_| None).collect();
    let ready = Countdown::new(size);
    let before = bytes();
    for kept in &mut kept {
        let (sender, mut receiver) = mpsc::unbounded_channel::<Vec<u8>>();
        if used {
            sender.send(Vec::new()).expect("it lives");
        }
        let ready = ready.pending();
        let task = tokio::spawn(async move {
            if used {
                receiver.recv().await;
            }
            drop(ready);
            receiver.recv().await;
        });
        *kept = Some((sender, task));
    }
    ready.done().await;
    let each = each(before, bytes(), size);
    for (sender, task) in kept.into_iter().flatten() {
        drop(sender);
        task.await.expect("it ends");
    }
    each
}

async fn regrow(size: usize, used: bool, bytes: impl Fn() -> usize) -> f64 {
    let rt = Runtime::new();
    let ready = Countdown::new(size);
    let before = bytes();
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
    let each = each(before, bytes(), size);
    support::shut_down(&rt).await;
    each
}

/// A server without a state.
struct Idle;

impl GenServer for Idle {
    type Args = ();
    type Call = ();
    type Cast = ();

    async fn init((): (), _: &mut ServerContext<Self>) -> Result<Self> {
        Ok(Idle)
    }

    async fn handle_call(&mut self, (): (), _: &mut ServerContext<Self>) -> Result {
        Ok(())
    }

    async fn handle_cast(&mut self, (): (), _: &mut ServerContext<Self>) -> Result {
        Ok(())
    }
}

async fn servers(size: usize, bytes: impl Fn() -> usize) -> f64 {
    let rt = Runtime::new();
    let before = bytes();
    for _ in 0..size {
        Idle::start(&rt, ()).await.expect("it starts");
    }
    let each = each(before, bytes(), size);
    support::shut_down(&rt).await;
    each
}

fn each(before: usize, after: usize, size: usize) -> f64 {
    after.saturating_sub(before) as f64 / size as f64
}
