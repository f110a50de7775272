//! Existing servers as children: drain, errors, and the shutdown signal.

use crate::support;

use std::future::{IntoFuture, Ready, ready};
use std::io;
use std::sync::Arc;
use std::time::Duration;

use regrow::{ChildSpec, ExitReason, Result, Runtime, Shutdown, ShutdownSignal, Supervisor};
use support::OnDrop;
use support::kinds::only_end;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::task::JoinSet;

/// Echoes lines. After the shutdown signal it accepts no more connections, and serves the open ones
/// to their end, as the servers of well-known crates do.
async fn echo(
    port: Arc<TcpListener>,
    shutdown: ShutdownSignal,
    accepted: UnboundedSender<&'static str>,
) -> io::Result<()> {
    let mut shutdown = std::pin::pin!(shutdown);
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            () = &mut shutdown => break,
            client = port.accept() => {
                let (mut client, _) = client?;
                accepted.send("accepted").ok();
                connections.spawn(async move {
                    let (mut from, mut to) = client.split();
                    tokio::io::copy(&mut from, &mut to).await.ok();
                });
            }
        }
    }
    accepted.send("draining").ok();
    while connections.join_next().await.is_some() {}
    Ok(())
}

/// SHU-001: connections that are open when the stop comes are served to their end.
#[tokio::test]
async fn open_connections_are_drained_at_a_stop() {
    let rt = Runtime::new();
    let port = Arc::new(TcpListener::bind("127.0.0.1:0").await.unwrap());
    let address = port.local_addr().unwrap();
    let (say, mut said) = unbounded_channel();
    let server = ChildSpec::serve("echo", move |shutdown| echo(port, shutdown, say));
    let server = server.shutdown(Shutdown::Infinity);
    let tree = Supervisor::one_for_one().child(server).start(&rt).await.unwrap();
    let mut client = TcpStream::connect(address).await.unwrap();
    assert_eq!(said.recv().await, Some("accepted"));
    let pid = tree.which_child("echo").await.unwrap().pid().unwrap();
    let (ended, stopped) = (rt.ended(pid), tokio::spawn(async move { tree.stop().await }));
    assert_eq!(said.recv().await, Some("draining"));
    client.write_all(b"late").await.unwrap();
    client.shutdown().await.unwrap();
    let mut text = String::new();
    client.read_to_string(&mut text).await.unwrap();
    assert_eq!(text, "late");
    stopped.await.unwrap().unwrap();
    assert_eq!(ended.await, ExitReason::Shutdown);
}

/// SHU-003: connections that are not drained in time are dropped.
#[tokio::test(start_paused = true)]
async fn a_drain_that_exceeds_the_shutdown_time_is_dropped() {
    let rt = Runtime::new();
    let (say, mut said) = unbounded_channel();
    let server = ChildSpec::serve("slow", move |shutdown| async move {
        let dropped = say.clone();
        let _connection = OnDrop::new(move || dropped.send("dropped").unwrap());
        shutdown.await;
        say.send("draining").unwrap();
        std::future::pending::<Result>().await
    });
    let server = server.shutdown(Shutdown::Timeout(Duration::from_secs(30)));
    let tree = Supervisor::one_for_one().child(server).start(&rt).await.unwrap();
    support::settled().await;
    let begin = tokio::time::Instant::now();
    tree.stop().await.unwrap();
    assert_eq!(begin.elapsed(), Duration::from_secs(30));
    assert_eq!((said.try_recv(), said.try_recv()), (Ok("draining"), Ok("dropped")));
}

/// The error of a server keeps its type, and is reported without a location in regrow's own source.
#[tokio::test]
async fn the_error_of_a_serve_child_keeps_its_type() {
    let rt = Runtime::new();
    let plain = ChildSpec::serve("plain", |_| async { Err(io::Error::other("no port")) });
    let reason = only_end(&rt, plain).await;
    let crash = reason.crash().unwrap();
    assert_eq!(crash.downcast_ref::<io::Error>().unwrap().to_string(), "no port");
    assert_eq!(crash.location(), None);

    let line = line!() + 2;
    let ours = ChildSpec::serve("ours", |_| async {
        "x".parse::<u8>()?;
        Ok::<_, ExitReason>(())
    });
    let reason = only_end(&rt, ours).await;
    assert_eq!(reason.crash().unwrap().location().unwrap().line(), line);

    let own = ChildSpec::serve("own", |_| async { Err(ExitReason::shutdown_with("moved")) });
    assert_eq!(only_end(&rt, own).await, ExitReason::shutdown_with("moved"));
}

/// Many servers are not futures, but types that convert into one.
#[tokio::test]
async fn serve_accepts_every_into_future() {
    struct Builder;
    impl IntoFuture for Builder {
        type Output = io::Result<()>;
        type IntoFuture = Ready<io::Result<()>>;
        fn into_future(self) -> Self::IntoFuture {
            ready(Ok(()))
        }
    }
    let rt = Runtime::new();
    let server = ChildSpec::serve("builder", |_| Builder);
    assert_eq!(only_end(&rt, server).await, ExitReason::Normal);
}

/// The signal and its clones resolve when the child is stopped or killed. The token resolves at the
/// end of the child at the latest.
#[tokio::test]
async fn the_shutdown_signal_and_its_token_resolve_at_the_end() {
    let rt = Runtime::new();
    let (say, mut said) = unbounded_channel();
    let server = ChildSpec::serve("server", move |shutdown: ShutdownSignal| {
        say.send((shutdown.clone(), shutdown.cancellation_token())).unwrap();
        std::future::pending::<Result>()
    });
    let tree = Supervisor::one_for_one().child(server).start(&rt).await.unwrap();
    let (signal, token) = said.recv().await.unwrap();
    assert!(!token.is_cancelled());
    let pid = tree.which_child("server").await.unwrap().pid().unwrap();
    rt.kill(pid);
    token.cancelled().await;
    signal.clone().await;
    signal.await;
    let (_, next) = said.recv().await.unwrap();
    assert!(!next.is_cancelled(), "each incarnation has its own");
    next.cancel(); // this stops nothing else
    assert_eq!(tree.count_children().await.unwrap().active, 1);
    assert_eq!(said.try_recv().err(), Some(tokio::sync::mpsc::error::TryRecvError::Empty));
}
