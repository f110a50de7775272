//! The changes of a registry, for its listeners.
//!
//! A change is put into the queue of each listener under the registry's lock, so each queue has the
//! changes in the order in which they were made. Listeners are woken after the lock is released. A
//! listener that is dropped is removed from the registry at once, and its queued changes are
//! dropped.

use std::collections::{BTreeMap, VecDeque};
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, Waker, ready};

use futures_util::{Stream, StreamExt};
use tokio::task::coop;

use crate::base::{Pid, PlainMutex, ignore_panic};

/// One change of a registry. [`RegistryChanges`] has an example.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum RegistryChange<K, V = ()> {
    /// A process was registered.
    Registered {
        /// The key.
        key: K,
        /// The process.
        pid: Pid,
        /// A clone of the value.
        value: V,
    },
    /// The entry of a process was removed, by [`unregister`](crate::Registry::unregister) or by the
    /// end of the process.
    Unregistered {
        /// The key.
        key: K,
        /// The process.
        pid: Pid,
        /// A clone of the last value, which [`update`](crate::Registry::update) may have changed.
        value: V,
    },
}

/// A variant of [`RegistryChange`].
pub(super) type Variant<K, V> = fn(K, Pid, V) -> RegistryChange<K, V>;

pub(super) fn registered<K, V>(key: K, pid: Pid, value: V) -> RegistryChange<K, V> {
    RegistryChange::Registered { key, pid, value }
}

pub(super) fn unregistered<K, V>(key: K, pid: Pid, value: V) -> RegistryChange<K, V> {
    RegistryChange::Unregistered { key, pid, value }
}

/// A stream of all changes of a [`Registry`](crate::Registry) after the call of
/// [`changes`](crate::Registry::changes), in the order in which they were made. Changes that are
/// not received yet are kept, without a bound.
///
/// A server can receive the changes as casts: it passes the stream to
/// [`pipe`](crate::ServerContext::pipe). Elixir: the listeners of a registry.
///
/// ```
/// use regrow::{Registry, RegistryChange, Runtime};
///
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
/// let rt = Runtime::new();
/// let sessions: Registry<u64, &str> = Registry::unique(&rt);
/// let mut changes = sessions.changes();
/// let ann = rt.spawn(|_| std::future::pending());
/// let pid = ann.pid();
/// sessions.register(pid, 7, "ann").unwrap();
/// ann.kill();
/// let (key, value) = (7, "ann");
/// assert_eq!(changes.next().await, Some(RegistryChange::Registered { key, pid, value }));
/// assert_eq!(changes.next().await, Some(RegistryChange::Unregistered { key, pid, value }));
/// # }));
/// ```
#[derive(Debug)]
#[must_use = "it keeps every change that is not received"]
pub struct RegistryChanges<K, V = ()> {
    queue: Arc<PlainMutex<ChangeQueue<K, V>>>,
    number: u64,
    registry: Weak<dyn ListenedRegistry>,
}

/// The part of a registry that its listeners use.
pub(super) trait ListenedRegistry: Send + Sync {
    /// Removes the listener that has this number.
    fn remove_listener(&self, number: u64);
}

impl std::fmt::Debug for dyn ListenedRegistry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ListenedRegistry")
    }
}

impl<K, V> RegistryChanges<K, V> {
    /// Waits for the next change. Returns `None` when the last handle of the registry was dropped.
    /// [`RegistryChanges`] has an example.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: a wait that is dropped has received nothing.
    pub async fn next(&mut self) -> Option<RegistryChange<K, V>> {
        StreamExt::next(self).await
    }
}

impl<K, V> Stream for RegistryChanges<K, V> {
    type Item = RegistryChange<K, V>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let budget = ready!(coop::poll_proceed(cx));
        let waker = cx.waker().clone();
        let mut queue = self.queue.lock();
        if let Some(change) = queue.changes.pop_front() {
            budget.made_progress();
            return Poll::Ready(Some(change));
        }
        if queue.closed {
            budget.made_progress();
            return Poll::Ready(None);
        }
        let before = queue.waker.replace(waker);
        drop(queue);
        drop(before);
        Poll::Pending
    }
}

impl<K, V> Drop for RegistryChanges<K, V> {
    fn drop(&mut self) {
        let number = self.number;
        let forget = |registry: Arc<dyn ListenedRegistry>| registry.remove_listener(number);
        // The upgraded reference may be the last one to the registry. Its drop then drops the keys
        // and values, whose destructors are user code.
        ignore_panic(|| self.registry.upgrade().into_iter().for_each(forget));
    }
}

/// The listeners of one registry, by number.
pub(super) struct Listeners<K, V> {
    list: BTreeMap<u64, Listener<K, V>>,
    /// The number of the listener that was added last.
    last: u64,
}

struct Listener<K, V> {
    queue: Arc<PlainMutex<ChangeQueue<K, V>>>,
    /// Clones a value. Only a registry that has listeners needs values that are `Clone`.
    clone: fn(&V) -> V,
}

#[derive(Debug)]
struct ChangeQueue<K, V> {
    changes: VecDeque<RegistryChange<K, V>>,
    waker: Option<Waker>,
    /// Set when the registry was dropped: no more changes follow.
    closed: bool,
}

impl<K, V> Listeners<K, V> {
    pub(super) fn new() -> Self {
        Listeners { list: BTreeMap::new(), last: 0 }
    }

    pub(super) fn add(&mut self, registry: Weak<dyn ListenedRegistry>) -> RegistryChanges<K, V>
    where
        V: Clone,
    {
        let queue = ChangeQueue { changes: VecDeque::new(), waker: None, closed: false };
        let queue = Arc::new(PlainMutex::new(queue));
        self.last += 1;
        self.list.insert(self.last, Listener { queue: queue.clone(), clone: V::clone });
        RegistryChanges { queue, number: self.last, registry }
    }

    /// Removes a listener. No user code runs under the lock, because the listener itself still
    /// holds its changes.
    pub(super) fn remove(&mut self, number: u64) {
        self.list.remove(&number);
    }

    /// Ends all streams, since the registry is being dropped.
    pub(super) fn close(&mut self) -> Wakers {
        let wakers = self.list.values().filter_map(|listener| {
            let mut queue = listener.queue.lock();
            queue.closed = true;
            queue.waker.take()
        });
        Wakers(wakers.collect())
    }

    /// Puts a change of each of these entries of a process into the queue of each listener.
    pub(super) fn publish<'a>(
        &mut self,
        change: Variant<K, V>,
        pid: Pid,
        entries: &(impl Iterator<Item = (&'a K, &'a V)> + Clone),
    ) -> Wakers
    where
        K: Clone + 'a,
        V: 'a,
    {
        let mut wakers = Wakers::default();
        for Listener { queue, clone } in self.list.values() {
            let mut queue = queue.lock();
            let changes =
                entries.clone().map(|(key, value)| change(key.clone(), pid, clone(value)));
            queue.changes.extend(changes);
            wakers.0.extend(queue.waker.take());
        }
        wakers
    }
}

/// The wakers of listeners, to be woken after the registry's lock is released.
#[derive(Default)]
#[must_use]
pub(super) struct Wakers(Vec<Waker>);

impl Wakers {
    /// Wakes all listeners, even if one of their wakers panics.
    pub(super) fn wake(self) {
        for waker in self.0 {
            ignore_panic(|| waker.wake());
        }
    }
}
