//! What the limits of a process are compared with: its memory, and the failed handlers after which it has
//! gone on.

use crate::restart::Window;

/// What few processes have, in one box.
#[derive(Debug, Default)]
pub(crate) struct Limited {
    /// The memory, if it was reported or measured.
    pub(crate) memory: Option<Memory>,
    /// The failed handlers after which the server has gone on.
    pub(crate) resumes: Window,
}

/// The memory of a process, in bytes.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Memory {
    /// What its polls have allocated less what they have freed, while memory is measured. Negative
    /// for a process that frees what others have allocated.
    pub(crate) allocated: i64,
    /// What the process itself has reported last.
    pub(crate) reported: Option<u64>,
}

impl Memory {
    /// The report of the process, or else what was measured, at least zero.
    pub(crate) fn bytes(self) -> u64 {
        self.reported.unwrap_or_else(|| u64::try_from(self.allocated).unwrap_or(0))
    }
}
