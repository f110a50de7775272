//! tokio-actors. It has no links and monitors between actors that are not parent and child, and a
//! single timer that is not recurring can't be cancelled.

use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tokio_actors::{
    Actor, ActorContext, ActorError, ActorExt, ActorHandle, ActorId, ActorResult, StopReason,
    SupervisionConfig,
};

use crate::support::{self, GROUP, bytes_each, nanos_each, resident};

pub(crate) async fn measure(row: &str, size: usize) -> Option<Vec<f64>> {
    match row {
        "spawn" => spawn(size).await,
        "server" => servers(size).await,
        "send" => send(size).await,
        "call" => call(size).await,
        "calls" => calls(size).await,
        "start" | "terminate" | "stop" => children(row, size).await,
        "restart" => restart(SupervisionConfig::one_for_one(), 1, size).await,
        "group" => restart(SupervisionConfig::one_for_all(), GROUP, size).await,
        _ => None,
    }
}

type Up = Option<mpsc::UnboundedSender<ActorHandle<Worker>>>;

#[derive(Default)]
struct Worker {
    count: u64,
    up: Up,
}

enum Message {
    Number(#[allow(dead_code)] [u8; 8]),
    Get,
    Fail,
}

impl Actor for Worker {
    type Message = Message;
    type Response = u64;

    async fn on_started(&mut self, ctx: &mut ActorContext<Self>) -> ActorResult<()> {
        if let Some(up) = &self.up {
            let _ = up.send(ctx.self_handle());
        }
        Ok(())
    }

    async fn handle(&mut self, message: Message, _: &mut ActorContext<Self>) -> ActorResult<u64> {
        match message {
            Message::Number(_) => self.count += 1,
            Message::Get => {}
            Message::Fail => panic!("as asked"),
        }
        Ok(self.count)
    }
}

async fn start() -> Option<ActorHandle<Worker>> {
    Worker::default().spawn().await.ok()
}

async fn spawn(size: usize) -> Option<Vec<f64>> {
    let begin = Instant::now();
    let mut actors = Vec::with_capacity(size);
    for _ in 0..size {
        actors.push(start().await?);
    }
    for actor in actors {
        actor.stop(StopReason::Graceful).await.ok()?;
        actor.wait_stopped().await;
    }
    nanos_each(begin, size)
}

async fn servers(size: usize) -> Option<Vec<f64>> {
    let mut kept: Vec<Option<ActorHandle<Worker>>> = (0..size).map(|_| None).collect();
    let before = resident();
    for kept in &mut kept {
        *kept = Some(start().await?);
    }
    bytes_each(before, size)
}

async fn send(size: usize) -> Option<Vec<f64>> {
    let actor = start().await?;
    let start = Instant::now();
    for n in 0..size {
        actor.notify(Message::Number(n.to_le_bytes())).await.ok()?;
    }
    actor.send(Message::Get).await.ok()?;
    nanos_each(start, size)
}

async fn call(size: usize) -> Option<Vec<f64>> {
    let actor = start().await?;
    let start = Instant::now();
    for _ in 0..size {
        actor.send(Message::Get).await.ok()?;
    }
    nanos_each(start, size)
}

async fn calls(size: usize) -> Option<Vec<f64>> {
    let actor = start().await?;
    support::call_from_many(size, || {
        let actor = actor.clone();
        move || {
            let actor = actor.clone();
            async move { actor.send(Message::Get).await.expect("it replies") }
        }
    })
    .await
}

/// A supervisor. An actor starts and stops its children itself, when it is asked to.
struct Boss;

enum Order {
    Start(Up),
    Terminate(ActorId),
}

impl Actor for Boss {
    type Message = Order;
    type Response = Option<ActorId>;

    async fn handle(
        &mut self,
        order: Order,
        ctx: &mut ActorContext<Self>,
    ) -> ActorResult<Option<ActorId>> {
        let failed = |error: String| ActorError::user(error);
        match order {
            Order::Start(up) => {
                let child = move || Worker { count: 0, up: up.clone() };
                let child = ctx.spawn_child(child).await.map_err(|e| failed(e.to_string()))?;
                Ok(Some(child.id().clone()))
            }
            Order::Terminate(child) => {
                ctx.terminate_child(child.clone()).await.map_err(|e| failed(e.to_string()))?;
                ctx.delete_child(child).map_err(|e| failed(e.to_string()))?;
                Ok(None)
            }
        }
    }
}

async fn children(row: &str, size: usize) -> Option<Vec<f64>> {
    let config = SupervisionConfig::one_for_one();
    let supervisor = Boss.spawn().with_supervision(config).await.ok()?;
    let mut children = Vec::with_capacity(size);
    let start = Instant::now();
    for _ in 0..size {
        children.push(supervisor.send(Order::Start(None)).await.ok()??);
    }
    if row == "start" {
        return nanos_each(start, size);
    }
    let start = Instant::now();
    if row == "terminate" {
        for child in children {
            supervisor.send(Order::Terminate(child)).await.ok()?;
        }
    } else {
        supervisor.stop(StopReason::Graceful).await.ok()?;
        supervisor.wait_stopped().await;
    }
    nanos_each(start, size)
}

async fn restart(config: SupervisionConfig, children: usize, size: usize) -> Option<Vec<f64>> {
    let config = config.max_restarts(u32::MAX, Duration::from_secs(1));
    let supervisor = Boss.spawn().with_supervision(config).await.ok()?;
    for _ in 1..children {
        supervisor.send(Order::Start(None)).await.ok()?;
    }
    let (up, mut is_up) = mpsc::unbounded_channel();
    supervisor.send(Order::Start(Some(up))).await.ok()?;
    let mut child = is_up.recv().await?;
    let start = Instant::now();
    for _ in 0..size {
        child.notify(Message::Fail).await.ok()?;
        child = is_up.recv().await?;
    }
    nanos_each(start, size)
}
