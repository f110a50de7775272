//! The indexes of a dynamic supervisor: the children that were given up, and the pids by which
//! restarted children are known.

use std::collections::{BTreeMap, HashMap};

use crate::base::pid::Pid;
use crate::base::shared_str::SharedStr;

/// Who was given up, by name and by age; and who goes by another pid than its present one.
#[derive(Default)]
pub(super) struct Index {
    pub(super) given_up_by_name: HashMap<SharedStr, Pid>,
    pub(super) given_up_by_age: BTreeMap<u64, Pid>,
    /// The pid that the start of a child returned, and the last one of that child.
    pub(super) last_pids: HashMap<Pid, Pid, foldhash::fast::RandomState>,
}
