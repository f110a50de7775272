//! Publishers on several threads, while relays are killed.

use regrow::cluster::Network;
use regrow::{Runtime, TopicStream};
use tokio::task::{JoinHandle, yield_now};

use super::{A, B, Sharing};

const PUBLISHERS: u64 = 4;
const EVENTS: u64 = 4_000;
const KILLS: usize = 25;
/// The last event.
const END: u64 = u64::MAX;

/// Waits until the relay of one node is the only one that the other node knows.
async fn found(at: &Runtime, of: &Runtime) {
    loop {
        let own = of.whereis("topics:news").and_then(|own| of.external_pid(own));
        let known = own.and_then(|own| at.pid_of(&own));
        let members = at.whereis_tag("topics:news");
        let mut foreign = members.into_iter().filter(|pid| pid.is_foreign());
        if known.is_some() && (foreign.next(), foreign.next()) == (known, None) {
            return;
        }
        yield_now().await;
    }
}

/// Reads the events up to the last one.
async fn read(mut stream: TopicStream<u64>) -> Vec<u64> {
    let mut events = Vec::new();
    while let Some(next) = stream.next().await {
        if next.event == END {
            return events;
        }
        events.push(next.event);
    }
    panic!("the topics are gone");
}

/// Starts the publishers of both nodes. An event has the number of its publisher in its upper half.
fn publishers(a: &Sharing, b: &Sharing) -> Vec<JoinHandle<()>> {
    let start = |publisher| {
        let (node, key) = if publisher % 2 == 0 { (a, "from a") } else { (b, "from b") };
        let (news, key) = (node.news.clone(), key.to_owned());
        tokio::spawn(async move {
            for event in 0..EVENTS {
                news.publish(&key, publisher << 32 | event);
                if event % 16 == 0 {
                    yield_now().await;
                }
            }
        })
    };
    (0..2 * PUBLISHERS).map(start).collect()
}

fn assert_each_in_order(events: &[u64]) {
    for publisher in 0..2 * PUBLISHERS {
        let of = events.iter().filter(|event| **event >> 32 == publisher);
        assert!(of.is_sorted_by(|one, next| one < next), "publisher {publisher}");
    }
}

/// Both nodes publish, and the relays of both are killed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_of_many_threads_arrive_at_most_once_and_in_order_while_relays_are_killed() {
    let network = Network::new(1);
    let (a, b) = (Sharing::start(&network, A).await, Sharing::start(&network, B).await);
    a.connect(&b).await;
    found(&a.rt, &b.rt).await;
    found(&b.rt, &a.rt).await;
    let readers = [(&a, "from b"), (&b, "from a")].map(|(node, key)| {
        let stream = node.stream(key);
        tokio::spawn(read(stream))
    });
    let publishers = publishers(&a, &b);
    for kill in 0..KILLS {
        let (node, other) = [(&a, &b), (&b, &a)][kill % 2];
        if let Some(relay) = node.rt.whereis("topics:news") {
            node.rt.kill(relay);
        }
        found(&other.rt, &node.rt).await;
    }
    for publisher in publishers {
        publisher.await.unwrap();
    }
    found(&a.rt, &b.rt).await;
    found(&b.rt, &a.rt).await;
    a.publish("from a", [END]);
    b.publish("from b", [END]);
    for reader in readers {
        let events = reader.await.unwrap();
        assert!(!events.is_empty());
        assert_each_in_order(&events);
    }
    let counts =
        [&a, &b].map(|node| (node.relay.counts().undecodable, node.relay.counts().left_out));
    assert_eq!(counts, [(0, 0), (0, 0)]);
}
