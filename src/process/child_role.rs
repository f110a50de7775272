//! The facts in the record of a child about its place under its supervisor.

use crate::base::shared_str::SharedStr;
use crate::restart::policy::Restart;

/// Identifies one incarnation of a child, by two numbers that the supervisor assigns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ChildSlot {
    /// The number of the child.
    pub(crate) child: u64,
    /// The number of the start. Later starts of the same child have greater numbers.
    pub(crate) start: u32,
}

impl ChildSlot {
    /// Whether this is the incarnation `last`, or an earlier one of the same child.
    pub(crate) fn is_up_to(self, last: ChildSlot) -> bool {
        self.child == last.child && self.start <= last.start
    }
}

/// The facts that decide how the supervisor of a process reacts to the end of the process.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ChildRole {
    /// The incarnation.
    pub(crate) slot: ChildSlot,
    pub(crate) restart: Restart,
    pub(crate) stop: ChildStop,
}

/// Whether a supervisor has begun to stop a child, and whether a successor follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum ChildStop {
    /// The supervisor is not stopping the child. The restart type of the child decides what follows
    /// its end.
    #[default]
    No,
    /// The supervisor is not stopping the child, and waits until the child is ready. If a first start
    /// fails, the error is returned to the caller of the start; a later start that fails is tried
    /// again.
    Starting,
    /// The supervisor, or the code that awaits the start, stops the child because its start failed or
    /// was given up. What follows is as for `Starting`.
    StartFailed,
    /// The supervisor stops the child and starts no successor.
    ForGood,
    /// The supervisor stops the child for the restart of its group, and starts a successor.
    ForRestart,
}

impl ChildStop {
    /// Whether the end of the child was asked for.
    pub(crate) fn is_asked_for(self) -> bool {
        !matches!(self, ChildStop::No | ChildStop::Starting)
    }
}

/// The name that the specification of a child gives to each incarnation.
#[derive(Debug, Clone)]
pub(crate) struct SpecName {
    pub(crate) name: SharedStr,
    /// The child's id.
    pub(crate) child: SharedStr,
}
