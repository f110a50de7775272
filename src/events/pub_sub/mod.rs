//! [`PubSub`]: events that are published under a key, for subscribers that are servers or streams.
//!
//! No process is between a publisher and the subscribers: a publish runs in its caller, reads the table
//! of topics, and sends to each subscriber.
//!
//! **Guarantees**
//! 1. A publish never waits, and no subscriber makes it fail.
//! 2. A subscriber gets the events of one publisher, for one topic, in the order in which they were
//!    published. Between events of different publishers there is no order.
//! 3. A process that has been notified of the end of a server finds no subscription of that server.
//! 4. An event that is published after the call that subscribes has returned reaches the
//!    subscriber. An event that is published after the call that ends the subscription has returned
//!    does not.
//!
//! **Steps** of a publish:
//! 1. Under the lock, take a snapshot of the subscribers of the topic, and the way to those of other
//!    nodes.
//! 2. Without the lock, send the event to the other nodes, if the topics are shared with any.
//! 3. Make a cast for each server and send it, or add the event to the queue of the stream.
//!
//! **Invariants**
//! 1. The lock of the topics is taken first, then that of one process. A teardown, a publish and a
//!    destructor hold no lock when they take the lock of the topics.
//! 2. Under the lock of the topics keys are hashed, compared and cloned. All other user code runs
//!    without a lock.
//! 3. A server is in the table only while the record of its process lists these topics. The record
//!    lists them like a registry, so the teardown of the process removes the server's
//!    subscriptions.
//!
//! **The other side ends:**
//!
//! | a subscription ends | |
//! |---|---|
//! | before step 1 | the event does not reach it |
//! | before step 3, as a stream | the closed queue accepts no event |
//! | before step 3, as a server that has ended or stops | the send is refused, and is a dead letter |
//! | before step 3, by its guard | the server may get this one event |

use std::fmt;
use std::hash::Hash;
use std::sync::Arc;

use crate::base::ignore_panic;
use crate::exit::Result;
use crate::runtime::{CallError, Runtime};
use crate::server::{GenServer, ServerRef};

mod elsewhere;
mod subscriber;
mod server_subscriber;
mod subscription;
mod topics;
mod stream;
mod shared;

use server_subscriber::ServerSubscriber;
use shared::Shared;
use stream::StreamQueue;
use subscriber::{Deliver, Delivered, Losses};
use subscription::Unsubscribe;
use topics::Snapshot;

#[cfg(feature = "cluster")]
pub(crate) use elsewhere::Elsewhere;
pub use stream::{StreamOverflow, TopicStream};
pub use subscriber::Subscriber;
pub use subscription::Subscription;

/// How many events a stream keeps, unless it is made with another bound.
const STREAM_CAPACITY: usize = 1_024;

/// Topics: an event of type `T` that is published under a key reaches all subscribers of that key. A
/// handle is cheap to clone, and all clones share the subscribers. A topic exists while it has
/// subscribers. Elixir: `Phoenix.PubSub`, and `Registry` with duplicate keys.
///
/// * A server [subscribes](Self::subscribe) with a function that makes a cast of the event. Its
///   subscription ends with the server. The mailbox of the server bounds what it has not handled.
/// * Any other code subscribes with a [stream](Self::stream), which has a bound of its own.
///
/// A publish does not wait. A subscriber that can't keep up misses events, and delays neither the
/// publisher nor another subscriber. The next event that it gets says how many it has missed, in
/// [`TopicEvent::missed`]. Each lost event is a [dead letter](Runtime::dead_letters).
///
/// Each subscriber gets a clone of the event. For a large event use an [`Arc`] as `T`.
///
/// # Nodes of a cluster
///
/// A `PubSub` reaches the subscribers of its own program. With the feature `cluster` its
/// [relay](https://docs.rs/regrow/latest/regrow/cluster/struct.TopicRelay.html), a child of the
/// program's tree that
/// [`across_nodes`](https://docs.rs/regrow/latest/regrow/struct.PubSub.html#method.across_nodes)
/// returns, shares it with the nodes of a cluster.
///
/// # Examples
///
/// ```
/// use regrow::{GenServer, PubSub, Reply, Result, Runtime, ServerContext, TopicEvent};
///
/// struct Reader(Vec<String>);
///
/// enum Cast {
///     News(TopicEvent<String>),
/// }
///
/// impl GenServer for Reader {
///     type Args = PubSub<&'static str, String>;
///     type Call = Reply<Vec<String>>;
///     type Cast = Cast;
///
///     async fn init(news: Self::Args, ctx: &mut ServerContext<Self>) -> Result<Self> {
///         news.subscribe("sport", &ctx.this(), Cast::News)?.keep();
///         Ok(Reader(vec![]))
///     }
///     async fn handle_call(&mut self, call: Self::Call, _: &mut ServerContext<Self>) -> Result {
///         call.send(self.0.clone());
///         Ok(())
///     }
///     async fn handle_cast(&mut self, cast: Cast, _: &mut ServerContext<Self>) -> Result {
///         let Cast::News(news) = cast;
///         self.0.push(news.event);
///         Ok(())
///     }
/// }
///
/// # tokio::runtime::Builder::new_current_thread().enable_time()
/// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
/// let rt = Runtime::new();
/// let news = PubSub::new(&rt);
/// let reader = Reader::start(&rt, news.clone()).await?;
/// let mut stream = news.stream("sport");
/// assert_eq!(news.publish(&"sport", "2:1".to_owned()), 2);
/// assert_eq!(news.publish(&"weather", "rain".to_owned()), 0);
/// assert_eq!(reader.call(|reply| reply).await?, ["2:1"]);
/// assert_eq!(stream.next().await.unwrap().event, "2:1");
///
/// reader.stop(regrow::ExitReason::Normal).await?;
/// assert_eq!(news.subscriber_count(&"sport"), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })).unwrap();
/// ```
pub struct PubSub<K, T> {
    shared: Arc<Shared<K, T>>,
}

