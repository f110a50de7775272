//! The places of processes in their trees, and the changes that processes report about themselves.

use std::sync::Arc;

use crate::base::node_path::NodePath;
use crate::base::pid::Pid;
use crate::base::shared_str::SharedStr;
use crate::exit::reason::ExitReason;
use crate::kernel::Kernel;
use crate::observe::change::{ChangeKind, Origin};
use crate::observe::change_log::Subject;
use crate::process::AnyProcess;

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
    /// supervisor nor a child, or if its supervisor has ended.
    pub(crate) fn path_of(&self, process: &dyn AnyProcess) -> Option<(SharedStr, Option<Pid>)> {
        let supervisor = self.supervisor_of(process);
        let (own, label) = process.with(|locked| {
            let core = locked.core();
            let own = core.supervisor_record().and_then(|record| record.path.clone());
            (own, core.relations().and_then(|relations| relations.label.clone()))
        });
        let path = match (own, supervisor) {
            (Some(own), _) => own.text(),
            (None, Some(supervisor)) => self.supervisor_path(supervisor)?.child(&label?),
            (None, None) => return None,
        };
        Some((path, supervisor))
    }

    /// Returns the subject of a change that a process reports about itself.
    pub(crate) fn own_subject(&self, process: &dyn AnyProcess) -> Option<Subject> {
        let (path, supervisor) = self.path_of(process)?;
        let pid = process.pid();
        Some(Subject { path, pid: Some(pid), supervisor, origin: Origin::Process(pid) })
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
