//! The starts in progress of keyed servers: concurrent callers of one key wait for one start.
//!
//! **Steps**
//! 1. The first caller *leads*: its entry is added, and a task of its own requests the start. The
//!    first caller and all later callers of the key wait for the outcome.
//! 2. The task removes the entry, and then publishes the outcome to the callers.
//! 3. A task that panics, or whose tokio runtime shuts down, removes the entry without an outcome.
//!    The callers then look the key up again, and one of them leads.
//!
//! The task depends on no caller: a caller that is dropped, or that is not polled, delays no other.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

use tokio::sync::watch;

use crate::base::random::MapHasher;
use crate::base::sync::atomic::{AtomicUsize, Ordering};
use crate::base::{PlainMutex, ignore_panic};
use crate::exit::Result;
use crate::runtime::StartError;

/// The outcome of a start, or `None` while the start is in progress.
type Outcome = Option<Result<(), StartError>>;

pub(super) struct PendingStarts<K> {
    /// The number of entries, which callers read without the lock.
    count: AtomicUsize,
    starts: PlainMutex<HashMap<K, watch::Receiver<Outcome>, MapHasher>>,
}

/// The part of a caller in a start.
pub(super) enum Part<K: Eq + Hash> {
    Lead(Lead<K>),
    Join(Joined),
}

impl<K> Default for PendingStarts<K> {
    fn default() -> Self {
        PendingStarts { count: AtomicUsize::new(0), starts: PlainMutex::new(HashMap::default()) }
    }
}

impl<K: Eq + Hash + Clone> PendingStarts<K> {
    /// Returns whether a start under this key is in progress.
    pub(super) fn is_pending(&self, key: &K) -> bool {
        self.count.load(Ordering::Acquire) > 0 && self.starts.lock().contains_key(key)
    }

    /// Leads the start under this key, or joins the one in progress.
    pub(super) fn take_part(self: &Arc<Self>, key: &K) -> Part<K> {
        let own = key.clone();
        let (outcome, joined) = watch::channel(None);
        let mut starts = self.starts.lock();
        if let Some(pending) = starts.get(key) {
            let pending = pending.clone();
            drop(starts);
            return Part::Join(Joined(pending));
        }
        starts.insert(own, joined);
        self.count.fetch_add(1, Ordering::Release);
        drop(starts);
        Part::Lead(Lead { starts: self.clone(), key: key.clone(), outcome, removed: false })
    }
}

/// A start that a caller waits for.
pub(super) struct Joined(watch::Receiver<Outcome>);

impl Joined {
    /// Returns a function that tells whether the start is still in progress.
    pub(super) fn is_due(&self) -> impl Fn() -> bool + Send + 'static {
        let outcome = self.0.clone();
        move || matches!(outcome.has_changed(), Ok(false))
    }

    /// Waits for the outcome of the start. `Ok` means that the key is to be looked up again.
    pub(super) async fn outcome(mut self) -> Result<(), StartError> {
        match self.0.wait_for(Option::is_some).await {
            Ok(outcome) => outcome.clone().unwrap_or(Ok(())),
            // The lead was dropped.
            Err(_) => Ok(()),
        }
    }
}

/// The duty to start a server under a key. Dropping it removes the entry without an outcome.
pub(super) struct Lead<K: Eq + Hash> {
    starts: Arc<PendingStarts<K>>,
    key: K,
    outcome: watch::Sender<Outcome>,
    removed: bool,
}

impl<K: Eq + Hash> Lead<K> {
    /// Waits for the outcome as the callers do that join later.
    pub(super) fn join(&self) -> Joined {
        Joined(self.outcome.subscribe())
    }

    /// Publishes the outcome.
    pub(super) fn finish(mut self, outcome: Result<(), StartError>) {
        self.remove();
        // The wakers of the callers that have joined may be the user's.
        ignore_panic(|| drop(self.outcome.send(Some(outcome))));
    }

    /// Removes the entry, once: a later entry of the key belongs to another leader.
    fn remove(&mut self) {
        if std::mem::replace(&mut self.removed, true) {
            return;
        }
        let removed = self.starts.starts.lock().remove_entry(&self.key);
        self.starts.count.fetch_sub(1, Ordering::Release);
        drop(removed);
    }
}

impl<K: Eq + Hash> Drop for Lead<K> {
    fn drop(&mut self) {
        ignore_panic(|| self.remove());
    }
}
