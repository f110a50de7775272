//! The switches that each call reads. Initially all are off.
//!
//! **Guarantee.** All switches share one byte. So while all are off, a call pays for one load,
//! however many switches there are. A change of a switch affects the calls that are made after the
//! change.

use crate::base::sync::atomic::{AtomicU8, Ordering};

const DETECT_DEADLOCKS: u8 = 1;
const PROPAGATE_DEADLINES: u8 = 2;

/// The switches of one runtime.
#[derive(Debug)]
pub(crate) struct CallSwitches(AtomicU8);

impl Default for CallSwitches {
    fn default() -> Self {
        CallSwitches(AtomicU8::new(0))
    }
}

impl CallSwitches {
    /// Whether all switches are off, so that a call only sends its request and waits for the
    /// answer.
    #[inline]
    pub(crate) fn all_off(&self) -> bool {
        self.0.load(Ordering::Relaxed) == 0
    }

    /// Whether waits are added to the wait graph.
    #[inline]
    pub(crate) fn detects_deadlocks(&self) -> bool {
        self.0.load(Ordering::Relaxed) & DETECT_DEADLOCKS != 0
    }

    /// Whether the deadline of the call that a process handles also limits the calls that it makes.
    #[inline]
    pub(crate) fn propagates_deadlines(&self) -> bool {
        self.0.load(Ordering::Relaxed) & PROPAGATE_DEADLINES != 0
    }

    pub(crate) fn detect_deadlocks(&self, on: bool) {
        self.set(DETECT_DEADLOCKS, on);
    }

    pub(crate) fn propagate_deadlines(&self, on: bool) {
        self.set(PROPAGATE_DEADLINES, on);
    }

    fn set(&self, switch: u8, on: bool) {
        if on {
            self.0.fetch_or(switch, Ordering::SeqCst);
        } else {
            self.0.fetch_and(!switch, Ordering::SeqCst);
        }
    }
}
