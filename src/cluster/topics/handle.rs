//! [`TopicRelay`]: topics as they are shared, and the child that shares them.

use std::fmt;
use std::hash::Hash;
use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde::ser::Serialize;

use crate::base::SharedStr;
use crate::child::ChildSpec;
use crate::cluster::remote::node_numbers::incarnation_of;
use crate::cluster::topics::counts::RelayCounts;
use crate::cluster::topics::outward::Outward;
use crate::cluster::topics::relay::{Relay, RelayArgs};
use crate::events::PubSub;
use crate::process::overflow_policy::Overflow;
use crate::server::GenServer;

/// The messages of other nodes that a relay keeps, unless its child has another bound.
const CAPACITY: usize = 10_000;

/// Shares a [`PubSub`] with the nodes of a cluster: what is published at one node reaches the subscribers
/// of all. [`PubSub::across_nodes`] returns it. It is a child of the program's tree, behind the
/// [`Node`](crate::cluster::Node), which has to share its [groups](crate::cluster::Node::groups). A clone
/// shows the counts of the same relay.
///
/// Publishers and subscribers are those of any `PubSub`, and nothing changes for them. A publish sends one
/// message to each connected node that shares topics of this name, not one for each subscriber. The relay
/// of that node publishes it there.
///
/// **What a subscriber at another node gets.** Each event at most once. The events of one publisher, for
/// one topic, in the order in which they were published, as long as the connection lasts. An event that
/// is published while there is no connection is not sent later, and a publish doesn't connect. An event
/// that is lost between nodes is not in [`TopicEvent::missed`](crate::TopicEvent::missed). It is counted
/// where it was lost: in [`counts`](Self::counts), and for a full mailbox of the relay in
/// [`ProcessInfo::dropped_messages`](crate::ProcessInfo::dropped_messages). So an event that must not be
/// missed is written into a store first.
///
/// **Which nodes.** Those that this node is connected to. A relay never sends on what it has received, so
/// no event comes back or arrives twice, and each pair of nodes needs a connection of its own. A node of
/// this crate does not connect to all others by itself: [`NodeRef::connect`](crate::cluster::NodeRef::connect).
///
/// **What may be lost.** A publish never waits. While more than half of the
/// [send buffer](crate::cluster::Node::send_buffer) of a node waits, events for that node are left out. So
/// they cost no connection, and leave room for links, monitors and calls. The relay keeps up to 10,000
/// messages that it has not published, and then drops the newest;
/// [`ChildSpec::mailbox_capacity`] sets another bound.
///
/// **If the relay ends**, the subscribers stay. Until its supervisor has started it again, no events are
/// sent and none arrive; those in its mailbox are lost.
///
/// **Types.** Keys and events are types of [serde](crate::cluster#values-of-rust-types). A message that
/// doesn't fit, for example one of a node with an older type, is counted and logged without its content.
/// Only the 1st, the 2nd, the 4th, the 8th and so on is logged. An event is decoded only if its topic has
/// subscribers at that node.
///
/// **Security.** Nothing is reachable without a relay. With it, every node that knows the cookie can publish
/// to these topics and receive their events, and processes that join the group receive them as well.
///
/// # Erlang and Elixir
///
/// The relays are the members of the group `"topics:news"` for the name `"news"`, and each has this name at
/// its node. A process on the BEAM that joins the group gets each event as
/// `{:regrow_topic, "news", key, event}`, a message as any other. To publish, it sends the same to all
/// members:
///
/// ```elixir
/// for relay <- :pg.get_members("topics:news") do
///   send(relay, {:regrow_topic, "news", "sport", "2:1"})
/// end
/// ```
///
/// Elixir: the adapter `Phoenix.PubSub.PG2`, whose messages are different.
///
/// # Examples
///
/// ```
/// use regrow::cluster::{Cookie, Network, Node};
/// use regrow::{PubSub, Runtime, Supervisor};
///
/// # tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true)
/// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
/// // Two nodes in one program, on a network without sockets.
/// let network = Network::new(7);
/// let node = |name| {
///     Node::new(name).cookie(Cookie::new("secret")).network(&network).groups("pg")
/// };
/// let (shop, till) = (Runtime::new(), Runtime::new());
/// let at_shop = PubSub::<String, u32>::new(&shop);
/// let at_till = PubSub::<String, u32>::new(&till);
/// let relay = at_shop.across_nodes("prices");
/// let tree = Supervisor::rest_for_one().child(node("shop@one")).child(relay.clone());
/// let _shop = tree.start(&shop).await?;
/// let tree = Supervisor::rest_for_one().child(node("till@two"));
/// let _till = tree.child(at_till.across_nodes("prices")).start(&till).await?;
///
/// shop.node("till@two").connect().await?;
/// while relay.nodes() != ["till@two"] {
///     tokio::task::yield_now().await; // the other relay is not known yet
/// }
/// let mut prices = at_till.stream("milk".to_owned());
/// at_shop.publish(&"milk".to_owned(), 120);
/// assert_eq!(prices.next().await.unwrap().event, 120);
/// assert_eq!(relay.counts().sent, 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })).unwrap();
/// ```
#[must_use = "it does nothing until a supervisor is given it"]
pub struct TopicRelay<K, T> {
    args: RelayArgs<K, T>,
}

