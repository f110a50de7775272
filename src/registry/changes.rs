//! Listening to a registry.
//!
//! A change is told under the registry's lock, so in the order in which changes are made;
//! whom that wakes is woken after it. A listener that goes takes along what it hasn't heard,
//! and the next change finds it gone.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};

use futures_util::{Stream, StreamExt};
use tokio::task::coop;

use crate::pid::Pid;
use crate::quietly::quietly;

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
    inbox: Arc<Inbox<K>>,
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
        let mut queue = self.inbox.lock();
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
        let mut queue = self.inbox.lock();
        queue.deaf = true;
        let unheard = (std::mem::take(&mut queue.changes), queue.waker.take());
        drop(queue);
        drop(unheard);
    }
}

/// All who listen to one registry.
pub(super) struct Listeners<K>(Vec<Arc<Inbox<K>>>);

#[derive(Debug)]
struct Inbox<K>(Mutex<Queue<K>>);

#[derive(Debug)]
struct Queue<K> {
    changes: VecDeque<RegistryChange<K>>,
    waker: Option<Waker>,
    /// The registry is gone.
    closed: bool,
    /// The listener is.
    deaf: bool,
}

impl<K> Inbox<K> {
    fn lock(&self) -> MutexGuard<'_, Queue<K>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K> Default for Listeners<K> {
    fn default() -> Self {
        Listeners(Vec::new())
    }
}

impl<K> Listeners<K> {
    pub(super) fn add(&mut self) -> RegistryChanges<K> {
        let changes = VecDeque::new();
        let queue = Queue { changes, waker: None, closed: false, deaf: false };
        let inbox = Arc::new(Inbox(Mutex::new(queue)));
        self.0.push(inbox.clone());
        RegistryChanges { inbox }
    }

    /// Nothing more will change.
    pub(super) fn close(&mut self) -> Told<K> {
        let wakers = self.0.drain(..).filter_map(|inbox| {
            let mut queue = inbox.lock();
            queue.closed = true;
            queue.waker.take()
        });
        Told { _changes: Vec::new(), wakers: wakers.collect() }
    }
}

impl<K: Clone> Listeners<K> {
    /// Tells all of these changes, if there is anybody.
    pub(super) fn tell(&mut self, changes: impl Iterator<Item = RegistryChange<K>>) -> Told<K> {
        let mut told = Told::default();
        if self.0.is_empty() {
            return told;
        }
        let changes: Vec<_> = changes.collect();
        self.0.retain(|inbox| {
            let mut queue = inbox.lock();
            if !queue.deaf {
                queue.changes.extend(changes.iter().cloned());
                told.wakers.extend(queue.waker.take());
            }
            !queue.deaf
        });
        Told { _changes: changes, ..told }
    }
}

/// What is to be done and dropped when the registry is no longer locked.
#[must_use]
pub(super) struct Told<K> {
    _changes: Vec<RegistryChange<K>>,
    wakers: Vec<Waker>,
}

impl<K> Default for Told<K> {
    fn default() -> Self {
        Told { _changes: Vec::new(), wakers: Vec::new() }
    }
}

impl<K> Told<K> {
    /// One that panics keeps nobody else asleep.
    pub(super) fn wake(self) {
        for waker in self.wakers {
            quietly(|| waker.wake());
        }
    }
}
