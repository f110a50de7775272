//! Messages that are no events of the topics, and events that have no term.

use std::hash::{Hash, Hasher};

use regrow::cluster::{Atom, EncodedTerm, Network, RelayCounts, Term, TopicRelay};
use regrow::{DeadLetterCause, MessageKind, Pid, PubSub, Runtime};
use serde::{Deserialize, Deserializer, Serialize};

use super::{A, B, node, settled, taken, tree_of, two, until};
use crate::log::Log;

fn message(topics: &str, key: impl Serialize, event: impl Serialize) -> EncodedTerm {
    EncodedTerm::new(&(Atom::new("regrow_topic").unwrap(), topics, key, event)).unwrap()
}

/// The relay of the other node, as this node has it in the group.
fn other_relay(rt: &Runtime) -> Pid {
    rt.whereis_tag("topics:news").into_iter().find(|pid| pid.is_foreign()).unwrap()
}

#[tokio::test(start_paused = true)]
async fn undecodable_messages_are_counted_logged_seldom_and_without_content_and_end_nothing() {
    let network = Network::new(1);
    let (a, b) = two(&network).await;
    let mut at_b = b.stream("sport");
    let (to, relay) = (other_relay(&a.rt), b.rt.whereis("topics:news"));
    let mut lost = b.rt.dead_letters();
    let log = Log::listen();
    let wrong = [
        EncodedTerm::new("secret").unwrap(),
        message("prices", "sport", 1),
        message("news", 17, 1),
        message("news", "sport", "secret"),
        message("news", "sport", -1),
        EncodedTerm::new(&Term::tuple([Term::atom("$gen_call")])).unwrap(),
    ];
    for round in 0..100 {
        for term in &wrong {
            assert!(a.rt.send_term(to, term.clone()), "{round}");
        }
    }
    a.publish("sport", [7]);
    settled().await;
    let counts = b.relay.counts();
    assert_eq!((counts.undecodable, counts.received, taken(&mut at_b)), (600, 1, vec![7]));
    assert_eq!(b.rt.whereis("topics:news"), relay);
    let letter = lost.next().await.unwrap();
    assert_eq!((letter.cause, letter.kind), (DeadLetterCause::Undecodable, MessageKind::Event));
    let lines = log.take();
    let lines: Vec<_> = lines.iter().filter(|line| line.message.contains("no event")).collect();
    assert_eq!(lines.len(), 10); // 1, 2, 4 … 512
    assert!(!lines.iter().any(|line| format!("{line:?}").contains("secret")));
}

#[tokio::test(start_paused = true)]
async fn an_event_is_decoded_only_where_its_topic_has_subscribers() {
    let network = Network::new(1);
    let (a, b) = two(&network).await;
    let to = other_relay(&a.rt);
    assert!(a.rt.send_term(to, message("news", "sport", "no number")));
    settled().await;
    assert_eq!((b.relay.counts().received, b.relay.counts().undecodable), (1, 0));
    let _subscriber = b.stream("sport");
    assert!(a.rt.send_term(to, message("news", "sport", "no number")));
    settled().await;
    assert_eq!((b.relay.counts().received, b.relay.counts().undecodable), (1, 1));
}

/// A node with topics of other types, under the same name.
struct Other<T> {
    rt: Runtime,
    topics: PubSub<String, T>,
    relay: TopicRelay<String, T>,
    _tree: regrow::SupervisorRef,
}

async fn start<T>(network: &Network, name: &str) -> Other<T>
where
    T: Serialize + for<'de> Deserialize<'de> + Clone + Send + 'static,
{
    let rt = Runtime::new();
    let topics = PubSub::new(&rt);
    let relay = topics.across_nodes("news");
    let _tree = tree_of(&rt, node(network, name), relay.clone()).await;
    Other { rt, topics, relay, _tree }
}

