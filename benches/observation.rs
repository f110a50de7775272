//! The cost of an observation: a picture of many children, and restarts and calls while a reader
//! reads every change.
//!
//! In place of a raw counterpart: the record of each process read by its pid, and the same work
//! without an observation.

mod support;

use std::time::Instant;

use regrow::{
    ChildSpec, DynamicSupervisor, Observation, Restart, Runtime, Supervisor, SupervisorRef,
};
use support::{Bench, Row, Target, nanos_each};
use tokio::sync::mpsc;

fn main() {
    let bench = Bench::new("observation");
    let row = |text, unit, size| Row { text, unit, target: Target::None, size };
    let text = "a picture of 100,000 dynamic children, for each child";
    bench.compare(&row(text, "ns", 100_000), read_each, picture);
    bench.compare(&row("a restart, observed", "ns", 10_000), restart, restart_observed);
    bench.compare(&row("an ignored message, observed", "ns", 100_000), message, message_observed);
}

async fn many(rt: &Runtime, size: usize) -> regrow::DynamicSupervisorRef {
    let conns = DynamicSupervisor::new().named("conns").start(rt).await.expect("it starts");
    for _ in 0..size {
        let conn = ChildSpec::task("conn", |_| std::future::pending());
        conns.start_child(conn.restart(Restart::Temporary)).await.expect("it starts");
    }
    conns
}

async fn read_each(size: usize) -> f64 {
    let rt = Runtime::new();
    let conns = many(&rt, size).await;
    let start = Instant::now();
    let queued: usize = rt.list().into_iter().filter_map(|pid| rt.info(pid)).map(|i| i.links).sum();
    let cost = nanos_each(start, size);
    assert!(queued >= size);
    conns.stop().await.expect("it stops");
    cost
}

async fn picture(size: usize) -> f64 {
    let rt = Runtime::new();
    let conns = many(&rt, size).await;
    let start = Instant::now();
    let picture = conns.observe().expect("it runs").picture().await;
    let cost = nanos_each(start, size);
    assert_eq!(picture.nodes.len(), 101);
    conns.stop().await.expect("it stops");
    cost
}

async fn restart(size: usize) -> f64 {
    restarts(size, |_| None).await
}

async fn restart_observed(size: usize) -> f64 {
    restarts(size, |rt| Some(read_all(rt.observe()))).await
}

/// Reads all that an observation delivers, in a task.
fn read_all(mut observation: Observation) -> tokio::task::JoinHandle<()> {
    tokio::spawn(async move { while observation.next().await.is_some() {} })
}

async fn restarts(
    size: usize,
    observe: impl FnOnce(&Runtime) -> Option<tokio::task::JoinHandle<()>>,
) -> f64 {
    let rt = Runtime::new();
    let (up, mut is_up) = mpsc::unbounded_channel();
    let job = ChildSpec::task("job", move |mut ctx| {
        let up = up.clone();
        async move {
            let _ = up.send(ctx.pid());
            ctx.recv().await;
            Err(regrow::ExitReason::Killed)
        }
    });
    let tree = Supervisor::one_for_one().named("app").unlimited_restarts().child(job);
    let tree: SupervisorRef = tree.start(&rt).await.expect("it starts");
    let reader = observe(&rt);
    let mut job = is_up.recv().await.expect("it is up");
    let start = Instant::now();
    for _ in 0..size {
        rt.send(job, Vec::new());
        job = is_up.recv().await.expect("it is up again");
    }
    let cost = nanos_each(start, size);
    reader.iter().for_each(tokio::task::JoinHandle::abort);
    tree.stop().await.expect("it stops");
    cost
}

async fn message(size: usize) -> f64 {
    messages(size, |_| None).await
}

async fn message_observed(size: usize) -> f64 {
    messages(size, |rt| Some(read_all(rt.observe()))).await
}

async fn messages(
    size: usize,
    observe: impl FnOnce(&Runtime) -> Option<tokio::task::JoinHandle<()>>,
) -> f64 {
    let rt = Runtime::new();
    let reader = observe(&rt);
    tokio::task::yield_now().await;
    let process = rt.spawn(move |mut ctx| async move {
        for _ in 0..size {
            ctx.recv().await;
        }
    });
    let start = Instant::now();
    for _ in 0..size {
        rt.send(process.pid(), Vec::new());
    }
    process.join().await;
    let cost = nanos_each(start, size);
    reader.iter().for_each(tokio::task::JoinHandle::abort);
    cost
}
