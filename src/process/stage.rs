//! The stages of a process, and the flag bits that follow from them.

use crate::process::flag;

/// The stages of a process, in order. A process never returns to an earlier stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) enum Stage {
    /// The process accepts messages.
    #[default]
    Live,
    /// A fatal exit signal was accepted, but the task has not ended the body yet.
    ExitPending,
    /// The body is dropped; names and groups are being released.
    Closing,
    /// The process is in no table; links, monitors and waiters are being notified.
    Ended,
    /// All links, monitors and waiters have been notified of the end.
    Announced,
}

impl Stage {
    /// The flag bits that a process at this stage has; `AnyProcess::advance` raises them.
    pub(crate) const fn flags(self) -> u8 {
        match self {
            Stage::Live => 0,
            _ => flag::EXIT_PENDING,
        }
    }
}
