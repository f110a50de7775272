//! The times at which a program kills a process that it stops: its root, or the supervisor of a
//! phase. A supervisor publishes the deadlines of its own children. These processes have no
//! supervisor, so the program publishes their deadlines here.

use std::sync::Arc;

use tokio::time::Instant;

use crate::base::pid::Pid;
use crate::base::sync::PlainMutex;
use crate::kernel::Kernel;

/// The kills that are due, each with its process.
#[derive(Debug, Default)]
pub(crate) struct KillTimes(PlainMutex<Vec<(Pid, Instant)>>);

/// A kill that is due. It is known until this value is dropped.
pub(crate) struct KillTime {
    kernel: Arc<Kernel>,
    kill: (Pid, Instant),
}

impl Kernel {
    /// Notes that a program kills this process at `at`, if it has not ended.
    pub(crate) fn note_kill_time(self: &Arc<Self>, pid: Pid, at: Instant) -> KillTime {
        let kill = (pid, at);
        self.kill_times.0.lock().push(kill);
        KillTime { kernel: self.clone(), kill }
    }

    /// Returns when a program kills this process, if that is known.
    pub(crate) fn kill_time(&self, pid: Pid) -> Option<Instant> {
        let all = self.kill_times.0.lock();
        all.iter().filter(|(of, _)| *of == pid).map(|(_, at)| *at).min()
    }
}

impl Drop for KillTime {
    fn drop(&mut self) {
        let mut all = self.kernel.kill_times.0.lock();
        if let Some(at) = all.iter().position(|kill| *kill == self.kill) {
            all.swap_remove(at);
        }
    }
}
