//! Two nodes of this crate, and nodes of this crate with peers of raw sockets.

use std::net::SocketAddr;
use std::time::Duration;

use regrow::cluster::{Cookie, HandshakeError, Node, NodeError, Resolver};
use regrow::{NodeChange, ProcessHandle, Received, Runtime, Supervisor, SupervisorRef};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::task::JoinHandle;

use crate::beam::COOKIE;
use crate::fake::Fake;

/// A node that runs, the address it listens at, and the changes that a subscriber receives.
pub(crate) struct Running {
    pub(crate) rt: Runtime,
    pub(crate) tree: SupervisorRef,
    pub(crate) address: SocketAddr,
    changes: UnboundedReceiver<(String, NodeChange)>,
}

impl Running {
    pub(crate) async fn change(&mut self) -> (String, NodeChange) {
        self.changes.recv().await.unwrap()
    }

    pub(crate) async fn expect(&mut self, node: &str, changes: &[NodeChange]) {
        for change in changes {
            assert_eq!(self.change().await, (node.to_owned(), *change));
        }
    }

    /// Whether no change has been reported.
    #[cfg(feature = "cluster-tls")]
    pub(crate) fn is_unchanged(&mut self) -> bool {
        self.changes.try_recv().is_err()
    }
}

/// Subscribes a process to the connections of a node.
pub(crate) fn subscribe(rt: &Runtime) -> (ProcessHandle, UnboundedReceiver<(String, NodeChange)>) {
    let (sender, changes) = unbounded_channel();
    let watcher = rt.spawn(|mut ctx| async move {
        loop {
            if let Received::Node { node, change } = ctx.recv().await {
                let _ = sender.send((node.to_string(), change));
            }
        }
    });
    assert!(rt.monitor_nodes(watcher.pid()));
    (watcher, changes)
}

/// A node that finds others by fixed addresses only.
pub(crate) fn node(name: &str) -> Node {
    Node::new(name).cookie(Cookie::new(COOKIE)).resolver(Resolver::without_epmd())
}

pub(crate) async fn start(node: Node) -> Running {
    try_start(node).await.expect("the node listens")
}

async fn try_start(node: Node) -> Option<Running> {
    let (rt, address) = (Runtime::new(), node.address());
    let (_, changes) = subscribe(&rt);
    let tree = Supervisor::one_for_one().child(node).start(&rt).await.ok()?;
    Some(Running { tree, address: address.get()?, rt, changes })
}

/// Two nodes, each of which knows the address of the other.
async fn pair(first: &str, second: &str) -> (Running, Running) {
    pair_with(first, second, |node| node).await
}

pub(crate) async fn pair_with(
    first: &str,
    second: &str,
    set: impl Fn(Node) -> Node,
) -> (Running, Running) {
    let free = || std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let resolver = |name, address| Resolver::without_epmd().node(name, address);
    // Another program may take a port before the node listens at it.
    for _ in 0..10 {
        let (at, to) = (free(), free());
        let one = set(node(first).listen(at).resolver(resolver(second, to)));
        let two = set(node(second).listen(to).resolver(resolver(first, at)));
        if let (Some(one), Some(two)) = (try_start(one).await, try_start(two).await) {
            return (one, two);
        }
    }
    panic!("the nodes don't start");
}

#[tokio::test]
async fn two_nodes_connect_lose_each_other_and_connect_again() {
    let (mut a, mut b) = pair("a@127.0.0.1", "b@127.0.0.1").await;
    let there = a.rt.node("b@127.0.0.1");
    for _ in 0..3 {
        there.connect().await.unwrap();
        assert!(there.is_connected().await);
        a.expect("b@127.0.0.1", &[NodeChange::Up]).await;
        b.expect("a@127.0.0.1", &[NodeChange::Up]).await;
        assert_eq!(b.rt.connected_nodes().await, ["a@127.0.0.1"]);
        b.rt.node("a@127.0.0.1").connect().await.unwrap(); // the same connection
        assert!(there.disconnect().await);
        a.expect("b@127.0.0.1", &[NodeChange::Down]).await;
        b.expect("a@127.0.0.1", &[NodeChange::Down]).await;
        assert!(!there.is_connected().await && !there.disconnect().await);
    }
    b.tree.stop().await.unwrap();
    let error = there.connect().await.unwrap_err();
    assert!(matches!(error, NodeError::Unreachable { .. }), "{error:?}");
}

