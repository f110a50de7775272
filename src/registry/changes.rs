//! Listening to a registry.
//!
//! A change is told under the registry's lock, so in the order in which changes are made;
//! listeners are woken after it. A listener that is dropped leaves the registry at once, and the
//! changes that it has not received are dropped with it.

use std::collections::{BTreeMap, VecDeque};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, Waker, ready};

use futures_util::{Stream, StreamExt};
use tokio::task::coop;

use crate::base::catch::ignore_panic;
use crate::base::pid::Pid;

/// One change of a registry. [`RegistryChanges`] has an example.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum RegistryChange<K> {
    /// A process was registered.
    Registered {
        /// Under this key.
        key: K,
        /// Who.
        pid: Pid,
    },
    /// It is no more: it was taken out, or it ended.
    Unregistered {
        /// Under this key.
        key: K,
        /// Who.
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

/// The changes of a [`Registry`](crate::Registry) from a moment on: each of them, in the order
/// in which they were made. What is not heard yet is kept, as in a mailbox without a bound.
///
/// It is a stream: a server takes them into its mailbox by
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
#[must_use = "it keeps what is not heard"]
pub struct RegistryChanges<K> {
    queue: Arc<ChangeQueue<K>>,
    number: u64,
    registry: Weak<dyn ListenedRegistry>,
}

/// A registry, to one who listens to it.
pub(super) trait ListenedRegistry: Send + Sync {
    /// The listener of this number is dropped. Nothing is told to it after this.
    fn remove_listener(&self, number: u64);
}

impl std::fmt::Debug for dyn ListenedRegistry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ListenedRegistry")
    }
}

impl<K> RegistryChanges<K> {
    /// The next change, or `None` when the registry is gone, with its last handle.
    /// [`RegistryChanges`] has an example.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: a wait that is dropped has taken nothing.
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
        // Its last handle may have gone meanwhile: then its keys and values, a user's, go here.
        ignore_panic(|| self.registry.upgrade().into_iter().for_each(forget));
    }
}

/// All who listen to one registry, in the order of their numbers.
pub(super) struct Listeners<K> {
    list: BTreeMap<u64, Arc<ChangeQueue<K>>>,
    /// The number of the last that came.
    last: u64,
}

#[derive(Debug)]
struct ChangeQueue<K>(Mutex<Queue<K>>);

#[derive(Debug)]
struct Queue<K> {
    changes: VecDeque<RegistryChange<K>>,
    waker: Option<Waker>,
    /// The registry is gone.
    closed: bool,
}

impl<K> ChangeQueue<K> {
    fn lock(&self) -> MutexGuard<'_, Queue<K>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K> Default for Listeners<K> {
    fn default() -> Self {
        Listeners { list: BTreeMap::new(), last: 0 }
    }
}

impl<K> Listeners<K> {
    pub(super) fn add(&mut self, registry: Weak<dyn ListenedRegistry>) -> RegistryChanges<K> {
        let queue = Queue { changes: VecDeque::new(), waker: None, closed: false };
        let queue = Arc::new(ChangeQueue(Mutex::new(queue)));
        self.last += 1;
        self.list.insert(self.last, queue.clone());
        RegistryChanges { queue, number: self.last, registry }
    }

    /// Drops no value of a user's here: the listener that is dropped holds its changes.
    pub(super) fn remove(&mut self, number: u64) {
        self.list.remove(&number);
    }

    /// Nothing more will change.
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
    /// Tells all of these changes, if there is anybody.
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

/// What is to be done and dropped when the registry is no longer locked.
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
    /// One that panics keeps nobody else asleep.
    pub(super) fn wake(self) {
        for waker in self.wakers {
            ignore_panic(|| waker.wake());
        }
    }
}
