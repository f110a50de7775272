//! Nodes on a network without sockets, under tokio's paused clock: cuts, heals, delays, and nodes that
//! end at any instant.

use std::time::Duration;

use regrow::cluster::{Cookie, Network, Node, NodeError};
use regrow::{NodeChange, ProcessHandle, Runtime, Supervisor, SupervisorRef};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::{Instant, sleep};

use crate::beam::COOKIE;
use crate::pairs::subscribe;
use crate::rng::Rng;

/// A node on a network.
pub(crate) struct Joined {
    pub(crate) rt: Runtime,
    pub(crate) tree: SupervisorRef,
    pub(crate) changes: UnboundedReceiver<(String, NodeChange)>,
    _watcher: ProcessHandle,
}

impl Joined {
    async fn expect(&mut self, node: &str, change: NodeChange) {
        assert_eq!(self.changes.recv().await, Some((node.to_owned(), change)));
    }

    async fn connect(&self, node: &str) -> Result<(), NodeError> {
        self.rt.node(node).connect().await
    }
}

fn on(network: &Network, name: &str) -> Node {
    Node::new(name).cookie(Cookie::new(COOKIE)).network(network)
}

pub(crate) async fn join(network: &Network, name: &str) -> Joined {
    let rt = Runtime::new();
    let (watcher, changes) = subscribe(&rt);
    let tree = Supervisor::one_for_one().child(on(network, name)).start(&rt).await.unwrap();
    Joined { rt, tree, changes, _watcher: watcher }
}

const A: &str = "a@one";
const B: &str = "b@two";

/// Two nodes that are connected.
async fn connected(network: &Network) -> (Joined, Joined) {
    let (mut a, mut b) = (join(network, A).await, join(network, B).await);
    a.connect(B).await.unwrap();
    a.expect(B, NodeChange::Up).await;
    b.expect(A, NodeChange::Up).await;
    (a, b)
}

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

