//! A watcher task beside each child spawns it again after a panic, and stops it within five seconds.

use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot};

use super::{Request, Server, spawn_server};
use crate::support::nanos_each;

/// A request to stop the child, answered when it has stopped.
type Stop = oneshot::Sender<()>;

async fn watcher(stopped: oneshot::Receiver<Stop>, up: mpsc::UnboundedSender<Server>) {
    let (mut server, mut child) = spawn_server();
    let _ = up.send(server.clone());
    let mut stopped = std::pin::pin!(stopped);
    let request = loop {
        tokio::select! {
            request = &mut stopped => break request,
            ended = &mut child => {
                if ended.is_ok() {
                    return;
                }
                (server, child) = spawn_server();
                let _ = up.send(server.clone());
            }
        }
    };
    // The last sender: the loop of the child ends.
    drop(server);
    if tokio::time::timeout(Duration::from_secs(5), &mut child).await.is_err() {
        child.abort();
    }
    if let Ok(done) = request {
        let _ = done.send(());
    }
}

async fn start_child() -> oneshot::Sender<Stop> {
    let (stop, stopped) = oneshot::channel();
    let (up, mut is_up) = mpsc::unbounded_channel();
    tokio::spawn(watcher(stopped, up));
    is_up.recv().await;
    stop
}

pub(super) async fn children(row: &str, size: usize) -> Option<Vec<f64>> {
    let mut children = Vec::with_capacity(size);
    let start = Instant::now();
    for _ in 0..size {
        children.push(start_child().await);
    }
    let started = nanos_each(start, size);
    if row == "start" {
        return started;
    }
    let start = Instant::now();
    let mut ends = Vec::new();
    for child in children {
        let (done, is_done) = oneshot::channel();
        let _ = child.send(done);
        if row == "terminate" {
            is_done.await.ok()?;
        } else {
            ends.push(is_done);
        }
    }
    for end in ends {
        end.await.ok()?;
    }
    nanos_each(start, size)
}

pub(super) async fn restart(size: usize) -> Option<Vec<f64>> {
    let (_stop, stopped) = oneshot::channel();
    let (up, mut is_up) = mpsc::unbounded_channel();
    tokio::spawn(watcher(stopped, up));
    let mut server = is_up.recv().await?;
    let start = Instant::now();
    for _ in 0..size {
        let _ = server.send(Request::Fail);
        server = is_up.recv().await?;
    }
    nanos_each(start, size)
}
