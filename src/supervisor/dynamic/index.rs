//! The indexes of a dynamic supervisor: the children that were given up, and the pids by which
//! restarted children are known.

use std::collections::{BTreeMap, HashMap};

use crate::base::pid::Pid;
use crate::base::shared_str::SharedStr;

/// The indexes of a dynamic supervisor's children.
#[derive(Default)]
pub(super) struct Index {
    pub(super) given_up_by_name: HashMap<SharedStr, Pid>,
    /// The children that were given up, by the number that each got at that moment: the first is
    /// the oldest.
    pub(super) given_up_by_age: BTreeMap<u64, Pid>,
    /// From the pid that the first start of a child returned to the pid of its last incarnation,
    /// where they differ.
    pub(super) last_pids: HashMap<Pid, Pid, foldhash::fast::RandomState>,
}
