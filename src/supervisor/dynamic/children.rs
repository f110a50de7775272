//! Which children are known, by which pids.

use crate::base::pid::Pid;
use crate::supervisor::dynamic::child::{Child, State};
use crate::supervisor::dynamic::server::DynamicServer;

impl DynamicServer {
    /// The last pid of the child that goes by this one: the same, or the one that its start
    /// returned.
    pub(super) fn last_pid(&self, pid: Pid) -> Pid {
        self.index.last_pids.get(&pid).copied().unwrap_or(pid)
    }

    /// A child that goes by this pid from now on.
    pub(super) fn insert(&mut self, pid: Pid, child: Child) {
        if child.first_pid != pid {
            self.index.last_pids.insert(child.first_pid, pid);
        }
        self.children.insert(pid, child);
    }

    /// Takes a child out of the table and all indexes.
    pub(super) fn take(&mut self, pid: Pid) -> Option<Child> {
        let child = self.children.remove(&pid)?;
        self.index.last_pids.remove(&child.first_pid);
        if let State::GivenUp(given_up) = &child.state {
            self.index.given_up_by_age.remove(&given_up.number);
            // Another of the same name may have been given up since.
            if let Some(name) = child.name()
                && self.index.given_up_by_name.get(&name) == Some(&pid)
            {
                self.index.given_up_by_name.remove(&name);
            }
        }
        Some(child)
    }

    pub(super) fn forget(&mut self, pid: Pid) {
        if let Some(child) = self.take(pid) {
            self.report.free_names(child.slot);
        }
    }
}
