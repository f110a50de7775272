//! Decides whether a process is about to be stopped, because one of its ancestors is being stopped.
//!
//! A supervisor counts as being stopped from one of two events on: an exit signal of its parent has
//! arrived, or the supervisor has begun to stop all its children. The root of a program counts as
//! being stopped from the begin of the stop of the program.

use std::sync::Arc;

use crate::base::pid::Pid;
use crate::exit::reason::ExitReason;
use crate::kernel::Kernel;
use crate::process::{AnyProcess, ChildStop, Parent};

/// The cause of the stop of an ancestor.
#[cfg_attr(not(feature = "process"), allow(dead_code))]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StopOrigin {
    /// An operating system signal to the whole program.
    Signal,
    /// Any other cause.
    Other,
}

/// The stop of a program. The stop counts as in progress until this value is dropped.
#[derive(Debug)]
pub(crate) struct StopInProgress {
    kernel: Arc<Kernel>,
    root: Pid,
}

impl Kernel {
    /// Notes that the stop of the program with this root begins.
    pub(crate) fn begin_stop(self: &Arc<Self>, root: Pid, by: StopOrigin) -> StopInProgress {
        self.stops_in_progress.lock().push((root, by));
        StopInProgress { kernel: self.clone(), root }
    }

    /// Returns the cause, if an ancestor of this process is being stopped. The stop of a program
    /// takes precedence over other causes.
    #[cfg_attr(not(feature = "process"), allow(dead_code))]
    pub(crate) fn stop_above(&self, process: &dyn AnyProcess) -> Option<StopOrigin> {
        let mut found = None;
        let mut next = process.parent();
        while let Some(Parent { pid, .. }) = next {
            let begun =
                self.stops_in_progress.lock().iter().find(|(root, _)| *root == pid).copied();
            if let Some((_, by)) = begun {
                return Some(by);
            }
            let Some(above) = self.find(pid) else { break };
            if above.with(|locked| locked.core().stop_requested) {
                found = Some(StopOrigin::Other);
            }
            next = above.parent();
        }
        found
    }

    /// Returns whether a process that is ending will be started again, by its supervisor or together
    /// with its supervisor. A supervisor that has ended counts as one that is started again.
    ///
    /// The answer may be out of date soon: a supervisor whose restart limit is reached, and that
    /// has not noticed this yet, counts as one that restarts its children.
    #[cfg_attr(not(feature = "net"), allow(dead_code))]
    pub(crate) fn is_started_again(&self, pid: Pid) -> bool {
        let mut next = pid;
        loop {
            let Some(process) = self.find(next) else { return true };
            let Some(Parent { pid: above, role: Some(role), .. }) = process.parent() else {
                return false;
            };
            match role.stop {
                ChildStop::ForGood => return false,
                ChildStop::ForRestart => return true,
                ChildStop::No | ChildStop::Starting | ChildStop::StartFailed => {}
            }
            let Some(supervisor) = self.find(above) else { return true };
            if supervisor.with(|locked| locked.core().restarts_children()) {
                // The reason is not known yet. With the reason `Killed`, every child is started
                // again except a temporary one.
                return role.restart.restarts_after(&ExitReason::Killed);
            }
            next = above;
        }
    }
}

impl Drop for StopInProgress {
    fn drop(&mut self) {
        let mut begun = self.kernel.stops_in_progress.lock();
        if let Some(at) = begun.iter().position(|(root, _)| *root == self.root) {
            begun.swap_remove(at);
        }
    }
}
