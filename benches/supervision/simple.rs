//! The cost of supervision: a restart, a start and a stop on demand, the stop of many children.
//!
//! Raw: a hand-written watcher task for each child. The watcher spawns the child, awaits its join
//! handle, spawns it again after a panic, and gives it five seconds to stop. Oneshots report starts
//! and stops. The watcher counts no restarts and has no names.

use std::time::{Duration, Instant};

use crate::support::{Bench, Row, Target, nanos_each};
use regrow::{ChildSpec, DynamicSupervisor, Restart, Result, Runtime, Supervisor, SupervisorSpec};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

/// The number of children of a group.
const GROUP: usize = 100;

pub(crate) fn rows(bench: &Bench) {
    let new_row =
        |text, unit, target, size| Row { text, unit, target: Target::Ratio(target), size };
    let row = new_row("restart after a panic, one_for_one", "ns", 1.4, 20_000);
    let alone = |n, fails| restart(n, Supervisor::one_for_one(), 1, fails);
    bench.compare(&row, |n| raw_restart(n, Fails::Panic), move |n| alone(n, Fails::Panic));
    let text = "restart after an error, one_for_one";
    let row = Row { text, unit: "ns", target: Target::None, size: 20_000 };
    bench.compare(&row, |n| raw_restart(n, Fails::Error), move |n| alone(n, Fails::Error));
    let row = new_row("restart of a group of 100, raw: of one task", "ns", 43.0, 1_000);
    let group = |n| restart(n, Supervisor::one_for_all(), GROUP, Fails::Panic);
    bench.compare(&row, |n| raw_restart(n, Fails::Panic), group);
    let row = new_row("dynamic child, started", "ns", 1.4, 50_000);
    bench.compare(&row, |n| raw_dynamic(n, Part::Start), |n| dynamic(n, Part::Start));
    let row = new_row("dynamic child, terminated", "ns", 1.4, 50_000);
    bench.compare(&row, |n| raw_dynamic(n, Part::Terminate), |n| dynamic(n, Part::Terminate));
    let row = new_row("stop of 50,000, static", "ns/child", 1.4, 50_000);
    bench.compare(&row, raw_stop, stop_static);
    let row = new_row("stop of 50,000, dynamic", "ns/child", 1.4, 50_000);
    bench.compare(&row, raw_stop, stop_dynamic);
    let row = new_row("temporary child, started and ended", "ns", 1.4, 1_000_000);
    bench.compare(&row, raw_short_lived, short_lived);
}

/// How a child fails.
#[derive(Clone, Copy)]
enum Fails {
    Panic,
    Error,
}

/// A child that reports its start, and fails on request.
async fn failing(up: mpsc::UnboundedSender<oneshot::Sender<()>>, fails: Fails) -> Result {
    let (crash, crashes) = oneshot::channel();
    let _ = up.send(crash);
    let _ = crashes.await;
    match fails {
        Fails::Panic => panic!("as asked"),
        Fails::Error => Err("as asked")?,
    }
}

async fn raw_restart(size: usize, fails: Fails) -> f64 {
    let (up, mut is_up) = mpsc::unbounded_channel();
    let watcher = tokio::spawn(async move {
        for _ in 0..=size {
            let child = tokio::spawn(failing(up.clone(), fails));
            assert!(!matches!(child.await, Ok(Ok(()))));
        }
    });
    let mut crash = is_up.recv().await.expect("it is up");
    let start = Instant::now();
    for _ in 0..size {
        let _ = crash.send(());
        crash = is_up.recv().await.expect("it is up again");
    }
    let cost = nanos_each(start, size);
    drop(crash);
    watcher.await.expect("it ends");
    cost
}

async fn restart(size: usize, tree: SupervisorSpec, children: usize, fails: Fails) -> f64 {
    let rt = Runtime::new();
    let (up, mut is_up) = mpsc::unbounded_channel();
    let mut tree = tree.unlimited_restarts();
    for n in 0..children - 1 {
        tree = tree.child(ChildSpec::task(format!("{n}"), |_| std::future::pending()));
    }
    let last = ChildSpec::task("last", move |_| failing(up, fails));
    let tree = tree.child(last).start(&rt).await.expect("it starts");
    let mut crash = is_up.recv().await.expect("it is up");
    let start = Instant::now();
    for _ in 0..size {
        let _ = crash.send(());
        crash = is_up.recv().await.expect("it is up again");
    }
    let cost = nanos_each(start, size);
    tree.stop().await.expect("it stops");
    cost
}

#[derive(Clone, Copy)]
enum Part {
    Start,
    Terminate,
}

/// A request to stop the child, answered when it has stopped.
type Stop = oneshot::Sender<()>;

