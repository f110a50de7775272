//! Listeners and connecting children on Unix sockets, and the file of a socket.

use crate::support;

use std::fs;
use std::io::ErrorKind;
use std::path::PathBuf;

use regrow::{ChildSpec, Keep, Result, Runtime, TaskContext};
use support::{assert_nothing_left, killed};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::mpsc::unbounded_channel;

use crate::listener::{acceptor, one};

/// A path of a socket for one test, without a file.
fn path(test: &str) -> PathBuf {
    let path = std::env::temp_dir().join(format!("regrow-{test}-{}", std::process::id()));
    let _ = fs::remove_file(&path);
    path
}

async fn greet(_: TaskContext, mut stream: UnixStream) -> Result {
    stream.write_all(b"hello").await?;
    Ok(())
}

async fn is_greeted(path: &PathBuf) {
    let mut text = String::new();
    let mut client = UnixStream::connect(path).await.unwrap();
    client.read_to_string(&mut text).await.unwrap();
    assert_eq!(text, "hello");
}

#[tokio::test]
async fn the_file_of_a_socket_outlives_a_crash_and_is_removed_at_a_stop() {
    let (rt, path) = (Runtime::new(), path("stop"));
    let listener = ChildSpec::unix_listener("greeter", &path, greet).named("listener");
    let tree = one(listener).start(&rt).await.unwrap();
    is_greeted(&path).await;
    killed(&rt, acceptor(&rt).await).await;
    is_greeted(&path).await;
    tree.stop().await.unwrap();
    assert!(!path.exists());
    assert_nothing_left(&rt).await;
}

#[tokio::test]
async fn a_left_over_file_is_removed_and_any_other_file_is_kept() {
    let (rt, path) = (Runtime::new(), path("left-over"));
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    assert!(path.exists());
    let listener = ChildSpec::unix_listener("greeter", &path, greet);
    let tree = one(listener.clone()).start(&rt).await.unwrap();
    is_greeted(&path).await;

    // A socket on which a process listens.
    let error = one(ChildSpec::unix_listener("second", &path, greet)).start(&rt).await;
    let mut cause: &dyn std::error::Error = &error.unwrap_err();
    while let Some(next) = cause.source() {
        cause = next;
    }
    let error = cause.downcast_ref::<std::io::Error>().unwrap();
    assert_eq!(error.kind(), ErrorKind::AddrInUse);
    is_greeted(&path).await;
    tree.stop().await.unwrap();

    // A file that is no socket.
    fs::write(&path, "data").unwrap();
    assert!(one(listener).start(&rt).await.is_err());
    assert_eq!(fs::read_to_string(&path).unwrap(), "data");
    fs::remove_file(&path).unwrap();
}

#[tokio::test]
async fn a_listener_removes_no_file_that_another_one_has_put_there() {
    let (rt, path) = (Runtime::new(), path("replaced"));
    let tree = one(ChildSpec::unix_listener("greeter", &path, greet)).start(&rt).await.unwrap();
    fs::remove_file(&path).unwrap();
    let other = UnixListener::bind(&path).unwrap();
    tree.stop().await.unwrap();
    assert!(path.exists());
    drop(other);
    fs::remove_file(&path).unwrap();
}

#[tokio::test]
async fn a_unix_connection_may_be_any_child_and_the_limit_applies() {
    let (rt, path) = (Runtime::new(), path("limit"));
    let port = Keep::of(UnixListener::bind(&path).unwrap());
    let listener = ChildSpec::unix_listener_with("greeter", port, |stream| {
        ChildSpec::once_with("one", stream, |_, mut stream: UnixStream| async move {
            stream.write_all(b"h").await?;
            std::future::pending().await
        })
    });
    let listener = listener.max_connections(1).refuse_with("full");
    let tree = one(listener).start(&rt).await.unwrap();
    let mut first = UnixStream::connect(&path).await.unwrap();
    first.read_exact(&mut [0]).await.unwrap();
    let mut text = String::new();
    let mut second = UnixStream::connect(&path).await.unwrap();
    second.read_to_string(&mut text).await.unwrap();
    assert_eq!(text, "full");
    tree.stop().await.unwrap();
    fs::remove_file(&path).unwrap();
}

#[tokio::test]
async fn a_child_connects_to_a_unix_socket() {
    let (rt, path) = (Runtime::new(), path("connect"));
    let (sender, mut receiver) = unbounded_channel();
    let client = ChildSpec::connect_unix("client", &path, |_, mut stream| async move {
        let mut text = String::new();
        stream.read_to_string(&mut text).await?;
        sender.send(text)?;
        std::future::pending().await
    });
    let server = ChildSpec::unix_listener("greeter", &path, greet);
    let tree = one(server).child(client).start(&rt).await.unwrap();
    assert_eq!(receiver.recv().await.as_deref(), Some("hello"));
    tree.stop().await.unwrap();
}
