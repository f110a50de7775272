//! The part of a record that is read without the lock, and has the same type for all processes.
//!
//! The small facts of its reader fill the bytes beside the flags.

use crate::base::pid::Pid;
use crate::base::sync::atomic::{AtomicBool, AtomicU8};
use crate::process::announced_wait::AnnouncedWait;
use crate::process::spin::Spin;

/// The part of a record that is read without the lock.
pub(crate) struct Head {
    pub(crate) pid: Pid,
    /// The bits of [`flag`](crate::process::flag).
    pub(crate) flags: AtomicU8,
    /// What is queued at the end of the process is kept for its successor. The mailbox is counted.
    pub(crate) keeps_queue: bool,
    pub(crate) announced_wait: AnnouncedWait,
    /// The [bits](crate::Callback) of the callback that runs, while polls are watched.
    pub(crate) callback: AtomicU8,
    /// Whether a name was taken from the process while it was live. Set under the lock of the entry of
    /// that name, before the entry changes, and never cleared.
    pub(crate) unregistered: AtomicBool,
    pub(crate) spin: Spin,
}

impl Head {
    pub(crate) fn new(pid: Pid, flags: u8, keeps_queue: bool) -> Self {
        Head {
            pid,
            flags: AtomicU8::new(flags),
            keeps_queue,
            announced_wait: AnnouncedWait::default(),
            callback: AtomicU8::new(0),
            unregistered: AtomicBool::new(false),
            spin: Spin::default(),
        }
    }

    /// The address of the record, by which replies and kept calls name their server.
    #[inline]
    pub(crate) fn address(&self) -> usize {
        std::ptr::from_ref(self).addr()
    }
}
