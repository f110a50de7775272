//! The heartbeats of a process: when it last reported that it is well.
//!
//! The record exists only for a child whose specification requires heartbeats. The process writes
//! it, and the [watch](crate::supervisor::heartbeat_watch) of its supervisor reads it.

use tokio::task::AbortHandle;
use tokio::time::Instant;

use crate::process::{AnyProcess, Core};

/// The heartbeats of one process.
#[derive(Debug)]
pub(crate) struct Heartbeats {
    pub(crate) last: Instant,
    /// Whether a heartbeat is overdue, so that the process counts as unresponsive.
    pub(crate) is_late: bool,
    /// Whether the process is a server that is suspended, and so runs no handler that could report
    /// a heartbeat.
    pub(crate) is_suspended: bool,
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
        Heartbeats { last: Instant::now(), is_late: false, is_suspended: false, _watch: watch }
    }
}

impl Core {
    pub(crate) fn heartbeats(&mut self) -> Option<&mut Heartbeats> {
        self.registrations()?.heartbeats.as_deref_mut()
    }
}

impl dyn AnyProcess + '_ {
    /// Notes a heartbeat. Returns whether the process was late.
    pub(crate) fn beat(&self) -> bool {
        self.note_beat(|_| ())
    }

    /// Notes that a server is suspended, or resumed. The resumption counts as a heartbeat.
    pub(crate) fn suspend_heartbeats(&self, is_suspended: bool) -> bool {
        self.note_beat(|heartbeats| heartbeats.is_suspended = is_suspended)
    }

    fn note_beat(&self, note: impl FnOnce(&mut Heartbeats)) -> bool {
        self.with(|locked| {
            let Some(heartbeats) = locked.core().heartbeats() else { return false };
            note(heartbeats);
            heartbeats.last = Instant::now();
            std::mem::take(&mut heartbeats.is_late)
        })
    }
}