impl<K, T> PubSub<K, T>
where
    K: Serialize + DeserializeOwned + Eq + Hash + Clone + Send + Sync + 'static,
    T: Serialize + DeserializeOwned + Clone + Send + 'static,
{
    /// Returns a child that shares these topics with the nodes of a cluster, under a name that the
    /// topics have at all of these nodes. [`TopicRelay`] has an example. Elixir: the option `:name` of
    /// `Phoenix.PubSub`.
    ///
    /// # Errors
    ///
    /// The child does not start if no node runs that shares its groups, if the name is empty or has more
    /// than 200 bytes, if these topics have a relay that runs, or if the supervisor is one of another
    /// runtime ([`TopicsError`](crate::cluster::TopicsError)). Nor does it start if other topics of this
    /// runtime have a relay of this name.
    pub fn across_nodes(&self, name: impl Into<String>) -> TopicRelay<K, T> {
        let outward = Outward::new(self.runtime().clone(), name.into().into());
        TopicRelay { args: RelayArgs { topics: self.clone(), outward: Arc::new(outward) } }
    }

    /// Publishes an event to the subscribers of this program only, as [`publish`](Self::publish) does for
    /// topics that are not shared. Elixir: `Phoenix.PubSub.local_broadcast/3`.
    ///
    /// ```
    /// use regrow::{PubSub, Runtime};
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let news = PubSub::<String, String>::new(&Runtime::new());
    /// let mut stream = news.stream("cache".to_owned());
    /// assert_eq!(news.publish_local(&"cache".to_owned(), "cleared".to_owned()), 1);
    /// assert_eq!(stream.next().await.unwrap().event, "cleared");
    /// # }));
    /// ```
    ///
    /// # Panics
    ///
    /// If `Clone` of the event panics: then some subscribers may have got it.
    pub fn publish_local(&self, key: &K, event: T) -> usize {
        self.publish_here(key, event)
    }
}

impl<K, T> TopicRelay<K, T> {
    /// Returns the name of the topics.
    pub fn name(&self) -> &str {
        &self.args.outward.name
    }

    /// Returns the name of the group whose members are the relays: `"topics:news"` for the name `"news"`.
    pub fn group(&self) -> &str {
        &self.args.outward.group
    }

    /// Returns the names of the other nodes that have a relay of these topics, or another member of their
    /// group, and are connected, in alphabetical order. [`TopicRelay`] has an example.
    pub fn nodes(&self) -> Vec<SharedStr> {
        let members = self.args.outward.members();
        let node = |pid| Some(incarnation_of(pid)?.name.as_str().into());
        let mut nodes: Vec<SharedStr> = members.into_iter().filter_map(node).collect();
        nodes.sort_unstable();
        nodes.dedup();
        nodes
    }

    /// Returns what this relay has done so far. [`TopicRelay`] has an example.
    pub fn counts(&self) -> RelayCounts {
        self.args.outward.counts.read()
    }
}

/// The relay as a child, whose id is the name of its [`group`](TopicRelay::group).
impl<K, T> From<TopicRelay<K, T>> for ChildSpec
where
    K: Serialize + DeserializeOwned + Eq + Hash + Clone + Send + Sync + 'static,
    T: Serialize + DeserializeOwned + Clone + Send + 'static,
{
    fn from(relay: TopicRelay<K, T>) -> Self {
        let group = relay.group().to_owned();
        let server = Relay::spec(relay.args).named(group.clone()).label(group);
        ChildSpec::from(server.mailbox_capacity(CAPACITY, Overflow::DropNewest))
    }
}

impl<K, T> Clone for TopicRelay<K, T> {
    fn clone(&self) -> Self {
        TopicRelay { args: self.args.clone() }
    }
}

impl<K, T> fmt::Debug for TopicRelay<K, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TopicRelay({:?}, {:?})", self.name(), self.counts())
    }
}
