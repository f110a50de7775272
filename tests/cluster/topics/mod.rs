//! Topics that nodes share, on a network without sockets and under tokio's paused clock.

use std::time::Duration;

use futures_util::FutureExt;
use regrow::cluster::{Cookie, Network, Node, TopicRelay};
use regrow::{ChildSpec, PubSub, Runtime, Supervisor, SupervisorRef, TopicStream};
use tokio::time::sleep;

use crate::beam::COOKIE;

mod topic_delivery;
mod topic_faults;
mod topic_flood;
mod topic_relays;
mod topic_load;
mod topic_misuse;
mod topic_terms;
mod topic_beam;

type News = PubSub<String, u64>;

const A: &str = "a@one";
const B: &str = "b@two";
const C: &str = "c@three";

/// A node that shares topics.
struct Sharing {
    name: &'static str,
    rt: Runtime,
    tree: SupervisorRef,
    news: News,
    relay: TopicRelay<String, u64>,
}

impl Sharing {
    async fn start(network: &Network, name: &'static str) -> Sharing {
        Sharing::start_as(node(network, name), name).await
    }

    async fn start_as(node: Node, name: &'static str) -> Sharing {
        let rt = Runtime::new();
        let news = News::new(&rt);
        let relay = news.across_nodes("news");
        // The tests that restart a relay often are not about the budget of restarts.
        let tree = Supervisor::rest_for_one().intensity(1_000, Duration::from_secs(1));
        let tree = tree.child(node).child(relay.clone()).start(&rt).await.unwrap();
        Sharing { name, rt, tree, news, relay }
    }

    async fn connect(&self, other: &Sharing) {
        self.rt.node(other.name).connect().await.unwrap();
    }

    fn publish(&self, key: &str, events: impl IntoIterator<Item = u64>) {
        for event in events {
            self.news.publish(&key.to_owned(), event);
        }
    }

    /// A stream that no test fills.
    fn stream(&self, key: &str) -> TopicStream<u64> {
        self.news.stream_with(key.to_owned(), 1_000_000, Default::default())
    }

    /// Whether the relays of these nodes, and no others, get the next event.
    fn reaches(&self, nodes: &[&str]) -> bool {
        self.relay.nodes().iter().map(|node| &**node).eq(nodes.iter().copied())
    }
}

fn node(network: &Network, name: &str) -> Node {
    Node::new(name).cookie(Cookie::new(COOKIE)).network(network).groups("pg")
}

/// Two nodes whose relays know each other.
async fn two(network: &Network) -> (Sharing, Sharing) {
    let (a, b) = (Sharing::start(network, A).await, Sharing::start(network, B).await);
    meet(&a, &b).await;
    (a, b)
}

/// Connects two nodes, and waits until their relays know each other.
async fn meet(one: &Sharing, other: &Sharing) {
    one.connect(other).await;
    let knows =
        |one: &Sharing, other: &Sharing| one.relay.nodes().iter().any(|node| **node == *other.name);
    until(|| knows(one, other) && knows(other, one)).await;
}

/// Waits for a condition, on the paused clock.
async fn until(holds: impl Fn() -> bool) {
    for _ in 0..100_000 {
        if holds() {
            return;
        }
        sleep(Duration::from_millis(1)).await;
    }
    panic!("the condition does not hold after 100 s");
}

/// Waits until all processes of all nodes are idle, and all bytes have arrived.
async fn settled() {
    sleep(Duration::from_secs(1)).await;
}

/// Takes the events that a stream has, also if they are more than the budget of a task.
fn taken<T: Send + 'static>(stream: &mut TopicStream<T>) -> Vec<T> {
    let mut events = Vec::new();
    while let Some(Some(next)) = tokio::task::unconstrained(stream.next()).now_or_never() {
        events.push(next.event);
    }
    events
}

/// A tree of a node and another child, in a runtime of its own.
async fn tree_of(rt: &Runtime, node: Node, child: impl Into<ChildSpec>) -> SupervisorRef {
    Supervisor::rest_for_one().child(node).child(child).start(rt).await.unwrap()
}
