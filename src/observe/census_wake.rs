//! Wakes the task that logs the census.

use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::Notify;

/// The state of the task that logs the census, and whether there were changes since the last line
/// of the census.
#[derive(Debug, Default)]
pub(crate) struct CensusWake {
    changed: Notify,
    /// Whether there was a change since the last line.
    has_changes: AtomicBool,
    started: AtomicBool,
    closed: AtomicBool,
}

impl CensusWake {
    /// Records a change. The first change since the last line wakes the task.
    pub(crate) fn mark_changed(&self) {
        if !self.has_changes.swap(true, Ordering::SeqCst) {
            self.changed.notify_one();
        }
    }

    /// Waits for the next change. Returns false when there will be no more changes.
    pub(crate) async fn changed(&self) -> bool {
        self.changed.notified().await;
        !self.closed.load(Ordering::SeqCst)
    }

    /// Records that the next line contains all changes until now.
    pub(crate) fn mark_reported(&self) {
        self.has_changes.store(false, Ordering::SeqCst);
    }

    /// Returns true to the first caller only, which must start the task.
    pub(crate) fn claim_start(&self) -> bool {
        !self.started.load(Ordering::Relaxed) && !self.started.swap(true, Ordering::SeqCst)
    }

    /// Ends the task.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
        self.changed.notify_one();
    }
}
