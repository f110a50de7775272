//! Subscribers that are not in the tables of a [`PubSub`], such as those of other nodes.
//!
//! At most one way leads to them. It is set and removed under the lock of the topics, so a publish finds
//! it or doesn't, and calls it without the lock.

#[cfg(feature = "cluster")]
use std::hash::Hash;
#[cfg(feature = "cluster")]
use std::sync::Arc;

#[cfg(feature = "cluster")]
use crate::events::PubSub;
#[cfg(feature = "cluster")]
use crate::runtime::Runtime;

/// The way to subscribers elsewhere.
pub(crate) trait Elsewhere<K, T>: Send + Sync {
    /// Sends them an event, and does not wait.
    fn send(&self, key: &K, event: &T);
}

#[cfg(feature = "cluster")]
impl<K, T> PubSub<K, T>
where
    K: Eq + Hash + Clone + Send + Sync + 'static,
    T: Clone + Send + 'static,
{
    pub(crate) fn runtime(&self) -> &Runtime {
        &self.shared.runtime
    }

    /// Lets each publish reach subscribers elsewhere. False, and without effect, if the topics have
    /// another way already.
    pub(crate) fn set_elsewhere(&self, new: &Arc<dyn Elsewhere<K, T>>) -> bool {
        self.shared.change(|topics| {
            let is_free = topics.elsewhere.is_none();
            if is_free {
                topics.elsewhere = Some(new.clone());
            }
            is_free
        })
    }

    /// Ends that, if this way is the one that is set.
    pub(crate) fn unset_elsewhere(&self, old: &Arc<dyn Elsewhere<K, T>>) {
        let is_old = |set: &mut Arc<dyn Elsewhere<K, T>>| Arc::ptr_eq(set, old);
        drop(self.shared.change(|topics| topics.elsewhere.take_if(is_old)));
    }

    /// Publishes an event to the subscribers of these tables only.
    pub(crate) fn publish_here(&self, key: &K, event: T) -> usize {
        let subscribers = self.shared.topics.lock().snapshot(key);
        self.deliver(subscribers, event)
    }
}
