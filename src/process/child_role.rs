//! What a supervisor and the record of its child agree on.

use crate::base::shared_str::SharedStr;
use crate::restart::policy::Restart;

/// One incarnation of a child, as its supervisor numbers them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ChildSlot {
    /// Which child it is.
    pub(crate) child: u64,
    /// Its how many-th start this was; later ones are greater.
    pub(crate) start: u32,
}

impl ChildSlot {
    /// Whether it is this one, or an earlier one of the same child.
    pub(crate) fn is_up_to(self, last: ChildSlot) -> bool {
        self.child == last.child && self.start <= last.start
    }
}

/// What the supervisor of a process does when it ends, as far as is known.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ChildRole {
    /// What the supervisor knows it by.
    pub(crate) slot: ChildSlot,
    pub(crate) restart: Restart,
    pub(crate) stop: ChildStop,
}

/// Whether a supervisor has begun to stop a child.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum ChildStop {
    /// It has not: what the child's end leads to, its restart type says.
    #[default]
    No,
    /// It has not, but waits until the child is ready, or stops it because its start failed. A
    /// first start that fails is told to whoever asked for it; a later one is tried again.
    Starting,
    /// It starts no successor.
    ForGood,
    /// It stops the child with its group, and starts a successor.
    ForRestart,
}

/// The name that the specification of a child gives to each of its incarnations.
#[derive(Debug, Clone)]
pub(crate) struct GivenName {
    pub(crate) name: SharedStr,
    /// The child's id.
    pub(crate) child: SharedStr,
}
