//! The tables of a [`PubSub`](crate::PubSub): the subscribers of each topic, and the subscriptions
//! of each process.
//!
//! Each subscription has a number, greater than the numbers of all earlier subscriptions. A publish
//! takes a snapshot of the subscribers of its topic. The snapshot is kept until the subscribers
//! change. So adding or removing a subscriber copies no list, and a publish copies the list only if
//! the subscribers have changed since the last snapshot.
//!
//! The destructors of subscribers and keys are user code. So a method that removes a subscription
//! returns the subscriber and the keys of that subscription. The caller drops them after the lock
//! is released.

use std::collections::BTreeMap;
use std::hash::Hash;
use std::sync::Arc;

use crate::base::Pid;
use crate::base::random::Map;
use crate::base::small_map::SmallMap;
use crate::events::pub_sub::elsewhere::Elsewhere;
use crate::events::pub_sub::subscriber::Deliver;

/// The subscribers of a topic at one moment, in the order of their subscriptions.
pub(super) type Snapshot<T> = Arc<[(u64, Arc<dyn Deliver<T>>)]>;

/// The subscribers in these tables, and the [`Elsewhere`] that sends to all other subscribers.
pub(super) type Receivers<K, T> = (Option<Snapshot<T>>, Option<Arc<dyn Elsewhere<K, T>>>);

pub(super) struct Topics<K, T> {
    topics: Map<K, Topic<T>>,
    /// The topic of each subscription, and the pid of the server if the subscriber is a server.
    subscriptions: Map<u64, (K, Option<Pid>)>,
    by_pid: Map<Pid, SmallMap<u64, ()>>,
    last: u64,
    /// Sends to the subscribers that are not in these tables. `None` while no [`Elsewhere`] is set.
    pub(super) elsewhere: Option<Arc<dyn Elsewhere<K, T>>>,
}

struct Topic<T> {
    subscribers: BTreeMap<u64, Arc<dyn Deliver<T>>>,
    snapshot: Option<Snapshot<T>>,
}

/// A subscription that was removed, to be dropped after the lock is released.
pub(super) struct Removed<K, T> {
    _subscriber: Option<Arc<dyn Deliver<T>>>,
    _snapshot: Option<Snapshot<T>>,
    _keys: (K, Option<K>),
    /// The subscribed process, if it has no other subscription.
    pub(super) left: Option<Pid>,
}

impl<K, T> Default for Topics<K, T> {
    fn default() -> Self {
        let (topics, subscriptions, by_pid) = (Map::default(), Map::default(), Map::default());
        Topics { topics, subscriptions, by_pid, last: 0, elsewhere: None }
    }
}

impl<K: Eq + Hash + Clone, T> Topics<K, T> {
    /// Adds a subscription. The key is given twice, once for each table. Returns the number of the
    /// subscription. If the topic already had subscribers, one of the two keys is not needed and is
    /// also returned.
    pub(super) fn add(
        &mut self,
        [key, own]: [K; 2],
        pid: Option<Pid>,
        subscriber: Arc<dyn Deliver<T>>,
    ) -> (u64, Option<K>) {
        self.last += 1;
        self.subscriptions.insert(self.last, (own, pid));
        if let Some(pid) = pid {
            self.by_pid.entry(pid).or_default().insert(self.last, ());
        }
        if let Some(topic) = self.topics.get_mut(&key) {
            topic.subscribers.insert(self.last, subscriber);
            // `subscribers` contains each subscriber of the snapshot, so no subscriber is dropped
            // here.
            topic.snapshot = None;
            return (self.last, Some(key));
        }
        let subscribers = BTreeMap::from([(self.last, subscriber)]);
        self.topics.insert(key, Topic { subscribers, snapshot: None });
        (self.last, None)
    }

    /// Returns all receivers of an event that is published to this topic.
    pub(super) fn receivers(&mut self, key: &K) -> Receivers<K, T> {
        (self.snapshot(key), self.elsewhere.clone())
    }

    /// Returns the subscribers of a topic.
    pub(super) fn snapshot(&mut self, key: &K) -> Option<Snapshot<T>> {
        let Topic { subscribers, snapshot } = self.topics.get_mut(key)?;
        let fresh = || subscribers.iter().map(|(number, to)| (*number, to.clone())).collect();
        Some(snapshot.get_or_insert_with(fresh).clone())
    }

    /// Removes a subscription.
    pub(super) fn remove(&mut self, number: u64) -> Option<Removed<K, T>> {
        let (key, pid) = self.subscriptions.remove(&number)?;
        let topic = self.topics.get_mut(&key)?;
        let (subscriber, snapshot) = (topic.subscribers.remove(&number), topic.snapshot.take());
        let is_empty = topic.subscribers.is_empty();
        let spare = if is_empty { self.topics.remove_entry(&key) } else { None };
        let left = pid.filter(|pid| {
            let Some(own) = self.by_pid.get_mut(pid) else { return false };
            own.remove(&number);
            own.is_empty() && self.by_pid.remove(pid).is_some()
        });
        let keys = (key, spare.map(|(key, _)| key));
        Some(Removed { _subscriber: subscriber, _snapshot: snapshot, _keys: keys, left })
    }

    /// Removes all subscriptions of a process.
    pub(super) fn remove_all(&mut self, pid: Pid) -> Vec<Removed<K, T>> {
        let numbers: Vec<_> = self.by_pid.get(&pid).into_iter().flat_map(SmallMap::keys).collect();
        let numbers: Vec<_> = numbers.into_iter().copied().collect();
        numbers.into_iter().filter_map(|number| self.remove(number)).collect()
    }

    /// Returns all topics that have subscribers.
    pub(super) fn keys(&self) -> Vec<K> {
        self.topics.keys().cloned().collect()
    }

    pub(super) fn count(&self, key: &K) -> usize {
        self.topics.get(key).map_or(0, |topic| topic.subscribers.len())
    }
}

impl<K, T> Topics<K, T> {
    /// Returns the number of topics and the number of subscriptions.
    pub(super) fn counts(&self) -> (usize, usize) {
        (self.topics.len(), self.subscriptions.len())
    }

    /// Returns the processes that have subscriptions.
    pub(super) fn members(&self) -> Vec<Pid> {
        self.by_pid.keys().copied().collect()
    }

    /// Returns all subscribers.
    pub(super) fn subscribers(&self) -> impl Iterator<Item = &Arc<dyn Deliver<T>>> {
        self.topics.values().flat_map(|topic| topic.subscribers.values())
    }
}
