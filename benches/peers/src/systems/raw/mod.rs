//! Raw tokio: tasks, unbounded channels, oneshots.

mod supervision;

use std::time::Instant;

use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use crate::support::{self, Countdown, DELAY, bytes_each, nanos_each, resident, wait_until_idle};

pub(crate) async fn measure(row: &str, size: usize) -> Option<Vec<f64>> {
    match row {
        "spawn" => spawn(size).await,
        "idle" => idle(size),
        "server" => servers(size).await,
        "send" => send(size).await,
        "call" => call(size).await,
        "calls" => calls(size).await,
        "start" | "terminate" | "stop" => supervision::children(row, size).await,
        "restart" => supervision::restart(size).await,
        "links" => abort(size).await,
        "monitors" => fan_out(size).await,
        "timers" => timers(size),
        _ => None,
    }
}

async fn spawn(size: usize) -> Option<Vec<f64>> {
    let start = Instant::now();
    let mut tasks = Vec::with_capacity(size);
    for _ in 0..size {
        let (sender, receiver) = mpsc::unbounded_channel::<Vec<u8>>();
        tasks.push((sender, tokio::spawn(async move { drop(receiver) })));
    }
    for (sender, task) in tasks {
        task.await.ok()?;
        drop(sender);
    }
    nanos_each(start, size)
}

type Task = (mpsc::UnboundedSender<Vec<u8>>, JoinHandle<()>);

fn idle_task(_: usize) -> Task {
    let (sender, mut receiver) = mpsc::unbounded_channel::<Vec<u8>>();
    (sender, tokio::spawn(async move { drop(receiver.recv().await) }))
}

fn idle(size: usize) -> Option<Vec<f64>> {
    let mut kept: Vec<Option<Task>> = (0..size).map(|_| None).collect();
    let before = resident();
    for (n, kept) in kept.iter_mut().enumerate() {
        *kept = Some(idle_task(n));
    }
    bytes_each(before, size)
}

enum Request {
    Get(oneshot::Sender<u64>),
    Fail,
}

type Server = mpsc::UnboundedSender<Request>;

fn spawn_server() -> (Server, JoinHandle<()>) {
    let (sender, mut requests) = mpsc::unbounded_channel();
    let task = tokio::spawn(async move {
        let mut count = 0;
        while let Some(request) = requests.recv().await {
            match request {
                Request::Get(reply) => {
                    count += 1;
                    let _ = reply.send(count);
                }
                Request::Fail => panic!("as asked"),
            }
        }
    });
    (sender, task)
}

async fn ask(server: &Server) {
    let (reply, answer) = oneshot::channel();
    let _ = server.send(Request::Get(reply));
    answer.await.expect("the server replies");
}

async fn servers(size: usize) -> Option<Vec<f64>> {
    let mut kept: Vec<Option<Server>> = (0..size).map(|_| None).collect();
    let before = resident();
    for kept in &mut kept {
        *kept = Some(spawn_server().0);
    }
    wait_until_idle().await;
    bytes_each(before, size)
}

async fn send(size: usize) -> Option<Vec<f64>> {
    let (sender, mut receiver) = mpsc::unbounded_channel::<[u8; 8]>();
    let receiver = tokio::spawn(async move {
        for _ in 0..size {
            receiver.recv().await;
        }
    });
    let start = Instant::now();
    for n in 0..size {
        let _ = sender.send(n.to_le_bytes());
    }
    receiver.await.ok()?;
    nanos_each(start, size)
}

async fn call(size: usize) -> Option<Vec<f64>> {
    let (server, _) = spawn_server();
    let start = Instant::now();
    for _ in 0..size {
        ask(&server).await;
    }
    nanos_each(start, size)
}

async fn calls(size: usize) -> Option<Vec<f64>> {
    let (server, _) = spawn_server();
    support::call_from_many(size, || {
        let server = server.clone();
        move || {
            let server = server.clone();
            async move { ask(&server).await }
        }
    })
    .await
}

async fn abort(size: usize) -> Option<Vec<f64>> {
    let (all, ready) = (Countdown::new(size), Countdown::new(size));
    let task = |_| {
        let (pending, up) = (all.pending(), ready.pending());
        tokio::spawn(async move {
            drop(up);
            std::future::pending::<()>().await;
            drop(pending);
        })
    };
    let tasks: Vec<_> = (0..size).map(task).collect();
    ready.done().await;
    let start = Instant::now();
    tasks.iter().for_each(JoinHandle::abort);
    all.done().await;
    nanos_each(start, size)
}

async fn fan_out(size: usize) -> Option<Vec<f64>> {
    let (all, ready) = (Countdown::new(size), Countdown::new(size));
    let watcher = |_| {
        let (pending, up) = (all.pending(), ready.pending());
        let (sender, mut receiver) = mpsc::unbounded_channel::<[u8; 8]>();
        tokio::spawn(async move {
            drop(up);
            receiver.recv().await;
            drop(pending);
        });
        sender
    };
    let watchers: Vec<_> = (0..size).map(watcher).collect();
    ready.done().await;
    let start = Instant::now();
    for watcher in watchers {
        let _ = watcher.send([0; 8]);
    }
    all.done().await;
    nanos_each(start, size)
}

fn timers(size: usize) -> Option<Vec<f64>> {
    let (sender, _receiver) = mpsc::unbounded_channel::<[u8; 8]>();
    let start = Instant::now();
    let timer = |n: usize| {
        let sender = sender.clone();
        tokio::spawn(async move {
            tokio::time::sleep(DELAY).await;
            let _ = sender.send(n.to_le_bytes());
        })
    };
    let timers: Vec<_> = (0..size).map(timer).collect();
    timers.iter().for_each(JoinHandle::abort);
    nanos_each(start, size)
}