#[tokio::test(start_paused = true)]
async fn nodes_on_a_network_connect_and_lose_each_other() {
    let network = Network::new(1);
    let begun = Instant::now();
    let (mut a, mut b) = connected(&network).await;
    assert_eq!((network.connections(), begun.elapsed()), (1, Duration::ZERO));
    assert!(b.rt.node(A).disconnect().await);
    a.expect(B, NodeChange::Down).await;
    b.expect(A, NodeChange::Down).await;
    assert_eq!(network.connections(), 0);
    let error = a.connect("c@three").await.unwrap_err();
    assert!(matches!(error, NodeError::Unknown(_)), "{error:?}");
    a.connect(B).await.unwrap();
    b.tree.stop().await.unwrap();
    a.expect(B, NodeChange::Up).await;
    a.expect(B, NodeChange::Down).await;
    let error = a.connect(B).await.unwrap_err();
    assert!(matches!(error, NodeError::Unknown(_)), "{error:?}");
    let _b = join(&network, B).await;
    a.connect(B).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_cut_is_silent_until_the_ticks_find_it() {
    let network = Network::new(1);
    let (mut a, mut b) = connected(&network).await;
    network.cut(A, B);
    let begun = Instant::now();
    a.expect(B, NodeChange::Down).await;
    b.expect(A, NodeChange::Down).await;
    let elapsed = begun.elapsed();
    assert!((45..=75).contains(&elapsed.as_secs()), "{elapsed:?}");
    let error = a.connect(B).await.unwrap_err();
    assert!(matches!(error, NodeError::TimedOut(_)), "{error:?}");
    network.heal(A, B);
    a.connect(B).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_short_cut_is_not_noticed() {
    let network = Network::new(1);
    let (mut a, mut b) = connected(&network).await;
    for _ in 0..5 {
        network.cut(A, B);
        sleep(Duration::from_secs(30)).await;
        network.heal(A, B);
        sleep(Duration::from_secs(60)).await;
    }
    assert!(a.changes.try_recv().is_err() && b.changes.try_recv().is_err());
    assert!(a.rt.node(B).is_connected().await);
}

/// The node that receives no bytes ends the connection after the tick time, and the other node sees
/// the end.
#[tokio::test(start_paused = true)]
async fn a_cut_of_one_way_ends_the_connection_of_both_nodes() {
    let network = Network::new(1);
    let (mut a, mut b) = connected(&network).await;
    network.cut_from(A, B);
    let begun = Instant::now();
    b.expect(A, NodeChange::Down).await;
    a.expect(B, NodeChange::Down).await;
    assert!((45..=75).contains(&begun.elapsed().as_secs()));
    for node in [a.connect(B).await, b.connect(A).await] {
        assert!(matches!(node, Err(NodeError::TimedOut(_))), "{node:?}");
    }
    network.heal(A, B);
    b.connect(A).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_attempt_to_connect_waits_for_the_heal() {
    let network = Network::new(1);
    let (a, _b) = (join(&network, A).await, join(&network, B).await);
    network.cut_from(B, A);
    let there = a.rt.node(B);
    let attempt = tokio::spawn(async move { there.connect().await });
    sleep(Duration::from_secs(3)).await;
    assert!(!attempt.is_finished());
    network.heal(A, B);
    attempt.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_reset_ends_a_connection_at_once() {
    let network = Network::new(1);
    let (mut a, mut b) = connected(&network).await;
    let begun = Instant::now();
    assert_eq!(network.reset(B, A), 1);
    a.expect(B, NodeChange::Down).await;
    b.expect(A, NodeChange::Down).await;
    assert_eq!((begun.elapsed(), network.connections()), (Duration::ZERO, 0));
}

#[tokio::test(start_paused = true)]
async fn a_name_belongs_to_one_node_of_a_network() {
    let network = Network::new(1);
    let (mut a, mut b) = connected(&network).await;
    let rt = Runtime::new();
    let second = Supervisor::one_for_one().child(on(&network, A)).start(&rt).await;
    let text = format!("{:#}", regrow::ExitReason::from(second.unwrap_err()));
    assert!(text.contains("a node a@one already"), "{text}");
    // A node that crashes has its name again.
    assert!(a.rt.kill(a.rt.whereis("net_kernel").unwrap()));
    a.expect(B, NodeChange::Down).await;
    b.expect(A, NodeChange::Down).await;
    while b.connect(A).await.is_err() {
        sleep(ms(1)).await;
    }
    b.expect(A, NodeChange::Up).await;
    assert_eq!(Network::new(2).connections(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_split_separates_two_sides_until_all_is_healed() {
    let network = Network::new(1);
    let names = ["a@one", "b@two", "c@three", "d@four"];
    let mut nodes = Vec::new();
    for name in names {
        nodes.push(join(&network, name).await);
    }
    let mesh = async |nodes: &[Joined]| {
        for (at, node) in nodes.iter().enumerate() {
            for other in &names[at + 1..] {
                node.connect(other).await.unwrap();
            }
        }
    };
    mesh(&nodes).await;
    network.split(&names[..1], &names[1..]);
    for node in &mut nodes {
        for _ in 0..3 {
            node.changes.recv().await.unwrap();
        }
    }
    let expected = names[1..].iter().map(|name| ((*name).to_owned(), NodeChange::Down));
    let expected: Vec<_> = expected.collect();
    let mut lost = Vec::new();
    while lost.len() < 3 {
        lost.push(nodes[0].changes.recv().await.unwrap());
    }
    lost.sort_by(|one, other| one.0.cmp(&other.0));
    assert_eq!(lost, expected);
    for node in &mut nodes[1..] {
        node.expect("a@one", NodeChange::Down).await;
        assert_eq!(node.rt.connected_nodes().await.len(), 2);
    }
    network.heal_all();
    mesh(&nodes).await;
    assert_eq!(nodes[0].rt.connected_nodes().await.len(), 3);
}

/// Both nodes connect at once, while each of their messages takes a time of its own.
#[tokio::test(start_paused = true)]
async fn nodes_that_connect_at_once_over_delays_have_one_connection() {
    for seed in 0..200 {
        let network = Network::new(seed);
        network.delay_all(ms(0)..=ms(40));
        let (mut a, mut b) = (join(&network, A).await, join(&network, B).await);
        let later = ms(seed % 60);
        let (one, two) = tokio::join!(a.connect(B), async {
            sleep(later).await;
            b.connect(A).await
        });
        assert!(one.is_ok() && two.is_ok(), "seed {seed}: {one:?} {two:?}");
        sleep(ms(1_000)).await;
        assert_eq!(network.connections(), 1, "seed {seed}");
        a.expect(B, NodeChange::Up).await;
        b.expect(A, NodeChange::Up).await;
        assert!(a.changes.try_recv().is_err() && b.changes.try_recv().is_err(), "seed {seed}");
    }
}

/// One node ends at an instant that the seed draws: while the other one connects to it, or both to
/// each other, or after that. Whatever was under way, each `Up` has its `Down`, and nothing is left.
#[tokio::test(start_paused = true)]
async fn a_node_that_ends_at_any_instant_leaves_no_connection() {
    for seed in 0..300 {
        let mut rng = Rng::new(seed);
        let network = Network::new(seed);
        network.delay_all(ms(0)..=ms(20));
        let (mut a, b) = (join(&network, A).await, join(&network, B).await);
        let ends = ms(u64::try_from(rng.below(250)).unwrap());
        let is_killed = rng.below(2) == 0;
        let (to_b, to_a) = (a.rt.node(B), b.rt.node(A));
        let first = tokio::spawn(async move { to_b.connect().await });
        let second = tokio::spawn(async move { to_a.connect().await });
        sleep(ends).await;
        if is_killed {
            assert!(b.rt.kill(b.tree.pid().unwrap()));
        } else {
            b.tree.stop().await.unwrap();
        }
        let _ = (first.await.unwrap(), second.await.unwrap());
        sleep(ms(1_000)).await;
        assert_eq!(network.connections(), 0, "seed {seed}");
        assert!(a.rt.connected_nodes().await.is_empty(), "seed {seed}");
        let mut changes = Vec::new();
        while let Ok((_, change)) = a.changes.try_recv() {
            changes.push(change);
        }
        let pairs = changes.chunks(2).all(|pair| pair == [NodeChange::Up, NodeChange::Down]);
        assert!(pairs, "seed {seed}: {changes:?}");
        drop(b);
        // The name is free, and the node answers.
        let _b = join(&network, B).await;
        a.connect(B).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_network_repeats_by_its_seed() {
    let run = async |seed| {
        let network = Network::new(seed);
        network.delay_all(ms(0)..=ms(500));
        let (a, b) = (join(&network, A).await, join(&network, B).await);
        let (begun, mut times) = (Instant::now(), Vec::new());
        for _ in 0..10 {
            a.connect(B).await.unwrap();
            times.push(begun.elapsed());
            b.rt.node(A).disconnect().await;
            while a.rt.node(B).is_connected().await {
                sleep(ms(1)).await;
            }
        }
        times
    };
    assert_eq!(run(5).await, run(5).await);
    assert_ne!(run(5).await, run(6).await);
}
