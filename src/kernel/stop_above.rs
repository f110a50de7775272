//! Whether a process is about to be stopped, because a supervisor above it is.
//!
//! Of a supervisor it is known as soon as it has been asked to stop, or has begun to stop its
//! children; of the root of a program as soon as the program's stop has begun.

use std::sync::Arc;

use crate::base::pid::Pid;
use crate::kernel::Kernel;
use crate::process::AnyProcess;

/// What began a stop of a supervisor above a process.
#[cfg_attr(not(feature = "process"), allow(dead_code))]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Above {
    /// A signal of the operating system to the whole program.
    Signal,
    /// Anything else.
    Other,
}

/// A program's stop, as long as it lasts.
#[derive(Debug)]
pub(crate) struct StopInProgress {
    kernel: Arc<Kernel>,
    root: Pid,
}

impl Kernel {
    /// The stop of the program with this root begins.
    pub(crate) fn begin_stop(self: &Arc<Self>, root: Pid, by: Above) -> StopInProgress {
        self.stops_in_progress.lock().push((root, by));
        StopInProgress { kernel: self.clone(), root }
    }

    /// Whether a supervisor above this process is being stopped, and why. What a program's stop
    /// says of its root comes first.
    #[cfg_attr(not(feature = "process"), allow(dead_code))]
    pub(crate) fn stop_above(&self, process: &dyn AnyProcess) -> Option<Above> {
        let parent = |process: &dyn AnyProcess| {
            process.with(|locked| locked.core().relations()?.parent.map(|parent| parent.pid))
        };
        let mut found = None;
        let mut next = parent(process);
        while let Some(pid) = next {
            let begun =
                self.stops_in_progress.lock().iter().find(|(root, _)| *root == pid).copied();
            if let Some((_, by)) = begun {
                return Some(by);
            }
            let Some(above) = self.find(pid) else { break };
            if above.with(|locked| locked.core().asked) {
                found = Some(Above::Other);
            }
            next = parent(&*above);
        }
        found
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
