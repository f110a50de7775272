//! Relays that end.

use regrow::cluster::Network;

use super::{A, B, settled, taken, two, until};

#[tokio::test(start_paused = true)]
async fn a_relay_that_is_killed_is_restarted_and_loses_no_subscriber() {
    let network = Network::new(1);
    let (a, b) = two(&network).await;
    let (mut at_a, mut at_b) = (a.stream("sport"), b.stream("sport"));
    for round in 0..20 {
        let relay = b.rt.whereis("topics:news").unwrap();
        let at_first = a.rt.whereis_tag("topics:news");
        assert!(b.rt.kill(relay));
        a.publish("sport", [0]); // the killed relay has left, or its leave is under way
        until(|| b.rt.whereis("topics:news").is_some_and(|new| new != relay)).await;
        until(|| {
            let members = a.rt.whereis_tag("topics:news");
            members.len() == 2 && members != at_first
        })
        .await;
        a.publish("sport", [round]);
        b.publish("sport", [100 + round]);
        settled().await;
        let events = taken(&mut at_b);
        assert!(events.ends_with(&[100 + round, round]), "{events:?}");
        assert_eq!(taken(&mut at_a), [0, round, 100 + round]);
    }
    assert_eq!(b.news.subscriber_count(&"sport".to_owned()), 1);
    let [at_a, at_b] = [&a, &b].map(|node| node.relay.counts());
    assert_eq!((at_a.received, at_b.sent), (20, 20));
    assert!((20..=40).contains(&at_b.received), "{at_b:?}");
}

#[tokio::test(start_paused = true)]
async fn topics_whose_relay_is_stopped_reach_their_own_node_only() {
    let network = Network::new(1);
    let (a, b) = two(&network).await;
    let (mut at_a, mut at_b) = (a.stream("sport"), b.stream("sport"));
    a.tree.terminate_child("topics:news").await.unwrap();
    a.publish("sport", [1]);
    b.publish("sport", [2]);
    settled().await;
    assert!(b.reaches(&[]));
    assert_eq!((taken(&mut at_a), taken(&mut at_b)), (vec![1], vec![2]));
    let counts = [&a, &b].map(|node| (node.relay.counts().sent, node.relay.counts().received));
    assert_eq!(counts, [(0, 0), (0, 0)]);

    a.tree.restart_child("topics:news").await.unwrap();
    until(|| a.reaches(&[B]) && b.reaches(&[A])).await;
    a.publish("sport", [3]);
    settled().await;
    assert_eq!(taken(&mut at_b), [3]);
}

/// The node of A is restarted with its relay behind it, and connects again.
#[tokio::test(start_paused = true)]
async fn a_node_that_crashes_brings_its_topics_back() {
    let network = Network::new(1);
    let (a, b) = two(&network).await;
    let (mut at_a, mut at_b) = (a.stream("sport"), b.stream("sport"));
    assert!(a.rt.kill(a.rt.whereis("net_kernel").unwrap()));
    until(|| b.reaches(&[])).await;
    super::meet(&a, &b).await;
    a.publish("sport", [1]);
    b.publish("sport", [2]);
    settled().await;
    let sorted = |mut events: Vec<u64>| {
        events.sort_unstable();
        events
    };
    assert_eq!([&mut at_a, &mut at_b].map(taken).map(sorted), [[1, 2], [1, 2]]);
}