#[tokio::test]
async fn times_without_an_end_are_no_limits() {
    let endless = |node: Node| node.tick_time(Duration::MAX).handshake_timeout(Duration::MAX);
    let mut b = start(endless(node("b@127.0.0.1"))).await;
    let resolver = Resolver::without_epmd().node("b@127.0.0.1", b.address);
    let a = start(endless(node("a@127.0.0.1")).resolver(resolver)).await;
    a.rt.node("b@127.0.0.1").connect().await.unwrap();
    b.expect("a@127.0.0.1", &[NodeChange::Up]).await;
}

/// Either may have the greater name, and each may begin.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_nodes_that_connect_at_once_have_one_connection() {
    let (mut a, mut b) = pair("a@127.0.0.1", "b@127.0.0.1").await;
    let (to_b, to_a) = (a.rt.node("b@127.0.0.1"), b.rt.node("a@127.0.0.1"));
    for round in 0..100 {
        let (one, two) = tokio::join!(to_b.connect(), to_a.connect());
        assert!(one.is_ok() && two.is_ok(), "round {round}: {one:?} {two:?}");
        a.expect("b@127.0.0.1", &[NodeChange::Up]).await;
        b.expect("a@127.0.0.1", &[NodeChange::Up]).await;
        assert!(to_b.disconnect().await);
        a.expect("b@127.0.0.1", &[NodeChange::Down]).await;
        b.expect("a@127.0.0.1", &[NodeChange::Down]).await;
    }
}

#[tokio::test]
async fn a_node_is_connected_to_itself_and_to_no_unknown_one() {
    let a = start(node("a@127.0.0.1")).await;
    a.rt.node("a@127.0.0.1").connect().await.unwrap();
    let error = a.rt.node("b@127.0.0.1").connect().await.unwrap_err();
    assert!(matches!(error, NodeError::Unknown(_)), "{error:?}");
    let error = a.rt.node("nonsense").connect().await.unwrap_err();
    assert!(matches!(error, NodeError::InvalidName(_)), "{error:?}");
}

#[tokio::test]
async fn nodes_with_other_cookies_or_names_refuse_each_other() {
    let mut b = start(node("b@127.0.0.1").cookie(Cookie::new("another"))).await;
    let resolver = Resolver::without_epmd();
    let resolver = resolver.node("b@127.0.0.1", b.address).node("c@127.0.0.1", b.address);
    let a = start(node("a@127.0.0.1").resolver(resolver)).await;
    let error = a.rt.node("b@127.0.0.1").connect().await.unwrap_err();
    assert!(matches!(error, NodeError::Handshake(HandshakeError::Closed)), "{error:?}");
    let error = a.rt.node("c@127.0.0.1").connect().await.unwrap_err();
    let other = HandshakeError::OtherName("b@127.0.0.1".into());
    assert!(matches!(&error, NodeError::Handshake(error) if *error == other), "{error:?}");
    b.changes.close();
    assert_eq!(b.changes.recv().await, None);
}

/// An empty cookie would let in everyone that has none.
#[tokio::test]
async fn a_node_without_a_cookie_or_with_an_empty_one_is_not_started() {
    let without = Node::new("a@127.0.0.1").resolver(Resolver::without_epmd());
    for node in [without, node("a@127.0.0.1").cookie(Cookie::new(""))] {
        let rt = Runtime::new();
        let error = Supervisor::one_for_one().child(node).start(&rt).await.unwrap_err();
        let text = format!("{:#}", regrow::ExitReason::from(error));
        assert!(text.contains("the node has no cookie"), "{text}");
    }
}

