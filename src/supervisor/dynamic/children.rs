//! The table of children, and the pids by which each is found.

use crate::base::pid::Pid;
use crate::supervisor::dynamic::child::{Child, State};
use crate::supervisor::dynamic::server::DynamicServer;

impl DynamicServer {
    /// Returns the last pid of the child that is known by this pid. A child is known by its last
    /// pid and by the pid that its first start returned.
    pub(super) fn last_pid(&self, pid: Pid) -> Pid {
        self.index.last_pids.get(&pid).copied().unwrap_or(pid)
    }

    /// Adds a child under this pid.
    pub(super) fn insert(&mut self, pid: Pid, child: Child) {
        if child.first_pid != pid {
            self.index.last_pids.insert(child.first_pid, pid);
        }
        self.children.insert(pid, child);
    }

    /// Removes a child from the table and from all indexes.
    pub(super) fn take(&mut self, pid: Pid) -> Option<Child> {
        let child = self.children.remove(&pid)?;
        self.index.last_pids.remove(&child.first_pid);
        if let State::GivenUp(given_up) = &child.state {
            self.index.given_up_by_age.remove(&given_up.number);
            // The entry may belong to another child of the same name that was given up later.
            if let Some(name) = child.name()
                && self.index.given_up_by_name.get(&name) == Some(&pid)
            {
                self.index.given_up_by_name.remove(&name);
            }
        }
        Some(child)
    }

    /// Removes a child, and frees the name that is reserved for it.
    pub(super) fn forget(&mut self, pid: Pid) {
        if let Some(child) = self.take(pid) {
            self.report.free_names(child.slot);
        }
    }
}
