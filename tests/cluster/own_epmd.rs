//! Nodes that answer as EPMD, with nodes of this crate, nodes of Erlang and raw sockets as clients.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use regrow::cluster::{Cookie, Node, NodeError, Resolver};
use regrow::{Runtime, Supervisor, SupervisorRef};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::beam::{Beam, COOKIE, Epmd};

/// A port that no program has. It is below the ports that the operating system gives to connections,
/// so none of these takes it while no own EPMD has it.
fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let first = 20_000 + std::process::id() % 10_000;
    let ports = std::iter::repeat_with(|| {
        let at = first + u32::from(NEXT.fetch_add(1, Ordering::Relaxed));
        u16::try_from(20_000 + at % 10_000).unwrap()
    });
    let is_free = |port: &u16| std::net::TcpListener::bind(("127.0.0.1", *port)).is_ok();
    ports.take(1_000).find(is_free).expect("one of a thousand ports is free")
}

async fn start(name: &str, port: u16) -> (Runtime, SupervisorRef) {
    let resolver = Resolver::epmd_at(port).with_own_epmd();
    let node = Node::new(name).cookie(Cookie::new(COOKIE)).resolver(resolver);
    let rt = Runtime::new();
    let tree = Supervisor::one_for_one().child(node).start(&rt).await.unwrap();
    (rt, tree)
}

/// Sends a request, and returns the whole reply.
async fn ask(port: u16, request: &[u8]) -> Vec<u8> {
    try_ask(port, request).await.unwrap()
}

/// Sends a request, and returns the reply, which is short if the EPMD ends meanwhile.
async fn try_ask(port: u16, request: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
    stream.write_all(request).await?;
    let mut reply = Vec::new();
    let _ = stream.read_to_end(&mut reply).await;
    Ok(reply)
}

async fn names(port: u16) -> Vec<String> {
    try_names(port).await.expect("an EPMD answers")
}

/// Returns the names; `None` if no EPMD answers, or it ends meanwhile.
async fn try_names(port: u16) -> Option<Vec<String>> {
    let reply = try_ask(port, b"\x00\x01n").await.ok()?;
    let (own, names) = reply.split_first_chunk()?;
    assert_eq!(*own, u32::from(port).to_be_bytes());
    let text = std::str::from_utf8(names).unwrap();
    let mut names: Vec<_> =
        text.lines().map(|line| line.split(' ').nth(1).unwrap().to_owned()).collect();
    names.sort();
    Some(names)
}

#[tokio::test]
async fn two_programs_without_epmd_find_each_other_and_use_the_first_one() {
    let port = free_port();
    let (a, first) = start("a@127.0.0.1", port).await;
    let (b, second) = start("b@127.0.0.1", port).await;
    assert_eq!(names(port).await, ["a", "b"]);
    a.node("b@127.0.0.1").connect().await.unwrap();
    let error = b.node("c@127.0.0.1").connect().await.unwrap_err();
    assert!(matches!(error, NodeError::Unknown(_)), "{error:?}");

    // The second one answers when the first one has ended, and is registered with itself.
    first.stop().await.unwrap();
    let taken = async {
        loop {
            if try_names(port).await.is_some_and(|names| names == ["b"]) {
                break;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), taken).await.unwrap();
    let (_c, _third) = start("c@127.0.0.1", port).await;
    b.node("c@127.0.0.1").connect().await.unwrap();
    second.stop().await.unwrap();
}

#[tokio::test]
async fn a_name_is_registered_once_and_free_when_its_node_has_ended() {
    let port = free_port();
    let (_a, _tree) = start("a@127.0.0.1", port).await;
    let rt = Runtime::new();
    let resolver = Resolver::epmd_at(port);
    let same = Node::new("a@127.0.0.1").cookie(Cookie::new(COOKIE)).resolver(resolver);
    let error = Supervisor::one_for_one().child(same).start(&rt).await.unwrap_err();
    let text = format!("{:#}", regrow::ExitReason::from(error));
    assert!(text.contains("registered already"), "{text}");
    let (b, tree) = start("b@127.0.0.1", port).await;
    tree.stop().await.unwrap();
    drop(b);
    while names(port).await != ["a"] {}
    let (_b, _tree) = start("b@127.0.0.1", port).await;
}

#[tokio::test]
async fn requests_that_mean_nothing_are_closed_and_nothing_ends() {
    let port = free_port();
    let (_a, _tree) = start("a@127.0.0.1", port).await;
    // A kill, a stop, a dump, nonsense, a request that is too long.
    for request in [
        &b"\x00\x01k"[..],
        b"\x00\x02sa",
        b"\x00\x01d",
        b"\x00\x00",
        b"\xff\xff",
        b"\x00\x03z\xff\xff",
    ] {
        assert_eq!(ask(port, request).await, b"", "{request:?}");
    }
    assert_eq!(ask(port, b"\x00\x02zx").await, b"\x77\x01");
    assert!(ask(port, b"\x00\x02za").await.starts_with(b"\x77\x00"));
    // A node that registers and ends before it reads the reply.
    for _ in 0..50 {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.unwrap();
        stream
            .write_all(b"\x00\x0e\x78\x12\x34H\x00\x00\x06\x00\x06\x00\x01q\x00\x00")
            .await
            .unwrap();
    }
    while names(port).await != ["a"] {}
}

#[tokio::test]
async fn a_beam_registers_and_finds_nodes_by_name() {
    if Epmd::start().await.is_none() {
        return;
    }
    let port = free_port();
    let (rt, _tree) = start("rust@127.0.0.1", port).await;
    let mut beam = Beam::start(&Epmd::at(port), "beam@127.0.0.1", COOKIE).await;
    let found =
        beam.eval("{ok, Names} = net_adm:names('127.0.0.1'), lists:sort([N || {N, _} <- Names])");
    assert_eq!(found.await, "[\"beam\",\"rust\"]");
    assert_eq!(beam.eval("net_adm:ping('rust@127.0.0.1')").await, "pong");
    assert_eq!(beam.eval("erlang:disconnect_node('rust@127.0.0.1')").await, "true");
    // Until this node has noticed that, it is connected.
    let there = rt.node("beam@127.0.0.1");
    while there.is_connected().await {}
    while there.connect().await.is_err() {}
    beam.until("nodes(hidden)", "['rust@127.0.0.1']").await;
    beam.process.kill().await.unwrap();
    while names(port).await != ["rust"] {}
}

/// An EPMD of Erlang that has the port is used.
#[tokio::test]
async fn an_epmd_that_runs_is_used() {
    let Some(epmd) = Epmd::start().await else { return };
    let (_rt, _tree) = start("rust@127.0.0.1", epmd.port).await;
    assert_eq!(names(epmd.port).await, ["rust"]);
}

/// The own EPMD listens on this machine only, as its node does.
#[tokio::test]
async fn an_own_epmd_listens_where_its_node_does() {
    let port = free_port();
    let (_a, _tree) = start("a@127.0.0.1", port).await;
    // Another address of this machine's loopback is free.
    let other: SocketAddr = (Ipv4Addr::new(127, 0, 0, 2), port).into();
    drop(std::net::TcpListener::bind(other).unwrap());
}
