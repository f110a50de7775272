//! Many connections of programs that don't know the cookie: they say nothing, or give names of nodes.
//! They keep no node out, end no connection, leave nothing, and don't fill the log.

use std::time::{Duration, Instant};

use regrow::NodeChange;

use super::hostile::assert_works;
use crate::beam::COOKIE;
use crate::fake::Fake;
use crate::log::Log;
use crate::pairs::{Running, node, start};

/// The handshakes that may be under way at once.
const MOST: usize = 128;

/// A node whose handshakes end by other rules than their time.
async fn patient() -> Running {
    start(node("a@127.0.0.1").handshake_timeout(Duration::from_secs(3_600))).await
}

/// Opens connections that give this name, and wait for their challenge without an answer.
async fn claims(a: &Running, name: &str, count: usize) -> Vec<Fake> {
    let mut open = Vec::new();
    for _ in 0..count {
        let mut peer = Fake::connect(a.address).await;
        peer.introduce(name).await;
        open.push(peer);
    }
    open
}

/// A node needs three steps, and the flood goes on between them.
async fn joins_slowly(a: &Running, name: &str, flood: &mut Vec<Fake>, claimed: &str) {
    let mut peer = Fake::connect(a.address).await;
    flood.extend(claims(a, claimed, MOST / 4).await);
    let status = peer.introduce(name).await;
    flood.extend(claims(a, claimed, MOST / 4).await);
    if status == "alive" {
        peer.message(b"strue").await;
    }
    let challenge = peer.challenge().await;
    peer.answer(challenge, COOKIE).await;
    assert!(peer.read_message().await.is_some(), "{name} is kept out");
    peer.ask().await;
    assert!(peer.is_answered().await);
}

/// The flood claims a name that no node has, the name of a node that is connected, and the name of
/// the node that connects.
#[tokio::test]
async fn names_without_the_cookie_keep_no_node_out_and_end_no_connection() {
    let mut a = patient().await;
    let (mut known, _) = Fake::join(a.address, "known@reader").await;
    a.expect("known@reader", &[NodeChange::Up]).await;
    for claimed in ["nobody@reader", "known@reader", "new@reader"] {
        let mut flood = claims(&a, claimed, 2 * MOST).await;
        joins_slowly(&a, "new@reader", &mut flood, claimed).await;
        a.expect("new@reader", &[NodeChange::Up, NodeChange::Down]).await;
        known.ask().await;
        assert!(known.is_answered().await);
    }
}

/// Each connection gives another name.
#[tokio::test]
async fn names_without_end_leave_nothing() {
    let a = start(node("a@127.0.0.1")).await;
    assert_works(&a).await;
    while !a.rt.connected_nodes().await.is_empty() {}
    let before = a.rt.leftovers();
    let mut flood = Vec::new();
    for number in 0..1_000 {
        flood.extend(claims(&a, &format!("node{number}@reader"), 1).await);
    }
    drop(flood);
    let gone = async {
        while a.rt.leftovers() != before {
            tokio::task::yield_now().await;
        }
    };
    let gone = tokio::time::timeout(Duration::from_secs(60), gone).await;
    assert!(gone.is_ok(), "{:?} {before:?}", a.rt.leftovers());
    assert_works(&a).await;
}

/// At most ten lines in a second, at the levels that are on by default.
#[tokio::test]
async fn refused_connections_do_not_fill_the_log() {
    let a = start(node("a@127.0.0.1")).await;
    let (log, begin) = (Log::listen(), Instant::now());
    for number in 0..1_000 {
        let mut liar = Fake::connect(a.address).await;
        liar.introduce(&format!("node{number}@reader")).await;
        let challenge = liar.challenge().await;
        liar.answer(challenge, "guessed").await;
        liar.closed().await;
    }
    let lines = log.take();
    let lines = lines.iter().filter(|line| line.level <= tracing::Level::INFO);
    let most = 10 * (usize::try_from(begin.elapsed().as_secs()).unwrap() + 1);
    let count = lines.inspect(|line| assert_eq!(line.message, "connection refused")).count();
    assert!((1..=most).contains(&count), "{count} lines, at most {most}");
}

/// More sockets than handshakes may be under way, and nothing comes from them.
#[tokio::test]
async fn sockets_that_say_nothing_keep_no_node_out() {
    let a = patient().await;
    let mut idle = Vec::new();
    for _ in 0..200 {
        idle.push(Fake::connect(a.address).await);
    }
    assert_works(&a).await;
    idle[0].closed().await;
    // Those that have given a name keep no node out either.
    for peer in &mut idle[100..] {
        peer.introduce("idle@reader").await;
    }
    for _ in 0..30 {
        let mut peer = Fake::connect(a.address).await;
        peer.introduce("idle@reader").await;
        idle.push(peer);
    }
    assert_works(&a).await;
}
