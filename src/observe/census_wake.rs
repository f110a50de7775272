//! Wakes the one task that tells the census.

use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::Notify;

#[derive(Debug, Default)]
pub(crate) struct CensusWake {
    changed: Notify,
    /// Something happened that no line has told of.
    has_changes: AtomicBool,
    started: AtomicBool,
    closed: AtomicBool,
}

impl CensusWake {
    /// Something happened that the census tells of.
    pub(crate) fn mark_changed(&self) {
        if !self.has_changes.swap(true, Ordering::SeqCst) {
            self.changed.notify_one();
        }
    }

    /// Waits for the next change; false when there will be no more.
    pub(crate) async fn changed(&self) -> bool {
        self.changed.notified().await;
        !self.closed.load(Ordering::SeqCst)
    }

    /// The line now made tells of everything until here.
    pub(crate) fn mark_reported(&self) {
        self.has_changes.store(false, Ordering::SeqCst);
    }

    /// True for the first caller: it starts the task.
    pub(crate) fn claim_start(&self) -> bool {
        !self.started.load(Ordering::Relaxed) && !self.started.swap(true, Ordering::SeqCst)
    }

    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
        self.changed.notify_one();
    }
}
