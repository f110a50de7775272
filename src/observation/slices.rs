//! Slices of long work, between which other tasks run.
//!
//! A picture, a sample or the JSON of a picture may take tens of milliseconds of a worker. A process
//! that becomes ready on that worker meanwhile would wait, so the work is done in slices of about a
//! twentieth of a millisecond. tokio's budget would end only after 128 units of it.

use tokio::task::yield_now;

/// How many processes are read in one slice: a read takes less than a microsecond.
pub(crate) const SLICE: usize = 64;

/// Work that gives way to other tasks after each slice.
#[derive(Debug, Default)]
pub(crate) struct Slices {
    /// What has been done in this slice, in processes.
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
}