/// Keeps one task running without a supervisor: spawns it, waits for its end or for a request to stop,
/// and spawns it again after a panic. The task has five seconds to stop.
async fn raw_watcher(stopped: oneshot::Receiver<Stop>, up: oneshot::Sender<()>) {
    let spawn = || {
        let (stop, mut mailbox) = mpsc::unbounded_channel::<()>();
        (stop, tokio::spawn(async move { while mailbox.recv().await.is_some() {} }))
    };
    let (mut stop, mut child) = spawn();
    let _ = up.send(());
    let mut stopped = std::pin::pin!(stopped);
    let request = loop {
        tokio::select! {
            request = &mut stopped => break request,
            Err(_) = &mut child => (stop, child) = spawn(),
        }
    };
    drop(stop);
    if tokio::time::timeout(Duration::from_secs(5), &mut child).await.is_err() {
        child.abort();
    }
    if let Ok(done) = request {
        let _ = done.send(());
    }
}

async fn raw_start() -> oneshot::Sender<Stop> {
    let (stop, stopped) = oneshot::channel();
    let (up, is_up) = oneshot::channel();
    tokio::spawn(raw_watcher(stopped, up));
    is_up.await.expect("it is up");
    stop
}

async fn raw_terminate(stop: oneshot::Sender<Stop>) {
    let (done, is_done) = oneshot::channel();
    let _ = stop.send(done);
    is_done.await.expect("it has stopped");
}

async fn raw_dynamic(size: usize, part: Part) -> f64 {
    let mut children = Vec::with_capacity(size);
    let start = Instant::now();
    for _ in 0..size {
        children.push(raw_start().await);
    }
    let started = nanos_each(start, size);
    let start = Instant::now();
    for child in children {
        raw_terminate(child).await;
    }
    part.of(started, nanos_each(start, size))
}

impl Part {
    fn of(self, started: f64, terminated: f64) -> f64 {
        match self {
            Part::Start => started,
            Part::Terminate => terminated,
        }
    }
}

fn idle() -> ChildSpec {
    ChildSpec::task("idle", |mut ctx| async move {
        ctx.recv().await;
        Ok(())
    })
    .restart(Restart::Temporary)
}

async fn dynamic(size: usize, part: Part) -> f64 {
    let rt = Runtime::new();
    let jobs = DynamicSupervisor::new().start(&rt).await.expect("it starts");
    let child = idle();
    let mut children = Vec::with_capacity(size);
    let start = Instant::now();
    for _ in 0..size {
        children.push(jobs.start_child(child.clone()).await.expect("it starts"));
    }
    let started = nanos_each(start, size);
    let start = Instant::now();
    for child in children {
        jobs.terminate_child(child).await.expect("it stops");
    }
    let terminated = nanos_each(start, size);
    jobs.stop().await.expect("it stops");
    part.of(started, terminated)
}

/// Stops the children in reverse order, and awaits each.
async fn raw_stop(size: usize) -> f64 {
    let mut children = Vec::with_capacity(size);
    for _ in 0..size {
        children.push(raw_start().await);
    }
    let start = Instant::now();
    for child in children.into_iter().rev() {
        raw_terminate(child).await;
    }
    nanos_each(start, size)
}

async fn stop_static(size: usize) -> f64 {
    let rt = Runtime::new();
    let mut tree = Supervisor::one_for_one();
    for n in 0..size {
        tree = tree.child(idle().with_id(format!("{n}")));
    }
    let tree = tree.start(&rt).await.expect("it starts");
    let start = Instant::now();
    tree.stop().await.expect("it stops");
    nanos_each(start, size)
}

async fn stop_dynamic(size: usize) -> f64 {
    let rt = Runtime::new();
    let jobs = DynamicSupervisor::new().start(&rt).await.expect("it starts");
    for _ in 0..size {
        jobs.start_child(idle()).await.expect("it starts");
    }
    let start = Instant::now();
    jobs.stop().await.expect("it stops");
    nanos_each(start, size)
}

/// Each child ends at once, and its watcher with it.
async fn raw_short_lived(size: usize) -> f64 {
    let start = Instant::now();
    let mut watchers = JoinSet::new();
    for _ in 0..size {
        let (up, is_up) = oneshot::channel();
        watchers.spawn(async move {
            let (_, receiver) = mpsc::unbounded_channel::<Vec<u8>>();
            let child = tokio::spawn(async move { drop(receiver) });
            let _ = up.send(());
            child.await.expect("it ends");
        });
        is_up.await.expect("it is up");
        while watchers.try_join_next().is_some() {}
    }
    while watchers.join_next().await.is_some() {}
    nanos_each(start, size)
}

async fn short_lived(size: usize) -> f64 {
    let rt = Runtime::new();
    let jobs = DynamicSupervisor::new().start(&rt).await.expect("it starts");
    let child = ChildSpec::task("job", |_| async { Ok(()) }).restart(Restart::Temporary);
    let start = Instant::now();
    for _ in 0..size {
        jobs.start_child(child.clone()).await.expect("it starts");
    }
    jobs.stop().await.expect("it stops");
    nanos_each(start, size)
}
