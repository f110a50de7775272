//! The table of children, and the pids by which each is found.

use std::sync::Arc;

use crate::base::Pid;
use crate::process::AnyProcess;
use crate::supervisor::dynamic::{Child, DynamicServer, Retry, State};

impl DynamicServer {
    /// Returns the last pid of the child that is known by this pid. A child is known by its last
    /// pid and by the pid that its first start returned.
    pub(super) fn last_pid(&self, pid: Pid) -> Pid {
        self.last_pids.get(&pid).copied().unwrap_or(pid)
    }

    /// Returns whether the child waits for this retry, or for the start that this retry has begun.
    pub(super) fn waits_for(&self, Retry { pid, id }: Retry) -> bool {
        let state = self.children.get(&pid).map(|child| &child.state);
        matches!(state, Some(State::Restarting { retry_id, .. }) if *retry_id == id)
    }

    /// Adds a child that runs as this process, and returns the pid.
    pub(super) fn insert(&mut self, mut child: Child, process: Arc<dyn AnyProcess>) -> Pid {
        let pid = process.pid();
        child.state = State::Running(process);
        match child.first_pid {
            Pid::OUTSIDE => child.first_pid = pid,
            first => drop(self.last_pids.insert(first, pid)),
        }
        self.children.insert(pid, child);
        pid
    }

    /// Removes a child from the table and from all indexes.
    pub(super) fn take(&mut self, pid: Pid) -> Option<Child> {
        let child = self.children.remove(&pid)?;
        self.last_pids.remove(&child.first_pid);
        if let State::GivenUp(given_up) = &child.state {
            self.given_up_by_age.remove(&given_up.number);
            // The entry may belong to another child of the same name that was given up later.
            if let Some(name) = child.name()
                && self.given_up_by_name.get(&name) == Some(&pid)
            {
                self.given_up_by_name.remove(&name);
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
