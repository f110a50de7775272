//! Listening to a registry.

use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

use crate::pid::Pid;

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

/// The changes of a [`Registry`](crate::Registry) from a moment on. A listener that lies
/// more than 1,024 changes behind misses the oldest; nobody waits for it.
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
pub struct RegistryChanges<K> {
    receiver: Receiver<RegistryChange<K>>,
    missed: u64,
}

impl<K: Clone> RegistryChanges<K> {
    pub(super) fn new(receiver: Receiver<RegistryChange<K>>) -> Self {
        RegistryChanges { receiver, missed: 0 }
    }

    /// The next change, or `None` when the registry is gone. [`RegistryChanges`] has an
    /// example.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: a wait that is dropped has taken nothing.
    pub async fn next(&mut self) -> Option<RegistryChange<K>> {
        loop {
            match self.receiver.recv().await {
                Ok(change) => return Some(change),
                Err(RecvError::Lagged(missed)) => self.missed += missed,
                Err(RecvError::Closed) => return None,
            }
        }
    }

    /// How many changes were lost to this listener because it lay too far behind.
    pub fn missed(&self) -> u64 {
        self.missed
    }
}
