//! The state that a run and its watchdog share: the root of the tree, and the cause of the stop.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use crate::base::Pid;
use crate::program::{ForcedStop, StopCause, StopReport, TreeMembers};
use crate::runtime::Runtime;

/// The root of one run, and, once the stop has begun, its cause and the outcomes of the children.
#[derive(Default)]
pub(super) struct StopState {
    root: OnceLock<(Runtime, Pid, String)>,
    members: OnceLock<Arc<TreeMembers>>,
    cause: OnceLock<StopCause>,
}

impl StopState {
    /// Sets the root. The run calls this as soon as the process of the root exists.
    pub(super) fn set_root(&self, runtime: &Runtime, pid: Pid, path: &str) {
        // An error is impossible, since a run sets its root once.
        let _ = self.root.set((runtime.clone(), pid, path.to_owned()));
    }

    /// Begins the stop, unless it has begun (invariant 1 of the [run](crate::program)). From here
    /// on the outcomes of children are recorded. Returns `None` if the root is not set yet.
    pub(super) fn begin(&self, cause: &StopCause) -> Option<Arc<TreeMembers>> {
        let (runtime, pid, path) = self.root.get()?;
        self.cause.get_or_init(|| cause.clone());
        let new = || Arc::new(TreeMembers::new(runtime, *pid, path.clone()));
        Some(self.members.get_or_init(new).clone())
    }

    /// Kills the operating system processes that children of the runtime run. The watchdog calls
    /// this before it ends a program whose tree has not stopped.
    pub(super) fn kill_programs(&self) {
        #[cfg(all(unix, feature = "process"))]
        if let Some((runtime, ..)) = self.root.get() {
            runtime.kernel.programs.kill_all();
        }
    }

    /// Creates the report of a tree that did not stop in time. This method only reads the kernel's
    /// tables, so it needs no async code.
    pub(super) fn report(
        &self,
        cause: &StopCause,
        took: Duration,
        forced: &ForcedStop,
    ) -> StopReport {
        let members = self.begin(cause);
        let cause = self.cause.get().unwrap_or(cause).clone();
        let children = members.map_or_else(Vec::new, |members| {
            members.record_members();
            members.report(took, forced)
        });
        StopReport { cause, took, forced: true, children }
    }
}
