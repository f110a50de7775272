//! The heartbeats of a process: when it last reported that it is well.
//!
//! The record exists only for a child whose specification requires heartbeats. The process writes
//! it, and the watch in `supervisor::heartbeat_watch` reads it.

use tokio::task::AbortHandle;
use tokio::time::Instant;

/// The heartbeats of one process.
#[derive(Debug)]
pub(crate) struct Heartbeats {
    pub(crate) last: Instant,
    /// Whether a heartbeat is overdue, so that the process counts as unresponsive.
    pub(crate) is_late: bool,
    /// Aborts the watch when the record is dropped.
    _watch: WatchTask,
}

/// The task that watches the heartbeats of a process. The task is aborted when the record of the
/// process is dropped.
#[derive(Debug)]
pub(crate) struct WatchTask(pub(crate) AbortHandle);

impl Drop for WatchTask {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Heartbeats {
    /// Returns the record of a process that begins to be watched by this task.
    pub(crate) fn new(watch: WatchTask) -> Self {
        Heartbeats { last: Instant::now(), is_late: false, _watch: watch }
    }
}
