//! Connections that are lost, and nodes that end.

use std::time::Duration;

use regrow::cluster::Network;
use tokio::time::sleep;

use super::{A, B, C, Sharing, meet, settled, taken, two, until};
use crate::rng::Rng;

#[tokio::test(start_paused = true)]
async fn what_is_published_without_a_connection_is_not_sent_later_and_connects_to_no_node() {
    let network = Network::new(1);
    let (a, b) = two(&network).await;
    let mut at_b = b.stream("sport");
    a.publish("sport", [1]);
    settled().await;
    assert!(a.rt.node(B).disconnect().await);
    until(|| a.reaches(&[])).await;
    a.publish("sport", [2, 3]);
    settled().await;
    assert!(a.rt.connected_nodes().await.is_empty());
    meet(&a, &b).await;
    a.publish("sport", [4]);
    settled().await;
    assert_eq!((taken(&mut at_b), a.relay.counts().sent), (vec![1, 4], 2));
}

/// The connection is gone, and the group still has the member.
#[tokio::test(start_paused = true)]
async fn an_event_for_a_member_whose_connection_has_just_ended_begins_no_attempt_to_connect() {
    let network = Network::new(1);
    let (a, b) = two(&network).await;
    let scope = a.rt.whereis("pg").unwrap();
    for round in 0..200 {
        network.reset(A, B);
        for _ in 0..round {
            tokio::task::yield_now().await;
        }
        a.publish("sport", [round]);
        settled().await;
        assert!(a.rt.connected_nodes().await.is_empty(), "round {round}");
        meet(&a, &b).await;
    }
    assert_eq!(a.rt.whereis("pg"), Some(scope));
}

#[tokio::test(start_paused = true)]
async fn events_of_a_short_cut_arrive_late_and_those_of_a_long_one_are_lost() {
    let network = Network::new(1);
    let (a, b) = two(&network).await;
    let (mut at_a, mut at_b) = (a.stream("sport"), b.stream("sport"));
    network.cut(A, B);
    a.publish("sport", [1, 2]);
    b.publish("sport", [10]);
    sleep(Duration::from_secs(30)).await;
    assert_eq!((taken(&mut at_a), taken(&mut at_b)), (vec![1, 2], vec![10]));
    network.heal(A, B);
    settled().await;
    assert_eq!((taken(&mut at_a), taken(&mut at_b)), (vec![10], vec![1, 2]));

    network.cut(A, B);
    a.publish("sport", [3]);
    until(|| a.reaches(&[]) && b.reaches(&[])).await; // the ticks have found it
    a.publish("sport", [4]);
    network.heal(A, B);
    meet(&a, &b).await;
    a.publish("sport", [5]);
    settled().await;
    assert_eq!((taken(&mut at_a), taken(&mut at_b)), (vec![3, 4, 5], vec![5]));
}

#[tokio::test(start_paused = true)]
async fn nodes_that_are_not_connected_share_nothing_through_a_third_one() {
    let network = Network::new(1);
    let (a, b) = two(&network).await;
    let c = Sharing::start(&network, C).await;
    meet(&b, &c).await;
    let (mut at_b, mut at_c) = (b.stream("sport"), c.stream("sport"));
    a.publish("sport", [1]);
    settled().await;
    assert!(a.reaches(&[B]) && b.reaches(&[A, C]));
    assert_eq!((taken(&mut at_b), taken(&mut at_c)), (vec![1], vec![]));
}

#[tokio::test(start_paused = true)]
async fn a_node_that_ends_and_comes_back_gets_what_is_published_then() {
    let network = Network::new(1);
    let (a, b) = two(&network).await;
    b.tree.stop().await.unwrap();
    until(|| a.reaches(&[])).await;
    a.publish("sport", [1]);
    let b = Sharing::start(&network, B).await;
    let mut at_b = b.stream("sport");
    meet(&a, &b).await;
    a.publish("sport", [2]);
    settled().await;
    assert_eq!(taken(&mut at_b), [2]);

    // A node that is killed with all its processes, while events are under way.
    network.delay_all(Duration::from_millis(50)..=Duration::from_millis(50));
    a.publish("sport", [3]);
    assert!(b.rt.kill(b.tree.pid().unwrap()));
    until(|| a.reaches(&[])).await;
    a.publish("sport", [4]);
    let b = Sharing::start(&network, B).await;
    let mut at_b = b.stream("sport");
    meet(&b, &a).await;
    a.publish("sport", [5]);
    settled().await;
    assert_eq!(taken(&mut at_b), [5]);
}

/// Kills the process of a name, if there is one.
fn kill(node: &Sharing, name: &str) {
    if let Some(pid) = node.rt.whereis(name) {
        node.rt.kill(pid);
    }
}

/// Connections break at any instant, and relays and scopes of both nodes are killed. Each subscriber
/// gets a part of the events, each at most once, in order, and all of them once the faults are over.
#[tokio::test(start_paused = true)]
async fn under_faults_events_arrive_at_most_once_and_in_order() {
    for seed in 0..12 {
        let network = Network::new(seed);
        network.delay_all(Duration::ZERO..=Duration::from_millis(8));
        let mut rng = Rng::new(seed);
        let (a, b) = two(&network).await;
        let mut streams = [(&a, "from b"), (&b, "from a")].map(|(node, key)| node.stream(key));
        for event in 0..300 {
            a.publish("from a", [event]);
            b.publish("from b", [event]);
            let node = [&a, &b][rng.below(2)];
            match rng.below(40) {
                0 => drop(network.reset(A, B)),
                1 => kill(node, "topics:news"),
                2 => kill(node, "pg"),
                _ => {}
            }
            // The attempt may meet the end of the connection.
            let _ = a.rt.node(B).connect().await;
            sleep(Duration::from_millis(rng.below(4) as u64)).await;
        }
        settled().await;
        meet(&a, &b).await;
        settled().await;
        a.publish("from a", 300..400);
        b.publish("from b", 300..400);
        settled().await;
        for stream in &mut streams {
            let events = taken(stream);
            let in_order = events.windows(2).all(|pair| pair[0] < pair[1]);
            assert!(in_order, "seed {seed}: {events:?}");
            assert!(events.len() > 100 && events.ends_with(&Vec::from_iter(300..400)), "{seed}");
        }
        let bad = [&a, &b].map(|node| node.relay.counts().undecodable);
        assert_eq!(bad, [0, 0], "seed {seed}");
    }
}
