//! Whether the mailboxes of a runtime, or of a process, are counted and bounded.

use crate::process::Counts;
use crate::process::overflow_policy::Overflow;

/// Whether mailboxes are counted and bounded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Mailboxes {
    /// Unbounded and not counted: a send has no extra cost.
    #[default]
    Plain,
    /// Counted, with room for this many user messages.
    Counted(usize, Overflow),
}

impl Mailboxes {
    pub(crate) fn counts(self) -> Option<Counts> {
        match self {
            Mailboxes::Plain => None,
            Mailboxes::Counted(capacity, overflow) => Some(Counts::new(capacity, overflow)),
        }
    }

    /// Mailboxes with room for this many user messages.
    pub(crate) fn bounded(capacity: usize, overflow: Overflow) -> Self {
        assert!(capacity > 0, "a mailbox needs room for at least one message");
        Mailboxes::Counted(capacity, overflow)
    }
}
