//! Slices of long work, between which other tasks run.
//!
//! A picture, a sample or the JSON of a picture may take tens of milliseconds of a worker. A process
//! that becomes ready on that worker meanwhile would wait, so the work is done in slices of about a
//! twentieth of a millisecond. tokio's budget would end only after 128 units of it.

use tokio::task::yield_now;

/// How many processes are read in one slice: a read takes less than a microsecond.
pub(crate) const SLICE: usize = 64;

/// How many nodes of a picture are made in one slice: a node takes about half a microsecond.
const NODES: usize = 192;

/// Work that gives way to other tasks after each slice.
#[derive(Debug, Default)]
pub(crate) struct Slices {
    /// What has been done in this slice, in processes or in nodes.
    done: usize,
}

impl Slices {
    /// Gives way, if the slice has no room for the work that follows, which is as long as the reading
    /// of this many processes.
    pub(crate) async fn before(&mut self, processes: usize) {
        if self.done > 0 && self.done + processes > SLICE {
            yield_now().await;
            self.done = 0;
        }
        self.done += processes;
    }

    /// Gives way, if the slice has no room for another node of a picture.
    pub(crate) async fn before_node(&mut self) {
        if self.done == NODES {
            yield_now().await;
            self.done = 0;
        }
        self.done += 1;
    }
}
