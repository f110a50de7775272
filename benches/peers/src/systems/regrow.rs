//! regrow. Messages are sent by pid; calls go to a `GenServer` by its handle.

use std::time::Instant;

use regrow::{
    Context, DynamicSupervisor, GenServer, Pid, Reply, Result, Runtime, ServerContext, ServerRef,
    Supervisor, SupervisorSpec,
};
use tokio::sync::mpsc;

use crate::support::{
    self, Countdown, DELAY, GROUP, Pending, bytes_each, nanos_each, resident, wait_until_idle,
};

pub(crate) async fn measure(row: &str, size: usize) -> Option<Vec<f64>> {
    let rt = Runtime::new();
    match row {
        "spawn" => spawn(&rt, size).await,
        "idle" => idle(&rt, size).await,
        "server" => servers(&rt, size).await,
        "send" => send(&rt, size).await,
        "call" => call(&rt, size).await,
        "calls" => calls(&rt, size).await,
        "start" | "terminate" | "stop" => children(&rt, row, size).await,
        "restart" => restart(&rt, Supervisor::one_for_one(), 1, size).await,
        "group" => restart(&rt, Supervisor::one_for_all(), GROUP, size).await,
        "links" => links(&rt, size).await,
        "monitors" => monitors(&rt, size).await,
        "timers" => timers(&rt, size),
        _ => None,
    }
}

async fn spawn(rt: &Runtime, size: usize) -> Option<Vec<f64>> {
    let start = Instant::now();
    let mut processes = Vec::with_capacity(size);
    for _ in 0..size {
        processes.push(rt.spawn(|ctx| async move { drop(ctx) }));
    }
    for process in processes {
        process.join().await;
    }
    nanos_each(start, size)
}

fn idle_process(rt: &Runtime) -> Pid {
    rt.spawn(|mut ctx| async move { drop(ctx.recv().await) }).pid()
}

async fn idle(rt: &Runtime, size: usize) -> Option<Vec<f64>> {
    let before = resident();
    for _ in 0..size {
        idle_process(rt);
    }
    wait_until_idle().await;
    bytes_each(before, size)
}

async fn servers(rt: &Runtime, size: usize) -> Option<Vec<f64>> {
    let before = resident();
    for _ in 0..size {
        Server::start(rt, None).await.ok()?;
    }
    bytes_each(before, size)
}

async fn send(rt: &Runtime, size: usize) -> Option<Vec<f64>> {
    let receiver = rt.spawn(move |mut ctx| async move {
        for _ in 0..size {
            ctx.recv().await;
        }
    });
    let start = Instant::now();
    for n in 0..size {
        rt.send(receiver.pid(), n.to_le_bytes().to_vec());
    }
    receiver.join().await;
    nanos_each(start, size)
}

async fn call(rt: &Runtime, size: usize) -> Option<Vec<f64>> {
    let server = Server::start(rt, None).await.ok()?;
    let start = Instant::now();
    for _ in 0..size {
        server.call(Get).await.ok()?;
    }
    nanos_each(start, size)
}

async fn calls(rt: &Runtime, size: usize) -> Option<Vec<f64>> {
    let server = Server::start(rt, None).await.ok()?;
    support::call_from_many(size, || {
        let server = server.clone();
        move || {
            let server = server.clone();
            async move { server.call(Get).await.expect("the server replies") }
        }
    })
    .await
}

async fn children(rt: &Runtime, row: &str, size: usize) -> Option<Vec<f64>> {
    let supervisor = DynamicSupervisor::new().start(rt).await.ok()?;
    let mut children = Vec::with_capacity(size);
    let start = Instant::now();
    for _ in 0..size {
        children.push(supervisor.start_child(Server::child(None)).await.ok()?);
    }
    if row == "start" {
        return nanos_each(start, size);
    }
    let start = Instant::now();
    if row == "terminate" {
        for child in children {
            supervisor.terminate_child(child).await.ok()?;
        }
    } else {
        supervisor.stop().await.ok()?;
    }
    nanos_each(start, size)
}

async fn restart(
    rt: &Runtime,
    tree: SupervisorSpec,
    children: usize,
    size: usize,
) -> Option<Vec<f64>> {
    let mut tree = tree.unlimited_restarts();
    for n in 1..children {
        tree = tree.child(Server::child(None).with_id(format!("{n}")));
    }
    let (up, mut is_up) = mpsc::unbounded_channel();
    let last = Server::child(Some(up)).with_id("last");
    let _tree = tree.child(last).start(rt).await.ok()?;
    let mut server = is_up.recv().await?;
    let start = Instant::now();
    for _ in 0..size {
        server.cast(Fail);
        server = is_up.recv().await?;
    }
    nanos_each(start, size)
}

async fn links(rt: &Runtime, size: usize) -> Option<Vec<f64>> {
    let (all, ready) = (Countdown::new(size), Countdown::new(size));
    let spawn = || {
        let (pending, up) = (all.pending(), ready.pending());
        rt.spawn(move |mut ctx: Context| async move {
            drop(up);
            ctx.recv().await;
            drop(pending);
        })
        .pid()
    };
    let first = spawn();
    for _ in 1..size {
        rt.link(spawn(), first);
    }
    ready.done().await;
    let start = Instant::now();
    rt.kill(first);
    all.done().await;
    nanos_each(start, size)
}

async fn watch(mut ctx: Context, target: Pid, ready: Pending, pending: Pending) {
    ctx.runtime().monitor(ctx.pid(), target);
    drop(ready);
    ctx.recv().await;
    drop(pending);
}

async fn monitors(rt: &Runtime, size: usize) -> Option<Vec<f64>> {
    let (all, ready) = (Countdown::new(size), Countdown::new(size));
    let target = idle_process(rt);
    for _ in 0..size {
        let (pending, up) = (all.pending(), ready.pending());
        rt.spawn(move |ctx| watch(ctx, target, up, pending));
    }
    ready.done().await;
    let start = Instant::now();
    rt.send(target, Vec::new());
    all.done().await;
    nanos_each(start, size)
}

fn timers(rt: &Runtime, size: usize) -> Option<Vec<f64>> {
    let target = idle_process(rt);
    let start = Instant::now();
    let timer = |n: usize| rt.send_after(target, DELAY, n.to_le_bytes().to_vec());
    let timers: Vec<_> = (0..size).map(timer).collect();
    for timer in timers {
        timer.cancel();
    }
    nanos_each(start, size)
}

struct Server(u64);

struct Get(Reply<u64>);

struct Fail;

impl GenServer for Server {
    type Args = Option<mpsc::UnboundedSender<ServerRef<Self>>>;
    type Call = Get;
    type Cast = Fail;

    async fn init(up: Self::Args, ctx: &mut ServerContext<Self>) -> Result<Self> {
        if let Some(up) = up {
            let _ = up.send(ctx.this());
        }
        Ok(Server(0))
    }

    async fn handle_call(&mut self, call: Get, _: &mut ServerContext<Self>) -> Result {
        self.0 += 1;
        call.0.send(self.0);
        Ok(())
    }

    async fn handle_cast(&mut self, _: Fail, _: &mut ServerContext<Self>) -> Result {
        panic!("as asked")
    }
}