/// The processes of a program go on while its node is restarted.
#[tokio::test]
async fn a_node_that_crashes_is_started_again_at_its_port() {
    let (mut a, mut b) = pair("a@127.0.0.1", "b@127.0.0.1").await;
    a.rt.node("b@127.0.0.1").connect().await.unwrap();
    a.expect("b@127.0.0.1", &[NodeChange::Up]).await;
    let worker = a.rt.spawn(|_| std::future::pending());
    let crashed = a.rt.whereis("net_kernel").unwrap();
    assert!(a.rt.kill(crashed));
    a.expect("b@127.0.0.1", &[NodeChange::Down]).await;
    b.expect("a@127.0.0.1", &[NodeChange::Up, NodeChange::Down]).await;
    // The connect may meet the node before or after its restart.
    while b.rt.node("a@127.0.0.1").connect().await.is_err() {}
    b.expect("a@127.0.0.1", &[NodeChange::Up]).await;
    a.expect("b@127.0.0.1", &[NodeChange::Up]).await;
    assert!(a.rt.is_alive(worker.pid()) && a.rt.whereis("net_kernel") != Some(crashed));
}

#[tokio::test]
async fn an_address_of_another_machine_needs_plain_text_to_be_allowed() {
    let rt = Runtime::new();
    let error = Supervisor::one_for_one()
        .child(node("a@127.0.0.1").listen(([0, 0, 0, 0], 0)))
        .start(&rt)
        .await
        .unwrap_err();
    let text = format!("{:#}", regrow::ExitReason::from(error));
    assert!(text.contains("plain text is not allowed"), "{text}");
    let resolver = Resolver::without_epmd().node("b@far", ([192, 0, 2, 1], 9));
    let a = start(node("a@127.0.0.1").resolver(resolver)).await;
    let error = a.rt.node("b@far").connect().await.unwrap_err();
    assert!(matches!(error, NodeError::Plaintext(_)), "{error:?}");
    start(node("c@127.0.0.1").listen(([0, 0, 0, 0], 0)).allow_plaintext()).await;
}

#[tokio::test]
async fn a_peer_whose_old_connection_is_up_replaces_it_once_it_is_authenticated() {
    let mut a = start(node("a@127.0.0.1")).await;
    let (mut old, status) = Fake::join(a.address, "fake@reader").await;
    assert_eq!(status, "ok");
    a.expect("fake@reader", &[NodeChange::Up]).await;

    // Without the cookie, the name alone displaces nothing.
    let mut liar = Fake::connect(a.address).await;
    assert_eq!(liar.introduce("fake@reader").await, "alive");
    liar.write(b"\x00\x05strue").await;
    let challenge = liar.challenge().await;
    liar.answer(challenge, "guessed").await;
    liar.closed().await;
    old.ask().await;
    assert!(old.is_answered().await);

    let (mut new, status) = Fake::join(a.address, "fake@reader").await;
    assert_eq!(status, "alive");
    a.expect("fake@reader", &[NodeChange::Down, NodeChange::Up]).await;
    old.closed().await;
    new.ask().await;
    assert!(new.is_answered().await);
}

/// A node `a` that dials `z@reader`, whose answer is that its own attempt continues. The name of
/// that attempt has not arrived yet.
async fn refused_for_the_peers_own(
    limit: Duration,
) -> (Running, JoinHandle<Result<(), NodeError>>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let resolver = Resolver::without_epmd().node("z@reader", listener.local_addr().unwrap());
    let a = start(node("a@127.0.0.1").resolver(resolver).handshake_timeout(limit)).await;
    let there = a.rt.node("z@reader");
    let dial = tokio::spawn(async move { there.connect().await });
    let (dialed, _) = listener.accept().await.unwrap();
    let mut dialed = Fake { stream: dialed };
    dialed.read_message().await.unwrap();
    dialed.message(b"snok").await;
    dialed.closed().await;
    // The next dial of `a` meets a peer that breaks off.
    tokio::spawn(async move { while listener.accept().await.is_ok() {} });
    (a, dial)
}

