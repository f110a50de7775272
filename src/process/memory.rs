//! What is known of the memory of a process.

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
