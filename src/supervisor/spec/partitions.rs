//! The number of the partitions of a supervisor, which its handles share.

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Mutex;

use crate::base::CaughtDrop;
use crate::child::ChildSpec;

/// The partitions of one supervisor. Its description and its handles share this value, so it outlives
/// a restart of the supervisor, which then starts as many partitions as there were.
pub(crate) struct Partitions {
    /// The number of partitions that keys choose from.
    count: AtomicUsize,
    /// Makes the specification of the partition with an index.
    child: CaughtDrop<Box<dyn Fn(usize) -> ChildSpec + Send + Sync>>,
    /// Held during a resize.
    pub(crate) resizing: Mutex<()>,
}

impl Partitions {
    pub(crate) fn new(
        count: usize,
        child: impl Fn(usize) -> ChildSpec + Send + Sync + 'static,
    ) -> Self {
        let child: Box<dyn Fn(usize) -> ChildSpec + Send + Sync> = Box::new(child);
        Partitions {
            count: AtomicUsize::new(count),
            child: CaughtDrop::new(child),
            resizing: Mutex::new(()),
        }
    }

    pub(crate) fn count(&self) -> usize {
        self.count.load(Ordering::Acquire)
    }

    pub(crate) fn set_count(&self, count: usize) {
        self.count.store(count, Ordering::Release);
    }

    pub(crate) fn child(&self, index: usize) -> ChildSpec {
        (self.child)(index)
    }

    /// The specifications of all partitions.
    pub(crate) fn children(&self) -> Vec<ChildSpec> {
        (0..self.count()).map(|index| self.child(index)).collect()
    }
}

impl fmt::Debug for Partitions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Partitions").field("count", &self.count()).finish_non_exhaustive()
    }
}