#[tokio::test]
async fn a_user_gets_the_connection_that_the_peer_makes_after_it_has_refused_the_dial() {
    let (mut a, dial) = refused_for_the_peers_own(Duration::from_secs(7)).await;
    let (_peer, status) = Fake::join(a.address, "z@reader").await;
    assert!(status.starts_with("ok"), "{status}");
    a.expect("z@reader", &[NodeChange::Up]).await;
    dial.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_peer_whose_own_attempt_breaks_off_is_dialed_again() {
    let (a, dial) = refused_for_the_peers_own(Duration::from_secs(7)).await;
    let mut peer = Fake::connect(a.address).await;
    peer.introduce("z@reader").await;
    drop(peer);
    let error = dial.await.unwrap().unwrap_err();
    // The second dial was answered by no `nok`.
    assert!(matches!(error, NodeError::Handshake(HandshakeError::Closed)), "{error:?}");
}

/// There is always a connection that claims the name of the peer, and does nothing more.
#[tokio::test]
async fn claims_of_a_name_delay_no_user_beyond_the_time_limit() {
    let (a, mut dial) = refused_for_the_peers_own(Duration::from_secs(2)).await;
    let mut liars = Vec::new();
    let result = loop {
        let mut liar = Fake::connect(a.address).await;
        liar.introduce("z@reader").await;
        liars.push(liar);
        if let Ok(result) = tokio::time::timeout(Duration::from_millis(100), &mut dial).await {
            break result;
        }
    };
    let error = result.unwrap().unwrap_err();
    let is_own = matches!(error, NodeError::Handshake(HandshakeError::Simultaneous));
    assert!(is_own, "{error:?}");
}

/// The dial of `a` meets a peer that accepts the connection and says nothing. The greater name wins:
/// `z@reader` gets on with its own attempt, `Aa@reader` doesn't.
#[tokio::test]
async fn a_peer_that_connects_while_it_is_dialed_gets_the_status_of_its_name() {
    for (name, expected) in [("z@reader", "ok_simultaneous"), ("Aa@reader", "nok")] {
        let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let resolver = Resolver::without_epmd().node(name, silent.local_addr().unwrap());
        let mut a = start(node("a@127.0.0.1").resolver(resolver)).await;
        let there = a.rt.node(name);
        let dial = tokio::spawn(async move { there.connect().await });
        let (mut dialed, _) = silent.accept().await.unwrap();
        let mut first = [0];
        tokio::io::AsyncReadExt::read_exact(&mut dialed, &mut first).await.unwrap(); // the name is sent
        let mut fake = Fake::connect(a.address).await;
        assert_eq!(fake.introduce(name).await, expected);
        if expected == "nok" {
            fake.closed().await;
            drop(dialed);
            let error = dial.await.unwrap().unwrap_err();
            assert!(matches!(error, NodeError::Handshake(HandshakeError::Closed)), "{error:?}");
        } else {
            let challenge = fake.challenge().await;
            fake.answer(challenge, COOKIE).await;
            a.expect(name, &[NodeChange::Up]).await;
            dial.await.unwrap().unwrap(); // the connection that the peer made
        }
    }
}

#[tokio::test]
async fn a_peer_that_ends_between_the_status_and_the_challenge_leaves_nothing() {
    let a = start(node("a@127.0.0.1")).await;
    for _ in 0..20 {
        let mut fake = Fake::connect(a.address).await;
        assert_eq!(fake.introduce("fake@reader").await, "ok");
        drop(fake);
    }
    let (_fake, status) = Fake::join(a.address, "fake@reader").await;
    assert_eq!(status, "ok");
}

#[tokio::test]
async fn a_handshake_that_stops_is_ended_by_its_time_limit() {
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let resolver = Resolver::without_epmd().node("b@reader", silent.local_addr().unwrap());
    let limit = Duration::from_secs(1);
    let a = start(node("a@127.0.0.1").resolver(resolver).handshake_timeout(limit)).await;
    let error = a.rt.node("b@reader").connect().await.unwrap_err();
    assert!(matches!(error, NodeError::TimedOut(_)), "{error:?}");
    Fake::connect(a.address).await.closed().await;
    let mut fake = Fake::connect(a.address).await;
    fake.introduce("c@reader").await;
    fake.closed().await;
}
