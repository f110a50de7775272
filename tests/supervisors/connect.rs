//! Children that connect: the time limit, the restart after a lost connection, and the stop.

use crate::support;

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::Duration;

use regrow::{Backoff, ChildSpec, ConnectError, ExitReason, Result, Runtime, TaskContext};
use support::assert_nothing_left;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::listener::one;

const LOCAL: &str = "127.0.0.1:0";

fn soon() -> Backoff {
    Backoff::new().first(Duration::from_millis(1)).max(Duration::from_millis(5))
}

/// Says hello, and ends when the other side does.
async fn session(_: TaskContext, mut stream: TcpStream) -> Result {
    stream.write_all(b"hello").await?;
    tokio::io::copy(&mut stream, &mut tokio::io::sink()).await?;
    Ok(())
}

async fn hello(server: &TcpListener) -> TcpStream {
    let (mut stream, _) = server.accept().await.unwrap();
    let mut text = [0; 5];
    stream.read_exact(&mut text).await.unwrap();
    assert_eq!(&text, b"hello");
    stream
}

#[tokio::test]
async fn a_lost_connection_is_connected_again_more_often_than_a_budget_allows() {
    let rt = Runtime::new();
    let server = TcpListener::bind(LOCAL).await.unwrap();
    let client = ChildSpec::connect("client", server.local_addr().unwrap(), session);
    let tree = one(client.backoff(soon()).nodelay(true)).start(&rt).await.unwrap();
    for _ in 0..10 {
        drop(hello(&server).await);
    }
    let _stream = hello(&server).await;
    assert_eq!(tree.which_children().await.unwrap()[0].restarts, 10);
    tree.stop().await.unwrap();
    assert_nothing_left(&rt).await;
}

#[tokio::test]
async fn a_tree_starts_while_the_other_program_is_down_and_its_health_says_so() {
    let rt = Runtime::new();
    let server = TcpListener::bind("localhost:0").await.unwrap();
    let address = server.local_addr().unwrap();
    drop(server);
    let client = ChildSpec::connect("client", address, session).backoff(soon());
    let tree = one(client).named("app").start(&rt).await.unwrap();
    assert!(!tree.tree().await.unwrap().health().is_serving());
    let previous = loop {
        tokio::task::yield_now().await;
        let child = tree.which_children().await.unwrap().remove(0);
        if let Some(last) = child.history.last() {
            break last.reason.clone();
        }
    };
    let error = previous.crash().unwrap().downcast_ref::<ConnectError>().unwrap();
    let text = "can't be connected to: see that it runs and listens there";
    assert_eq!(error.to_string(), format!("{address} {text}"));
    assert_eq!(error.source.kind(), ErrorKind::ConnectionRefused);

    let server = TcpListener::bind(address).await.unwrap();
    let _stream = hello(&server).await;
    assert!(tree.tree().await.unwrap().health().is_serving());
    tree.stop().await.unwrap();
}

#[tokio::test]
async fn a_start_can_wait_for_the_connection() {
    let rt = Runtime::new();
    let server = TcpListener::bind(LOCAL).await.unwrap();
    let address = server.local_addr().unwrap();
    let client = ChildSpec::connect("client", ("localhost", address.port()), session);
    let tree = one(client.ready_within(Duration::from_secs(60)));
    let (tree, _stream) = tokio::join!(tree.start(&rt), hello(&server));
    let tree = tree.unwrap();
    assert!(tree.tree().await.unwrap().health().is_serving());
    tree.stop().await.unwrap();

    drop(server);
    let client = ChildSpec::connect("client", address, session);
    let error = one(client.ready_within(Duration::MAX)).start(&rt).await.unwrap_err();
    assert!(error.to_string().contains("client"), "{error}");
}

/// With a backlog of 0, Linux queues one client, and answers no other.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_connect_that_takes_too_long_is_an_error_of_its_own_kind() {
    let rt = Runtime::new();
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind(LOCAL.parse().unwrap()).unwrap();
    let server = socket.listen(0).unwrap();
    let address = server.local_addr().unwrap();
    let _queued = TcpStream::connect(address).await.unwrap();
    let client = ChildSpec::connect("client", address, session);
    let client = client.connect_timeout(Duration::from_millis(20));
    let error = one(client.ready_within(Duration::MAX)).start(&rt).await.unwrap_err();
    let mut cause: &dyn std::error::Error = &error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    let error = cause.downcast_ref::<std::io::Error>().unwrap();
    let text = "no connection within 20ms";
    assert_eq!((error.kind(), &*error.to_string()), (ErrorKind::TimedOut, text));
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn an_address_that_never_answers_leaves_time_for_the_next_one() {
    let rt = Runtime::new();
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind(LOCAL.parse().unwrap()).unwrap();
    let silent = socket.listen(0).unwrap();
    let _queued = TcpStream::connect(silent.local_addr().unwrap()).await.unwrap();
    let server = TcpListener::bind(LOCAL).await.unwrap();
    let both = [silent.local_addr().unwrap(), server.local_addr().unwrap()];
    let addresses: &'static [SocketAddr] = Box::leak(Box::new(both));
    let client = ChildSpec::connect("client", addresses, session);
    let client = client.connect_timeout(Duration::from_millis(200)).backoff(soon());
    let tree = one(client).start(&rt).await.unwrap();
    let _stream = hello(&server).await;
    tree.stop().await.unwrap();
}

#[tokio::test]
async fn a_function_sees_the_stop_and_has_its_shutdown_time() {
    let rt = Runtime::new();
    let server = TcpListener::bind(LOCAL).await.unwrap();
    let address = server.local_addr().unwrap();
    let client = ChildSpec::connect("client", address, |mut ctx, mut stream| async move {
        stream.write_all(b"hello").await?;
        ctx.shutdown().await;
        stream.write_all(b"bye").await?;
        Ok(())
    });
    let tree = one(client).start(&rt).await.unwrap();
    let mut stream = hello(&server).await;
    assert_eq!(tree.stop().await.unwrap(), ExitReason::Shutdown);
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    assert_eq!(text, "bye");
}