async fn pair<S, T>(network: &Network) -> (Other<S>, Other<T>)
where
    S: Serialize + for<'de> Deserialize<'de> + Clone + Send + 'static,
    T: Serialize + for<'de> Deserialize<'de> + Clone + Send + 'static,
{
    let (a, b) = (start::<S>(network, A).await, start::<T>(network, B).await);
    a.rt.node(B).connect().await.unwrap();
    until(|| a.relay.nodes() == [B] && b.relay.nodes() == [A]).await;
    (a, b)
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Old {
    text: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct New {
    text: String,
    #[serde(default)]
    stars: u8,
}

#[tokio::test(start_paused = true)]
async fn nodes_of_two_versions_understand_each_other_as_far_as_their_types_do() {
    let network = Network::new(1);
    let (old, new) = pair::<Old, New>(&network).await;
    let key = "sport".to_owned();
    let (mut at_old, mut at_new) = (old.topics.stream(key.clone()), new.topics.stream(key.clone()));
    old.topics.publish(&key, Old { text: "a".to_owned() });
    new.topics.publish(&key, New { text: "b".to_owned(), stars: 3 });
    settled().await;
    let event = |text: &str| Old { text: text.to_owned() };
    assert_eq!(taken(&mut at_old), [event("a"), event("b")]);
    let event = |text: &str, stars| New { text: text.to_owned(), stars };
    let mut events = taken(&mut at_new);
    events.sort_by_key(|event| event.text.clone());
    assert_eq!(events, [event("a", 0), event("b", 3)]);
}

#[tokio::test(start_paused = true)]
async fn an_event_without_a_term_reaches_the_own_node_only() {
    let network = Network::new(1);
    let (a, b) = pair::<f64, f64>(&network).await;
    let key = "price".to_owned();
    let (mut at_a, mut at_b) = (a.topics.stream(key.clone()), b.topics.stream(key.clone()));
    let mut lost = a.rt.dead_letters();
    for price in [1.0, f64::INFINITY, 2.0] {
        assert_eq!(a.topics.publish(&key, price), 1);
    }
    settled().await;
    assert_eq!(lost.next().await.unwrap().cause, DeadLetterCause::NotATerm);
    assert_eq!((taken(&mut at_a).len(), taken(&mut at_b)), (3, vec![1.0, 2.0]));
    let RelayCounts { sent, unencodable, .. } = a.relay.counts();
    assert_eq!((sent, unencodable), (2, 1));
}

/// Its `Deserialize`, `Clone`, or destructor panics, as its number says.
#[derive(Serialize)]
struct Harmful(u8);

impl<'de> Deserialize<'de> for Harmful {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = u8::deserialize(deserializer)?;
        assert_ne!(number, 1, "it can't be decoded");
        Ok(Harmful(number))
    }
}

impl Clone for Harmful {
    fn clone(&self) -> Self {
        assert_ne!(self.0, 2, "it can't be cloned");
        Harmful(self.0)
    }
}

impl PartialEq for Harmful {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl Eq for Harmful {}

impl Hash for Harmful {
    fn hash<H: Hasher>(&self, state: &mut H) {
        assert_ne!(self.0, 3, "it has no hash");
        self.0.hash(state);
    }
}

impl Drop for Harmful {
    fn drop(&mut self) {
        assert!(self.0 != 4 || std::thread::panicking(), "it can't be dropped");
    }
}

#[tokio::test(start_paused = true)]
async fn types_that_panic_end_no_relay() {
    let network = Network::new(1);
    let rt = Runtime::new();
    let topics = PubSub::<Harmful, Harmful>::new(&rt);
    let relay = topics.across_nodes("news");
    let _tree = tree_of(&rt, node(&network, A), relay.clone()).await;
    // Two subscribers, so that an event is cloned.
    let mut streams = [(); 2].map(|()| topics.stream(Harmful(0)));
    let pid = rt.whereis("topics:news").unwrap();
    for (key, event) in [(1, 0), (3, 0), (4, 0), (0, 1), (0, 2), (0, 0)] {
        assert!(rt.send_term(pid, message("news", key, event)));
    }
    settled().await;
    assert_eq!(rt.whereis("topics:news"), Some(pid));
    let counts = relay.counts();
    assert_eq!((counts.undecodable, counts.received), (5, 1));
    assert!(streams.iter_mut().all(|stream| taken(stream).len() == 1));
}
