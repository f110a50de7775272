//! ractor. It has no supervisor that restarts: the supervising actor spawns a child again when it
//! receives the event of its failure. There is no restart of a group.

use std::time::Instant;

use ractor::{Actor, ActorProcessingErr, ActorRef, RpcReplyPort, SupervisionEvent};
use tokio::sync::mpsc;

use crate::support::{
    self, Countdown, DELAY, Pending, bytes_each, nanos_each, resident, wait_until_idle,
};

pub(crate) async fn measure(row: &str, size: usize) -> Option<Vec<f64>> {
    match row {
        "spawn" => spawn(size).await,
        "server" => servers(size).await,
        "send" => send(size).await,
        "call" => call(size).await,
        "calls" => calls(size).await,
        "start" | "terminate" | "stop" => children(row, size).await,
        "restart" => restart(size).await,
        "links" => links(size).await,
        "monitors" => monitors(size).await,
        "timers" => timers(size).await,
        _ => None,
    }
}

type Up = mpsc::UnboundedSender<ActorRef<Message>>;

enum Message {
    Number(#[allow(dead_code)] [u8; 8]),
    Get(RpcReplyPort<u64>),
    Fail,
    /// Reports that all messages before have been handled.
    Reached(RpcReplyPort<()>),
    StartFailing(Up, RpcReplyPort<()>),
}

/// What an actor does beside its messages.
#[derive(Default)]
struct Role {
    /// Counted until the actor has ended, and its state is dropped.
    _ends: Option<Pending>,
    /// Counted until a monitored actor has ended.
    watches: Option<Pending>,
    /// Where the start of a failing child is reported.
    restarts: Option<Up>,
}

struct State {
    count: u64,
    role: Role,
}

struct Worker;

impl Actor for Worker {
    type Msg = Message;
    type State = State;
    type Arguments = Role;

    async fn pre_start(
        &self,
        _: ActorRef<Message>,
        role: Role,
    ) -> Result<State, ActorProcessingErr> {
        Ok(State { count: 0, role })
    }

    async fn handle(
        &self,
        myself: ActorRef<Message>,
        message: Message,
        state: &mut State,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            Message::Number(_) => state.count += 1,
            Message::Get(reply) => reply.send(state.count)?,
            Message::Fail => panic!("as asked"),
            Message::Reached(reply) => reply.send(())?,
            Message::StartFailing(up, reply) => {
                state.role.restarts = Some(up);
                start_failing(&myself, state).await?;
                reply.send(())?;
            }
        }
        Ok(())
    }

    async fn handle_supervisor_evt(
        &self,
        myself: ActorRef<Message>,
        event: SupervisionEvent,
        state: &mut State,
    ) -> Result<(), ActorProcessingErr> {
        match event {
            SupervisionEvent::ActorFailed(..) => start_failing(&myself, state).await?,
            SupervisionEvent::ActorTerminated(..) => drop(state.role.watches.take()),
            _ => {}
        }
        Ok(())
    }
}

async fn start_failing(
    supervisor: &ActorRef<Message>,
    state: &State,
) -> Result<(), ActorProcessingErr> {
    if let Some(up) = &state.role.restarts {
        let (child, _) =
            Actor::spawn_linked(None, Worker, Role::default(), supervisor.get_cell()).await?;
        let _ = up.send(child);
    }
    Ok(())
}

async fn start(role: Role) -> Option<ActorRef<Message>> {
    Some(Actor::spawn(None, Worker, role).await.ok()?.0)
}

async fn spawn(size: usize) -> Option<Vec<f64>> {
    let start = Instant::now();
    let mut actors = Vec::with_capacity(size);
    for _ in 0..size {
        actors.push(Actor::spawn(None, Worker, Role::default()).await.ok()?);
    }
    for (actor, task) in actors {
        actor.stop(None);
        task.await.ok()?;
    }
    nanos_each(start, size)
}

async fn servers(size: usize) -> Option<Vec<f64>> {
    let mut kept: Vec<Option<ActorRef<Message>>> = (0..size).map(|_| None).collect();
    let before = resident();
    for kept in &mut kept {
        *kept = Some(start(Role::default()).await?);
    }
    bytes_each(before, size)
}

async fn send(size: usize) -> Option<Vec<f64>> {
    let actor = start(Role::default()).await?;
    let start = Instant::now();
    for n in 0..size {
        actor.cast(Message::Number(n.to_le_bytes())).ok()?;
    }
    actor.call(Message::Reached, None).await.ok()?;
    nanos_each(start, size)
}

async fn call(size: usize) -> Option<Vec<f64>> {
    let actor = start(Role::default()).await?;
    let start = Instant::now();
    for _ in 0..size {
        actor.call(Message::Get, None).await.ok()?;
    }
    nanos_each(start, size)
}

async fn calls(size: usize) -> Option<Vec<f64>> {
    let actor = start(Role::default()).await?;
    support::call_from_many(size, || {
        let actor = actor.clone();
        move || {
            let actor = actor.clone();
            async move { actor.call(Message::Get, None).await.expect("it replies") }
        }
    })
    .await
}

async fn children(row: &str, size: usize) -> Option<Vec<f64>> {
    let supervisor = start(Role::default()).await?;
    let mut children = Vec::with_capacity(size);
    let start = Instant::now();
    for _ in 0..size {
        let cell = supervisor.get_cell();
        children.push(Actor::spawn_linked(None, Worker, Role::default(), cell).await.ok()?);
    }
    if row == "start" {
        return nanos_each(start, size);
    }
    let start = Instant::now();
    if row == "terminate" {
        for (child, task) in children {
            child.stop(None);
            task.await.ok()?;
        }
    } else {
        supervisor.stop_children_and_wait(None, None).await;
        supervisor.stop_and_wait(None, None).await.ok()?;
    }
    nanos_each(start, size)
}

async fn restart(size: usize) -> Option<Vec<f64>> {
    let supervisor = start(Role::default()).await?;
    let (up, mut is_up) = mpsc::unbounded_channel();
    supervisor.call(|reply| Message::StartFailing(up, reply), None).await.ok()?;
    let mut child = is_up.recv().await?;
    let start = Instant::now();
    for _ in 0..size {
        child.cast(Message::Fail).ok()?;
        child = is_up.recv().await?;
    }
    nanos_each(start, size)
}

/// A link of ractor is from a child to its supervisor.
async fn links(size: usize) -> Option<Vec<f64>> {
    let all = Countdown::new(size);
    let role = || Role { _ends: Some(all.pending()), ..Role::default() };
    let first = start(role()).await?;
    for _ in 1..size {
        Actor::spawn_linked(None, Worker, role(), first.get_cell()).await.ok()?;
    }
    wait_until_idle().await;
    let start = Instant::now();
    first.kill();
    all.done().await;
    nanos_each(start, size)
}

async fn monitors(size: usize) -> Option<Vec<f64>> {
    let all = Countdown::new(size);
    let target = start(Role::default()).await?;
    for _ in 0..size {
        let watcher = start(Role { watches: Some(all.pending()), ..Role::default() }).await?;
        watcher.get_cell().monitor(target.get_cell());
    }
    wait_until_idle().await;
    let start = Instant::now();
    target.stop(None);
    all.done().await;
    nanos_each(start, size)
}

async fn timers(size: usize) -> Option<Vec<f64>> {
    let actor = start(Role::default()).await?;
    let start = Instant::now();
    let timer = |n: usize| actor.send_after(DELAY, move || Message::Number(n.to_le_bytes()));
    let timers: Vec<_> = (0..size).map(timer).collect();
    for timer in timers {
        timer.abort();
    }
    nanos_each(start, size)
}
