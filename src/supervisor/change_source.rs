//! How a supervisor reports changes of itself and of its children to observations, with its path.

use std::sync::Arc;

use crate::base::{NodePath, Pid, SharedStr};
use crate::observe::change::Origin;
use crate::observe::change_log::{Pushed, Subject};
use crate::observe::{ChangeKind, Health};
use crate::process::{AnyProcess, ChildFacts, Relations};
use crate::restart::KeptEvents;
use crate::runtime::Runtime;

/// Reports changes of one supervisor and its children.
#[derive(Debug, Clone)]
pub(crate) struct ChangeSource {
    runtime: Runtime,
    supervisor: Pid,
    path: Arc<NodePath>,
    /// Whether this supervisor is the root of its tree.
    is_root: bool,
}

impl ChangeSource {
    /// Finds the path of a supervisor that begins to start. If it is a child, its record has the
    /// path of the supervisor that starts it.
    pub(super) fn of(runtime: &Runtime, process: &dyn AnyProcess, is_dynamic: bool) -> Self {
        let kernel = &runtime.kernel;
        let supervisor = process.pid();
        let (above, id) = process.with(|locked| match locked.core().relations() {
            Some(Relations { child: Some(ChildFacts { above, id, .. }), .. }) => {
                (Some(above.clone()), Some(id.clone()))
            }
            relations => (None, relations.and_then(|relations| relations.label.clone())),
        });
        let is_root = above.is_none();
        let id = id.unwrap_or_else(|| SharedStr::from(supervisor.to_string()));
        let path = NodePath::new(above, (supervisor, id), is_dynamic);
        process.with(|locked| {
            locked.core().supervisor_record_mut().path = Some(path.clone());
        });
        if is_root {
            drop(kernel.changes.root_begins(supervisor, &path));
        }
        ChangeSource { runtime: runtime.clone(), supervisor, path, is_root }
    }

    /// Returns the path of the supervisor.
    pub(crate) fn path(&self) -> &Arc<NodePath> {
        &self.path
    }

    /// Whether there is an observation.
    pub(crate) fn is_observed(&self) -> bool {
        self.runtime.kernel.changes.is_observed()
    }

    /// Returns the number of the last change.
    pub(crate) fn last_change(&self) -> u64 {
        self.runtime.kernel.changes.last()
    }

    /// Reports that the children of this supervisor have started, if it is the root of a tree. The
    /// start of any other supervisor is reported by its own supervisor.
    pub(crate) fn has_started(&self) {
        if self.is_root {
            let pushed = self.with_health(self.supervisor, |health| {
                let kind = ChangeKind::Started { is_supervisor: true, health, previous: None };
                self.runtime.kernel.changes.root_started(self.supervisor, kind)
            });
            drop(pushed);
        }
    }

    /// Reads the health of a process, and reports it under the lock of the process, if there is an
    /// observation. The lock ensures that no later report has an older health.
    fn with_health<R>(&self, pid: Pid, report: impl FnOnce(Health) -> R) -> R {
        match self.is_observed().then(|| self.runtime.kernel.find(pid)).flatten() {
            Some(process) => {
                process.with(|locked| report(locked.core().reported_health().unwrap_or_default()))
            }
            None => report(Health::default()),
        }
    }

    /// Reports that a child runs as this process.
    pub(crate) fn child_started(
        &self,
        id: &str,
        pid: Pid,
        (is_supervisor, previous): (bool, Option<Pid>),
    ) -> Option<Pushed> {
        self.with_health(pid, |health| {
            let kind = || ChangeKind::Started { is_supervisor, health, previous };
            self.child(id, Some(pid), kind)
        })
    }

    /// Reports a change of a child.
    pub(crate) fn child(
        &self,
        id: &str,
        pid: Option<Pid>,
        kind: impl FnOnce() -> ChangeKind,
    ) -> Option<Pushed> {
        self.runtime.kernel.changes.push(|| {
            let (path, supervisor) = (self.path.child(id), Some(self.supervisor));
            let origin = Origin::Supervisor(self.path.clone());
            (Subject { root: self.path.root(), path, pid, supervisor, origin }, kind())
        })
    }

    /// Reports a change of the supervisor itself.
    pub(crate) fn own(&self, kind: impl FnOnce() -> ChangeKind) -> Option<Pushed> {
        self.runtime.kernel.changes.push(|| {
            let (path, pid) = (self.path.text(), Some(self.supervisor));
            let origin = Origin::Supervisor(self.path.clone());
            (Subject { root: self.path.root(), path, pid, supervisor: None, origin }, kind())
        })
    }

    /// Keeps an event of the child with this pid for later observations. Call this without a lock.
    pub(crate) fn keep_event(&self, pid: Option<Pid>, kind: impl FnOnce() -> ChangeKind) {
        if let Some(pid) = pid {
            self.runtime.kernel.keep_event(pid, kind());
        }
    }

    /// Returns the events of a process that has ended, for the history of its child.
    pub(crate) fn kept_events(&self, pid: Option<Pid>) -> KeptEvents {
        self.runtime.kernel.kept_events(pid)
    }

    /// Counts a restart of the child that is counted at this path.
    pub(crate) fn count_restart(&self, path: &SharedStr) {
        self.runtime.kernel.counters.count_restart(path);
    }

    /// Counts that the child with this id has reached a restart limit.
    pub(crate) fn count_give_up(&self, id: &str) {
        self.runtime.kernel.counters.count_give_up(&self.path.counted(id));
    }
}

#[cfg(test)]
mod tests {
    use super::ChangeSource;
    use crate::base::Pid;
    use crate::base::node_path::NodePath;
    use crate::observe::Health;
    use crate::runtime::Runtime;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::thread;

    /// While a start is being reported, the process can't report another health. Otherwise the
    /// report of the start, with the older health, could follow the report of the newer health.
    #[tokio::test]
    async fn no_health_changes_between_its_reading_and_its_report() {
        let rt = Runtime::new();
        rt.kernel.changes.attach();
        let child = rt.spawn(|_| std::future::pending()).pid();
        let supervisor = Pid::from_raw(1);
        let path = NodePath::new(None, (supervisor, "app".into()), false);
        let source = ChangeSource { runtime: rt.clone(), supervisor, path, is_root: true };
        let is_set = Arc::new(AtomicBool::new(false));
        let setter = source.with_health(child, |health| {
            assert_eq!(health, Health::Ready);
            let (rt, is_set) = (rt.clone(), is_set.clone());
            let setter = thread::spawn({
                let is_set = is_set.clone();
                move || {
                    rt.set_health(child, Health::Starting);
                    is_set.store(true, Ordering::SeqCst);
                }
            });
            (0..10_000).for_each(|_| thread::yield_now());
            assert!(!is_set.load(Ordering::SeqCst), "the process is not locked");
            setter
        });
        setter.join().expect("the health is set");
        assert!(is_set.load(Ordering::SeqCst));
        source.with_health(child, |health| assert_eq!(health, Health::Starting));
    }
}
