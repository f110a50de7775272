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
pub enum RegistryChange<K> {
    /// A process was registered.
    Registered {
        /// The key.
        key: K,
        /// The process.
        pid: Pid,
    },
    /// The entry of a process was removed, by [`unregister`](crate::Registry::unregister) or by the
    /// end of the process.
    Unregistered {
        /// The key.
        key: K,
        /// The process.
        pid: Pid,
    },
}

impl<K> RegistryChange<K> {
    pub(super) fn unregistered(key: &K, pid: Pid) -> Self
    where
        K: Clone,
    {
        RegistryChange::Unregistered { key: key.clone(), pid }
    }
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
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let rt = Runtime::new();
/// let sessions: Registry<u64> = Registry::unique(&rt);
/// let mut changes = sessions.changes();
/// let ann = rt.spawn(|_| std::future::pending());
/// let pid = ann.pid();
/// sessions.register(pid, 7, ()).unwrap();
/// ann.kill();
/// assert_eq!(changes.next().await, Some(RegistryChange::Registered { key: 7, pid }));
/// assert_eq!(changes.next().await, Some(RegistryChange::Unregistered { key: 7, pid }));
/// # });
/// ```
#[derive(Debug)]
#[must_use = "it keeps every change that is not received"]
pub struct RegistryChanges<K> {
    queue: Arc<PlainMutex<ChangeQueue<K>>>,
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

impl<K> RegistryChanges<K> {
    /// Waits for the next change. Returns `None` when the last handle of the registry was dropped.
    /// [`RegistryChanges`] has an example.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: a wait that is dropped has received nothing.
    pub async fn next(&mut self) -> Option<RegistryChange<K>> {
        StreamExt::next(self).await
    }
}

impl<K> Stream for RegistryChanges<K> {
    type Item = RegistryChange<K>;

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

impl<K> Drop for RegistryChanges<K> {
    fn drop(&mut self) {
        let number = self.number;
        let forget = |registry: Arc<dyn ListenedRegistry>| registry.remove_listener(number);
        // The upgraded reference may be the last one to the registry. Its drop then drops the keys
        // and values, whose destructors are user code.
        ignore_panic(|| self.registry.upgrade().into_iter().for_each(forget));
    }
}

/// The listeners of one registry, by number.
pub(super) struct Listeners<K> {
    list: BTreeMap<u64, Arc<PlainMutex<ChangeQueue<K>>>>,
    /// The number of the listener that was added last.
    last: u64,
}

#[derive(Debug)]
struct ChangeQueue<K> {
    changes: VecDeque<RegistryChange<K>>,
    waker: Option<Waker>,
    /// Set when the registry was dropped: no more changes follow.
    closed: bool,
}

impl<K> Listeners<K> {
    pub(super) fn new() -> Self {
        Listeners { list: BTreeMap::new(), last: 0 }
    }

    pub(super) fn add(&mut self, registry: Weak<dyn ListenedRegistry>) -> RegistryChanges<K> {
        let queue = ChangeQueue { changes: VecDeque::new(), waker: None, closed: false };
        let queue = Arc::new(PlainMutex::new(queue));
        self.last += 1;
        self.list.insert(self.last, queue.clone());
        RegistryChanges { queue, number: self.last, registry }
    }

    /// Removes a listener. No user code runs under the lock, because the listener itself still
    /// holds its changes.
    pub(super) fn remove(&mut self, number: u64) {
        self.list.remove(&number);
    }

    /// Ends all streams, since the registry is being dropped.
    pub(super) fn close(&mut self) -> Published<K> {
        let wakers = self.list.values().filter_map(|queue| {
            let mut queue = queue.lock();
            queue.closed = true;
            queue.waker.take()
        });
        Published { _changes: Vec::new(), wakers: wakers.collect() }
    }
}

impl<K: Clone> Listeners<K> {
    /// Puts these changes into the queue of each listener. If there are no listeners, the changes
    /// are not created.
    pub(super) fn publish(
        &mut self,
        changes: impl Iterator<Item = RegistryChange<K>>,
    ) -> Published<K> {
        let mut published = Published::default();
        if self.list.is_empty() {
            return published;
        }
        let changes: Vec<_> = changes.collect();
        for queue in self.list.values() {
            let mut queue = queue.lock();
            queue.changes.extend(changes.iter().cloned());
            published.wakers.extend(queue.waker.take());
        }
        Published { _changes: changes, ..published }
    }
}

/// The listeners to wake, and the values to drop, after the registry's lock is released.
#[must_use]
pub(super) struct Published<K> {
    _changes: Vec<RegistryChange<K>>,
    wakers: Vec<Waker>,
}

impl<K> Default for Published<K> {
    fn default() -> Self {
        Published { _changes: Vec::new(), wakers: Vec::new() }
    }
}

impl<K> Published<K> {
    /// Wakes all listeners, even if one of their wakers panics.
    pub(super) fn wake(self) {
        for waker in self.wakers {
            ignore_panic(|| waker.wake());
        }
    }
}
