//! Children that have used up the restarts of their own, and the pids that children go by.
//!
//! 1. A child that was given up is known, does not run, and counts for nothing: it takes no room
//!    and holds no name. A process of another origin may register that name.
//! 2. While a restart would still exceed its budget, this supervisor starts nothing under its
//!    name: `get_or_start` and `start_child` say that it was given up. Afterwards the next start
//!    under the name replaces it.
//! 3. At most [`KEPT`] are kept, the latest; so keys that fail one after the other don't fill the
//!    memory.

use std::collections::{BTreeMap, HashMap};

use tokio::time::Instant;

use crate::base::pid::Pid;
use crate::base::shared_str::SharedStr;
use crate::exit::reason::ExitReason;

/// How many children that were given up are kept.
pub(super) const KEPT: usize = 1_000;

/// Who was given up, by name and by age; and who goes by another pid than its present one.
#[derive(Default)]
pub(super) struct Index {
    pub(super) by_name: HashMap<SharedStr, Pid>,
    pub(super) by_age: BTreeMap<u64, Pid>,
    /// The pid that the start of a child returned, and the last one of that child.
    pub(super) last_pids: HashMap<Pid, Pid, foldhash::fast::RandomState>,
}

/// How a child was given up.
pub(super) struct GivenUp {
    /// When a restart would be within its budget again.
    pub(super) until: Instant,
    /// Later ones have greater numbers.
    pub(super) number: u64,
    pub(super) last: ExitReason,
}
