//! A monitor in the record of its target.

use std::sync::Arc;

use crate::base::pid::Pid;
use crate::base::shared_str::SharedStr;
#[cfg(feature = "cluster")]
use crate::exit::reason::ExitReason;
use crate::process::AnyProcess;

/// A monitor in the record of its target.
#[derive(Debug, Clone)]
pub(crate) enum Watcher {
    /// The monitor of a process of this runtime.
    Local {
        /// The record of the watcher, so that an end is announced without a look-up. The watcher
        /// removes this entry when it ends, so no record is kept for long after its end.
        process: Arc<dyn AnyProcess>,
        /// The name for which the monitor was requested; `None` if it was requested for a pid.
        name: Option<SharedStr>,
    },
    /// The monitor of a process of another node.
    #[cfg(feature = "cluster")]
    Foreign(Arc<dyn ForeignWatcher>),
}

/// A monitor that a process of another node has set.
#[cfg(feature = "cluster")]
pub(crate) trait ForeignWatcher: std::fmt::Debug + Send + Sync {
    /// The process that has set the monitor.
    fn pid(&self) -> Pid;

    /// Notifies the process of the end of the monitored one. Call this without a lock. A call after
    /// the first one has no effect, and so has a call after the other node has removed the monitor.
    fn target_ended(&self, reason: &ExitReason);
}

impl Watcher {
    /// The process that has set the monitor.
    pub(crate) fn pid(&self) -> Pid {
        match self {
            Watcher::Local { process, .. } => process.pid(),
            #[cfg(feature = "cluster")]
            Watcher::Foreign(watcher) => watcher.pid(),
        }
    }
}
