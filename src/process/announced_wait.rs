//! The progress of a server's announced wait: none, announced or started.
//! `mailbox::idle_wait` explains what an announced wait is.

use crate::base::sync::atomic::{AtomicU8, Ordering};

const NONE: u8 = 0;
const ANNOUNCED: u8 = 1;
const STARTED: u8 = 2;

/// The progress of the announced wait. It is a part of the record of a process, and is written
/// without the lock of the process.
///
/// Only the task of the process announces and starts a wait, and only while the task is polled. Any
/// reader of the mailbox may withdraw the announcement. Plain stores suffice, without
/// read-modify-write operations.
#[derive(Default)]
pub(crate) struct AnnouncedWait(AtomicU8);

impl AnnouncedWait {
    /// Withdraws an announcement. Called at the start of each poll of the task, and before a reader
    /// checks the inbox.
    #[inline]
    pub(crate) fn withdraw(&self) {
        self.0.store(NONE, Ordering::Relaxed);
    }

    pub(crate) fn announce(&self) {
        self.0.store(ANNOUNCED, Ordering::Relaxed);
    }

    /// Starts the wait if it was announced in this poll. Returns whether it was announced.
    #[inline]
    pub(crate) fn start(&self) -> bool {
        let announced = self.0.load(Ordering::Relaxed) == ANNOUNCED;
        if announced {
            self.0.store(STARTED, Ordering::Release);
        }
        announced
    }

    /// Whether the announced wait has started: the handler that ran after the announcement has
    /// returned.
    pub(crate) fn has_started(&self) -> bool {
        self.0.load(Ordering::Acquire) == STARTED
    }
}
