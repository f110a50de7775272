//! A cluster of 100 nodes in one thread: each is connected to each.

use std::time::Duration;

use regrow::NodeChange;
use regrow::cluster::Network;
use tokio::time::sleep;

use crate::network::{Joined, join};

const NODES: usize = 100;
/// The number of ways between two nodes that are connected.
const WAYS: u64 = 100 * 99;

fn name(number: usize) -> String {
    format!("n{number}@simulated")
}

/// Takes the changes that a node has been notified of.
fn changes(node: &mut Joined) -> Vec<(String, NodeChange)> {
    let mut changes = Vec::new();
    while let Ok(change) = node.changes.try_recv() {
        changes.push(change);
    }
    changes
}

#[tokio::test(start_paused = true)]
async fn a_hundred_nodes_tick_and_each_notices_the_end_of_one_once() {
    let network = Network::new(100);
    network.delay_all(Duration::ZERO..=Duration::from_millis(5));
    let mut nodes = Vec::new();
    for number in 0..NODES {
        nodes.push(join(&network, &name(number)).await);
    }
    // All nodes connect at once, many of them to each other at once.
    let refs = nodes.iter().enumerate().flat_map(|(number, node)| {
        let others = (0..NODES).filter(move |other| *other != number);
        others.map(|other| node.rt.node(name(other)))
    });
    let refs: Vec<_> = refs.collect();
    let connected = refs.iter().map(|node| node.connect());
    for result in futures_util::future::join_all(connected).await {
        result.unwrap();
    }
    sleep(Duration::from_secs(1)).await;
    assert_eq!(u64::try_from(network.connections()).unwrap(), WAYS / 2);
    for node in &mut nodes {
        assert_eq!(changes(node).len(), NODES - 1);
    }

    // Four ticks of 4 bytes a minute in each direction, and nothing else.
    sleep(Duration::from_secs(60)).await;
    let before = network.bytes_sent();
    sleep(Duration::from_secs(60)).await;
    assert_eq!(network.bytes_sent() - before, WAYS * 4 * 4);

    // One node ends, one is cut off, one crashes: all others notice each, once.
    nodes.remove(0).tree.stop().await.unwrap();
    let cut: Vec<_> = (2..NODES).map(name).collect();
    let cut: Vec<_> = cut.iter().map(String::as_str).collect();
    network.split(&[&name(1)], &cut);
    assert!(nodes[1].rt.kill(nodes[1].tree.pid().unwrap()));
    sleep(Duration::from_secs(120)).await;
    let down = |number| (name(number), NodeChange::Down);
    for node in &mut nodes[2..] {
        let mut lost = changes(node);
        lost.sort_by(|one, other| one.0.cmp(&other.0));
        assert_eq!(lost, [down(0), down(1), down(2)]);
        assert_eq!(node.rt.connected_nodes().await.len(), NODES - 4);
    }
    assert_eq!(changes(&mut nodes[0]).len(), NODES - 1);
    assert_eq!(network.connections(), (NODES - 3) * (NODES - 4) / 2);
}
