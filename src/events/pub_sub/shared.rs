//! What all handles of a [`PubSub`](crate::PubSub) share, and how a subscription ends.

use std::hash::Hash;
use std::sync::{Arc, Weak};

use crate::base::{Pid, PlainMutex, ignore_panic};
use crate::events::pub_sub::subscription::Unsubscribe;
use crate::events::pub_sub::topics::Topics;
use crate::process::{AnyProcess, Registrar};
use crate::runtime::Runtime;

pub(super) struct Shared<K, T> {
    pub(super) runtime: Runtime,
    /// The number of these topics in the records of the servers that have subscribed.
    number: u64,
    pub(super) topics: PlainMutex<Topics<K, T>>,
}

impl<K, T> Shared<K, T>
where
    K: Eq + Hash + Clone + Send + Sync + 'static,
    T: Clone + Send + 'static,
{
    pub(super) fn source(self: &Arc<Self>) -> Weak<dyn Unsubscribe> {
        Arc::<Shared<K, T>>::downgrade(self)
    }

    /// Adds these topics to the record of a process, whose teardown then removes its subscriptions.
    /// Returns false if the process is ending or has ended.
    pub(super) fn add_to_process(self: &Arc<Self>, process: &dyn AnyProcess) -> bool {
        let shared: Weak<dyn Registrar> = Arc::<Shared<K, T>>::downgrade(self);
        let (open, _) = process.with_deferred(|locked| {
            let core = locked.core();
            let open = core.is_open();
            if open {
                core.registrations_mut().registries.insert(self.number, shared);
            }
            open
        });
        open
    }
}

impl<K, T> Shared<K, T> {
    pub(super) fn new(runtime: &Runtime) -> Arc<Self> {
        let number = runtime.kernel.fresh_id();
        let (runtime, topics) = (runtime.clone(), PlainMutex::new(Topics::default()));
        Arc::new(Shared { runtime, number, topics })
    }

    /// Runs `act` under the lock, and returns its result after the lock is released.
    pub(super) fn change<R>(&self, act: impl FnOnce(&mut Topics<K, T>) -> R) -> R {
        act(&mut self.topics.lock())
    }

    /// Removes these topics from the record of a process. Returns the process, to be dropped after the
    /// lock of the topics is released.
    fn leave(&self, pid: Pid) -> Option<Arc<dyn AnyProcess>> {
        let process = self.runtime.kernel.find(pid)?;
        drop(process.with_deferred(|locked| {
            let own = locked.core().registrations();
            own.and_then(|own| own.registries.remove(&self.number))
        }));
        Some(process)
    }
}

impl<K, T> Unsubscribe for Shared<K, T>
where
    K: Eq + Hash + Clone + Send + Sync + 'static,
    T: Clone + Send + 'static,
{
    fn unsubscribe(&self, number: u64) {
        let removed = self.change(|topics| {
            let removed = topics.remove(number);
            // `leave` runs under the lock, so that a later subscription of this process adds the
            // topics to its record again.
            let left = removed.as_ref().and_then(|removed| removed.left);
            (removed, left.and_then(|pid| self.leave(pid)))
        });
        ignore_panic(|| drop(removed));
    }
}

impl<K, T> Registrar for Shared<K, T>
where
    K: Eq + Hash + Clone + Send + Sync + 'static,
    T: Clone + Send + 'static,
{
    fn forget(&self, pid: Pid) {
        for removed in self.change(|topics| topics.remove_all(pid)) {
            ignore_panic(|| drop(removed));
        }
    }
}

impl<K, T> Drop for Shared<K, T> {
    fn drop(&mut self) {
        let topics = std::mem::take(&mut *self.topics.lock());
        topics.members().into_iter().for_each(|pid| drop(self.leave(pid)));
        topics.subscribers().for_each(|subscriber| subscriber.close());
        ignore_panic(|| drop(topics));
    }
}
