//! What a program does once, or once for each process: the first process of a runtime, the first
//! message to a process, the end of a large tree, and its description.
//!
//! Raw: tasks with an unbounded channel each. A raw tree is a `JoinSet` of them, which is aborted and
//! awaited, or dropped with the whole of tokio.

mod support;

use std::time::{Duration, Instant};

use regrow::{ChildSpec, DynamicSupervisor, DynamicSupervisorRef, ProcessHandle, Restart, Runtime};
use support::{Bench, Row, Target, eight_bytes, nanos_each};
use tokio::sync::mpsc::{self, UnboundedSender};
use tokio::task::{JoinHandle, JoinSet};

/// The processes of a tree that ends or is described.
const TREE: usize = 100_000;

/// The descriptions of a tree in a measurement.
const ROUNDS: usize = 9;

fn main() {
    let bench = Bench::new("once");
    let row = |text, target, size| Row { text, unit: "ns", target, size };
    let first = row("the first process of a runtime", Target::None, 2_000);
    bench.compare(&first, raw_first_process, first_process);
    let message = row("the first message to a process", Target::Ratio(1.0), 50_000);
    bench.compare(&message, raw_first_message, first_message);
    let end = row("end of a tree of 100,000, killed", Target::None, TREE);
    bench.compare(&end, raw_tree_ends, tree_ends);
    let dropped = row("drop of tokio with a tree of 100,000", Target::None, TREE);
    bench.compare(&dropped, raw_tokio_dropped, tokio_dropped);
    bench.waits_header("a tree of 100,000");
    let size = bench.size(TREE);
    let described = Row {
        text: "its description as a value, by `tree`",
        unit: "µs",
        target: Target::None,
        size: ROUNDS * 1_000,
    };
    bench.waits(&described, |_| tree_described(size));
}

type Idle = (UnboundedSender<Vec<u8>>, JoinHandle<()>);

fn raw_idle() -> Idle {
    let (sender, mut receiver) = mpsc::unbounded_channel();
    (sender, tokio::spawn(async move { drop(receiver.recv().await) }))
}

fn idle(rt: &Runtime) -> ProcessHandle {
    rt.spawn(|mut ctx| async move { drop(ctx.recv().await) })
}

async fn raw_first_process(size: usize) -> f64 {
    let start = Instant::now();
    for _ in 0..size {
        let (sender, task) = raw_idle();
        let _ = sender.send(Vec::new());
        task.await.expect("it ends");
    }
    nanos_each(start, size)
}

async fn first_process(size: usize) -> f64 {
    let start = Instant::now();
    for _ in 0..size {
        let rt = Runtime::new();
        let process = idle(&rt);
        rt.send(process.pid(), Vec::new());
        process.join().await;
    }
    nanos_each(start, size)
}

async fn raw_first_message(size: usize) -> f64 {
    let tasks: Vec<Idle> = (0..size).map(|_| raw_idle()).collect();
    support::wait_until_idle().await;
    let start = Instant::now();
    for (sender, _) in &tasks {
        let _ = sender.send(eight_bytes(1));
    }
    for (_, task) in tasks {
        task.await.expect("it ends");
    }
    nanos_each(start, size)
}

async fn first_message(size: usize) -> f64 {
    let rt = Runtime::new();
    let processes: Vec<ProcessHandle> = (0..size).map(|_| idle(&rt)).collect();
    support::wait_until_idle().await;
    let start = Instant::now();
    for process in &processes {
        rt.send(process.pid(), eight_bytes(1));
    }
    for process in processes {
        process.join().await;
    }
    nanos_each(start, size)
}

fn raw_tree(size: usize) -> (Vec<UnboundedSender<Vec<u8>>>, JoinSet<()>) {
    let mut tasks = JoinSet::new();
    let start = |_| {
        let (sender, mut receiver) = mpsc::unbounded_channel::<Vec<u8>>();
        tasks.spawn(async move { drop(receiver.recv().await) });
        sender
    };
    let senders = (0..size).map(start).collect();
    (senders, tasks)
}

async fn raw_tree_ends(size: usize) -> f64 {
    let (senders, mut tasks) = raw_tree(size);
    support::wait_until_idle().await;
    let start = Instant::now();
    tasks.abort_all();
    while tasks.join_next().await.is_some() {}
    drop(senders);
    nanos_each(start, size)
}

async fn tree(rt: &Runtime, size: usize) -> DynamicSupervisorRef {
    let top = DynamicSupervisor::new().start(rt).await.expect("it starts");
    for at in 0..size {
        let child = ChildSpec::task(format!("connection {at}"), |_| std::future::pending());
        top.start_child(child.restart(Restart::Temporary)).await.expect("it starts");
    }
    top
}

async fn tree_ends(size: usize) -> f64 {
    let rt = Runtime::new();
    let top = tree(&rt, size).await;
    support::wait_until_idle().await;
    let start = Instant::now();
    rt.kill(top.pid().expect("it runs"));
    while rt.process_count() > 0 {
        tokio::task::yield_now().await;
    }
    nanos_each(start, size)
}

/// Runs a preparation on a tokio of its own, and measures the drop of that tokio.
async fn dropped_tokio<P>(size: usize, prepare: fn(usize) -> P) -> f64
where
    P: Future<Output: Send> + Send + 'static,
{
    let measure = move || {
        let mut tokio = tokio::runtime::Builder::new_multi_thread();
        let tokio = tokio.worker_threads(2).enable_all().build().expect("tokio starts");
        let kept = tokio.block_on(async { tokio::spawn(prepare(size)).await.expect("it starts") });
        let start = Instant::now();
        drop(tokio);
        let each = nanos_each(start, size);
        drop(kept);
        each
    };
    tokio::task::spawn_blocking(measure).await.expect("a bench does not panic")
}

async fn raw_tokio_dropped(size: usize) -> f64 {
    dropped_tokio(size, |size| async move {
        let (senders, mut tasks) = raw_tree(size);
        tasks.detach_all();
        senders
    })
    .await
}

async fn tokio_dropped(size: usize) -> f64 {
    dropped_tokio(size, |size| async move {
        let rt = Runtime::new();
        drop(tree(&rt, size).await);
        rt
    })
    .await
}

async fn tree_described(size: usize) -> Vec<Duration> {
    let rt = Runtime::new();
    let top = tree(&rt, size).await;
    let mut times = Vec::new();
    for _ in 0..ROUNDS {
        let start = Instant::now();
        let described = top.tree().await.expect("the supervisor answers");
        times.push(start.elapsed());
        drop(described);
    }
    times
}