/// An event, as a subscriber gets it. [`TopicStream`] has an example.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TopicEvent<T> {
    /// The event.
    pub event: T,
    /// How many events of this subscription were lost between the event before and this one.
    pub missed: u64,
}

impl<K, T> PubSub<K, T>
where
    K: Eq + Hash + Clone + Send + Sync + 'static,
    T: Clone + Send + 'static,
{
    /// Makes topics without subscribers. `Hash`, `Eq` and `Clone` of a key are called under a lock: they
    /// must not use these topics. [`PubSub`] has an example.
    pub fn new(runtime: &Runtime) -> Self {
        PubSub { shared: Shared::new(runtime) }
    }

    /// Publishes an event to the subscribers that the topic has now, in the order of their
    /// subscriptions, and doesn't wait. Returns how many of them have accepted it. The server of a
    /// subscription may end before it handles an event that it has accepted. If these topics are
    /// shared with other nodes, the event is also sent there, which the result does not count.
    /// [`PubSub`] has an example. Elixir: `Phoenix.PubSub.broadcast/3`.
    ///
    /// # Panics
    ///
    /// If `Clone` of the event panics: then some subscribers may have got it. For topics that are
    /// shared with other nodes, if `Serialize` of the key or the event panics: then no subscriber has
    /// got it.
    pub fn publish(&self, key: &K, event: T) -> usize {
        let (subscribers, elsewhere) = self.shared.change(|topics| topics.receivers(key));
        if let Some(elsewhere) = elsewhere {
            elsewhere.send(key, &event);
        }
        self.deliver(subscribers, event)
    }

    /// Delivers an event to these subscribers, and returns how many have accepted it.
    fn deliver(&self, subscribers: Option<Snapshot<T>>, event: T) -> usize {
        let Some(subscribers) = subscribers else { return 0 };
        let mut accepted = 0;
        let mut deliver = |(number, to): &(u64, Arc<dyn Deliver<T>>), event| match to.deliver(event)
        {
            Delivered::Accepted => accepted += 1,
            Delivered::Lost => {}
            Delivered::Unsubscribed => self.shared.unsubscribe(*number),
        };
        if let Some((last, others)) = subscribers.split_last() {
            others.iter().for_each(|to| deliver(to, event.clone()));
            deliver(last, event);
        }
        // A subscriber that was removed meanwhile is dropped with the snapshot.
        ignore_panic(|| drop(subscribers));
        accepted
    }

    /// Subscribes a server: each event of the topic becomes a cast, which `make` makes. `make` runs in
    /// the publisher and should only wrap the event; if it panics, that is logged, and the event counts
    /// as missed. A server that subscribes twice gets each event twice. A named handle subscribes the
    /// process that holds the name now: after a restart the new incarnation subscribes again, in its
    /// `init`, with the handle [`this`](crate::ServerContext::this). [`PubSub`] has an example.
    ///
    /// An event counts as missed if the mailbox of the server is [full](crate::Overflow) and
    /// refuses the event. A mailbox whose policy drops messages accepts the event first, so its
    /// losses are not in [`TopicEvent::missed`]. A mailbox without a bound accepts all events.
    ///
    /// # Errors
    ///
    /// [`NoProc`](CallError::NoProc) if the server has ended. For a handle by a name that no server
    /// of this type holds: the other errors of [`ServerRef::try_cast`].
    pub fn subscribe<S: GenServer>(
        &self,
        key: K,
        server: &ServerRef<S>,
        make: impl Fn(TopicEvent<T>) -> S::Cast + Send + Sync + 'static,
    ) -> Result<Subscription, CallError> {
        let process = server.resolve()?.into_owned();
        let losses = Arc::<Losses>::default();
        let subscriber = ServerSubscriber { process: process.clone(), make, losses };
        let (losses, pid) = (subscriber.losses.clone(), Some(process.pid()));
        let mut new = Some(([key.clone(), key], Arc::new(subscriber)));
        let added = self.shared.change(|topics| {
            let new = new.take_if(|_| self.shared.add_to_process(&*process))?;
            Some(topics.add(new.0, pid, new.1))
        });
        // A refused subscriber is dropped after the lock is released.
        drop(new);
        let (number, spare) = added.ok_or_else(|| server.refusal(&process))?;
        drop(spare);
        Ok(Subscription { number, source: Some(self.shared.source()), losses })
    }

    /// Subscribes with a stream that keeps up to 1,024 events and then drops the oldest. Any code can
    /// read it, inside and outside of processes. [`PubSub`] has an example.
    pub fn stream(&self, key: K) -> TopicStream<T> {
        self.stream_with(key, STREAM_CAPACITY, StreamOverflow::default())
    }

    /// Subscribes with a stream that keeps up to `capacity` events, and with a policy for what comes
    /// while it is full. [`TopicStream`] has an example.
    ///
    /// # Panics
    ///
    /// If `capacity` is 0: no event could ever be received.
    pub fn stream_with(&self, key: K, capacity: usize, overflow: StreamOverflow) -> TopicStream<T> {
        assert!(capacity > 0, "a stream with a capacity of 0 would receive no event");
        let queue = Arc::new(StreamQueue::new(&self.shared.runtime, capacity, overflow));
        let (keys, subscriber) = ([key.clone(), key], queue.clone());
        let (number, spare) = self.shared.change(|topics| topics.add(keys, None, subscriber));
        drop(spare);
        TopicStream { queue, number, source: self.shared.source() }
    }

    /// Returns the number of subscriptions of a topic. [`PubSub`] has an example.
    pub fn subscriber_count(&self, key: &K) -> usize {
        self.shared.topics.lock().count(key)
    }

    /// Returns the subscribers of a topic, in the order of their subscriptions, with the numbers of the
    /// events that they have missed.
    ///
    /// ```
    /// use regrow::{PubSub, Runtime, StreamOverflow};
    ///
    /// let rt = Runtime::new();
    /// let news: PubSub<&str, u8> = PubSub::new(&rt);
    /// let slow = news.stream_with("sport", 1, StreamOverflow::DropNewest);
    /// assert_eq!((news.publish(&"sport", 1), news.publish(&"sport", 2)), (1, 0));
    /// assert_eq!(news.subscribers(&"sport")[0].missed, 1);
    /// assert_eq!(news.keys(), ["sport"]);
    /// drop(slow);
    /// assert!(news.keys().is_empty());
    /// ```
    pub fn subscribers(&self, key: &K) -> Vec<Subscriber> {
        let snapshot = self.shared.topics.lock().snapshot(key);
        snapshot.iter().flat_map(|list| list.iter()).map(|(_, to)| to.info()).collect()
    }

    /// Returns the topics that have subscribers, in no particular order.
    /// [`subscribers`](Self::subscribers) has an example.
    pub fn keys(&self) -> Vec<K> {
        self.shared.topics.lock().keys()
    }
}

impl<K, T> Clone for PubSub<K, T> {
    fn clone(&self) -> Self {
        PubSub { shared: self.shared.clone() }
    }
}

impl<K, T> fmt::Debug for PubSub<K, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (topics, subscriptions) = self.shared.topics.lock().counts();
        write!(f, "PubSub({topics} topics, {subscriptions} subscriptions)")
    }
}
