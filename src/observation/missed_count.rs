//! The number of changes that an observation has missed. `observing` decides when changes are
//! missed.

use crate::base::TimeOfDay;

/// How many changes an observation has missed. [`Observed::Missed`](crate::Observed::Missed) has it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Missed {
    /// The number of the last change that was missed.
    pub seq: u64,
    /// When this was noticed, by the clock of the system.
    pub time: TimeOfDay,
    /// The number of missed changes, of all trees of the runtime.
    pub changes: u64,
}
