//! Waiting until a number of operations have finished.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Notify;

/// Counts how many [`Pending`] have not been dropped.
#[derive(Clone)]
pub(crate) struct Countdown(Arc<Count>);

struct Count {
    left: AtomicUsize,
    done: Notify,
}

/// Counted by a [`Countdown`] until it is dropped.
pub(crate) struct Pending(Arc<Count>);

impl Countdown {
    pub(crate) fn new(from: usize) -> Self {
        Countdown(Arc::new(Count { left: AtomicUsize::new(from), done: Notify::new() }))
    }

    /// A guard for one of the counted operations. The operation drops it when it has finished.
    pub(crate) fn pending(&self) -> Pending {
        Pending(Arc::clone(&self.0))
    }

    /// Waits until all guards are dropped. Only one task may wait.
    pub(crate) async fn done(&self) {
        while self.0.left.load(Ordering::Acquire) > 0 {
            self.0.done.notified().await;
        }
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        if self.0.left.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.0.done.notify_one();
        }
    }
}
