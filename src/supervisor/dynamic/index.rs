//! The indexes of a dynamic supervisor: the children that were given up, and the pids by which
//! restarted children are known.

use std::collections::{BTreeMap, HashMap};

use crate::base::pid::Pid;
use crate::base::shared_str::SharedStr;

/// The indexes of a dynamic supervisor's children.
#[derive(Default)]
pub(super) struct Index {
    pub(super) given_up_by_name: HashMap<SharedStr, Pid>,
    /// The given-up children, by a number that grows with each child that is given up. The first
    /// entry was given up first.
    pub(super) given_up_by_age: BTreeMap<u64, Pid>,
    /// Maps the pid of a child's first incarnation to the pid of its latest one. A child whose two
    /// pids are equal has no entry.
    pub(super) last_pids: HashMap<Pid, Pid, foldhash::fast::RandomState>,
}
