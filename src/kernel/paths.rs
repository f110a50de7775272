//! The places of processes in their trees, and the changes that processes report about themselves.

use std::sync::Arc;

use crate::base::node_path::NodePath;
use crate::base::pid::Pid;
use crate::base::shared_str::SharedStr;
use crate::exit::reason::ExitReason;
use crate::kernel::Kernel;
use crate::observe::change::{ChangeKind, Origin};
use crate::observe::change_log::{Pushed, Subject};
use crate::process::{AnyProcess, Core, Locked, Place};

impl Kernel {
    /// Returns the path of a supervisor; `None` if it has ended or is no supervisor.
    pub(crate) fn supervisor_path(&self, pid: Pid) -> Option<Arc<NodePath>> {
        self.find(pid)?.with(|locked| locked.core().supervisor_record()?.path.clone())
    }

    /// Returns the pid of the supervisor of a process, if it has one.
    pub(crate) fn supervisor_of(&self, process: &dyn AnyProcess) -> Option<Pid> {
        process.parent().filter(|parent| parent.role.is_some()).map(|parent| parent.pid)
    }

    /// Returns the path of a process, and its supervisor. `None` if the process is neither a
    /// supervisor nor a child.
    pub(crate) fn path_of(&self, process: &dyn AnyProcess) -> Option<(SharedStr, Option<Pid>)> {
        Some((place_of(process)?.text(), self.supervisor_of(process)))
    }

    /// Returns the path under which a process is counted; `None` if the process is neither a
    /// supervisor nor a child.
    pub(crate) fn counted_path(&self, process: &dyn AnyProcess) -> Option<SharedStr> {
        Some(place_of(process)?.counted())
    }

    /// Returns the subject of a change that a process reports about itself.
    pub(crate) fn own_subject(&self, process: &dyn AnyProcess) -> Option<Subject> {
        let (place, supervisor) = (place_of(process)?, self.supervisor_of(process));
        let (root, path, pid) = (place.root(), place.text(), process.pid());
        Some(Subject { root, path, pid: Some(pid), supervisor, origin: Origin::Process(pid) })
    }

    /// Runs `change` under the lock of a process. If it returns true, the health of the process may
    /// have changed, and the change is reported under the same lock, so that a picture that shows
    /// the health knows the number of the change.
    pub(crate) fn change_health<R>(
        &self,
        process: &dyn AnyProcess,
        change: impl FnOnce(&mut Core) -> (R, bool),
    ) -> R {
        let is_observed = self.changes.is_observed();
        let subject = is_observed.then(|| self.own_subject(process)).flatten();
        let (result, changed, pushed) = process.with(|locked| {
            let (result, changed) = change(locked.core());
            let subject = subject.filter(|_| changed);
            (result, changed, subject.map(|subject| self.push_health(locked, subject)))
        });
        drop(pushed);
        if changed && !is_observed && self.changes.is_observed() {
            // An observation has attached meanwhile. It may have read the health before the change.
            let subject = self.own_subject(process);
            let push = |subject| process.with(|locked| self.push_health(locked, subject));
            drop(subject.map(push));
        }
        result
    }

    fn push_health(&self, locked: &mut Locked, subject: Subject) -> Option<Pushed> {
        let health = locked.core().reported_health().unwrap_or_default();
        self.changes.push(|| (subject, ChangeKind::Health { health }))
    }

    /// Notes the end of a supervisor, which may be the top of a tree.
    pub(crate) fn report_root_end(&self, pid: Pid, reason: &ExitReason) {
        drop(self.changes.root_ended(pid, |uptime| {
            let reason = reason.clone();
            ChangeKind::Ended { reason, uptime, stopped: false, for_good: true }
        }));
    }

    /// Adds a change that a process reports about itself, if there is an observation and the
    /// process is in a tree.
    pub(crate) fn report_own_change(
        &self,
        process: &dyn AnyProcess,
        kind: impl FnOnce() -> ChangeKind,
    ) {
        if self.changes.is_observed()
            && let Some(subject) = self.own_subject(process)
        {
            drop(self.changes.push(|| (subject, kind())));
        }
    }
}

fn place_of(process: &dyn AnyProcess) -> Option<Place> {
    process.with(|locked| locked.core().relations()?.place())
}
