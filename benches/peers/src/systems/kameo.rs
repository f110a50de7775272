//! kameo. It has links, and no monitors.

use std::convert::Infallible;
use std::time::{Duration, Instant};

use kameo::actor::{Actor, ActorRef, Spawn};
use kameo::message::{Context, Message};
use kameo::supervision::{RestartPolicy, SupervisionStrategy};
use tokio::sync::mpsc;

use crate::support::{
    self, Countdown, DELAY, GROUP, Pending, bytes_each, nanos_each, resident, wait_until_idle,
};

pub(crate) async fn measure(row: &str, size: usize) -> Option<Vec<f64>> {
    match row {
        "spawn" => spawn(size).await,
        "server" => servers(size).await,
        "send" => send(size).await,
        "call" => call(size).await,
        "calls" => calls(size).await,
        "start" | "terminate" | "stop" => children(row, size).await,
        "restart" => restart::<false>(1, size).await,
        "group" => restart::<true>(GROUP, size).await,
        "links" => links(size).await,
        "timers" => timers(size).await,
        _ => None,
    }
}

type Up = Option<mpsc::UnboundedSender<ActorRef<Worker>>>;

struct Worker(u64);

impl Actor for Worker {
    type Args = Up;
    type Error = Infallible;

    async fn on_start(up: Up, this: ActorRef<Self>) -> Result<Self, Infallible> {
        if let Some(up) = up {
            let _ = up.send(this);
        }
        Ok(Worker(0))
    }
}

struct Number(#[allow(dead_code)] [u8; 8]);

struct Get;

struct Fail;

impl Message<Number> for Worker {
    type Reply = ();

    async fn handle(&mut self, _: Number, _: &mut Context<Self, ()>) {
        self.0 += 1;
    }
}

impl Message<Get> for Worker {
    type Reply = u64;

    async fn handle(&mut self, _: Get, _: &mut Context<Self, u64>) -> u64 {
        self.0
    }
}

impl Message<Fail> for Worker {
    type Reply = ();

    async fn handle(&mut self, _: Fail, _: &mut Context<Self, ()>) {
        panic!("as asked");
    }
}

async fn spawn(size: usize) -> Option<Vec<f64>> {
    let start = Instant::now();
    let actors: Vec<_> = (0..size).map(|_| Worker::spawn(None)).collect();
    for actor in actors {
        actor.stop_gracefully().await.ok()?;
        actor.wait_for_shutdown().await;
    }
    nanos_each(start, size)
}

async fn servers(size: usize) -> Option<Vec<f64>> {
    let mut kept: Vec<Option<ActorRef<Worker>>> = (0..size).map(|_| None).collect();
    let before = resident();
    for kept in &mut kept {
        *kept = Some(Worker::spawn(None));
    }
    for kept in kept.iter().flatten() {
        kept.wait_for_startup().await;
    }
    bytes_each(before, size)
}

async fn send(size: usize) -> Option<Vec<f64>> {
    let actor = Worker::spawn(None);
    let start = Instant::now();
    for n in 0..size {
        actor.tell(Number(n.to_le_bytes())).await.ok()?;
    }
    actor.ask(Get).await.ok()?;
    nanos_each(start, size)
}

async fn call(size: usize) -> Option<Vec<f64>> {
    let actor = Worker::spawn(None);
    let start = Instant::now();
    for _ in 0..size {
        actor.ask(Get).await.ok()?;
    }
    nanos_each(start, size)
}

async fn calls(size: usize) -> Option<Vec<f64>> {
    let actor = Worker::spawn(None);
    support::call_from_many(size, || {
        let actor = actor.clone();
        move || {
            let actor = actor.clone();
            async move { actor.ask(Get).await.expect("it replies") }
        }
    })
    .await
}

/// A supervisor that restarts one child, or all.
struct Boss<const ALL: bool>;

impl<const ALL: bool> Actor for Boss<ALL> {
    type Args = ();
    type Error = Infallible;

    fn supervision_strategy() -> SupervisionStrategy {
        if ALL { SupervisionStrategy::OneForAll } else { SupervisionStrategy::OneForOne }
    }

    async fn on_start((): (), _: ActorRef<Self>) -> Result<Self, Infallible> {
        Ok(Boss)
    }
}

async fn start_child<const ALL: bool>(
    supervisor: &ActorRef<Boss<ALL>>,
    up: Up,
) -> ActorRef<Worker> {
    let child = Worker::supervise(supervisor, up).restart_policy(RestartPolicy::Transient);
    let child = child.restart_limit(u32::MAX, Duration::from_secs(1)).spawn().await;
    child.wait_for_startup().await;
    child
}

async fn children(row: &str, size: usize) -> Option<Vec<f64>> {
    let supervisor = Boss::<false>::spawn(());
    let mut children = Vec::with_capacity(size);
    let start = Instant::now();
    for _ in 0..size {
        children.push(start_child(&supervisor, None).await);
    }
    if row == "start" {
        return nanos_each(start, size);
    }
    let start = Instant::now();
    if row == "terminate" {
        for child in children {
            child.stop_gracefully().await.ok()?;
            child.wait_for_shutdown().await;
        }
    } else {
        supervisor.stop_gracefully().await.ok()?;
        supervisor.wait_for_shutdown().await;
        for child in children {
            child.wait_for_shutdown().await;
        }
    }
    nanos_each(start, size)
}

async fn restart<const ALL: bool>(children: usize, size: usize) -> Option<Vec<f64>> {
    let supervisor = Boss::<ALL>::spawn(());
    let mut siblings = Vec::new();
    for _ in 1..children {
        siblings.push(start_child(&supervisor, None).await);
    }
    let (up, mut is_up) = mpsc::unbounded_channel();
    let _last = start_child(&supervisor, Some(up)).await;
    let mut child = is_up.recv().await?;
    let start = Instant::now();
    for _ in 0..size {
        child.tell(Fail).await.ok()?;
        child = is_up.recv().await?;
    }
    nanos_each(start, size)
}

/// An actor that ends with the first one.
struct Linked(#[allow(dead_code)] Pending);

impl Actor for Linked {
    type Args = Pending;
    type Error = Infallible;

    async fn on_start(pending: Pending, _: ActorRef<Self>) -> Result<Self, Infallible> {
        Ok(Linked(pending))
    }
}

async fn links(size: usize) -> Option<Vec<f64>> {
    let all = Countdown::new(size);
    let first = Linked::spawn(all.pending());
    let mut others = Vec::with_capacity(size);
    for _ in 1..size {
        let other = Linked::spawn(all.pending());
        other.link(&first).await;
        others.push(other);
    }
    wait_until_idle().await;
    let start = Instant::now();
    first.kill();
    all.done().await;
    nanos_each(start, size)
}

async fn timers(size: usize) -> Option<Vec<f64>> {
    let actor = Worker::spawn(None);
    let start = Instant::now();
    let timer = |n: usize| actor.tell(Number(n.to_le_bytes())).send_after(DELAY);
    let timers: Vec<_> = (0..size).map(timer).collect();
    for timer in timers {
        timer.abort();
    }
    nanos_each(start, size)
}
