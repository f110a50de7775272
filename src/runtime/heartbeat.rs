//! The heartbeats that a process reports.

use crate::base::{Pid, ignore_panic};
use crate::process::AnyProcess;
use crate::runtime::Runtime;

impl Runtime {
    /// Reports for a process that it is well. Returns false if the process is not alive. Does
    /// nothing if no heartbeat is [required](crate::ChildSpec::heartbeat) of the process.
    ///
    /// Servers, tasks and blocking functions report their own heartbeats with
    /// [`ServerContext::heartbeat`](crate::ServerContext::heartbeat),
    /// [`TaskContext::heartbeat`](crate::TaskContext::heartbeat) and
    /// [`BlockingContext::heartbeat`](crate::BlockingContext::heartbeat). Use this for a process of
    /// any other kind, and for a helper that reports for its child.
    ///
    /// ```
    /// use regrow::Runtime;
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// let process = rt.spawn(|_| std::future::pending());
    /// assert!(rt.heartbeat(process.pid()));
    /// rt.kill(process.pid());
    /// process.join().await;
    /// assert!(!rt.heartbeat(process.pid()));
    /// # }));
    /// ```
    pub fn heartbeat(&self, pid: Pid) -> bool {
        let process = self.kernel.find(pid);
        process.is_some_and(|process| {
            self.report_heartbeat(&*process);
            process.with(|locked| locked.core().is_open())
        })
    }

    pub(crate) fn report_heartbeat(&self, process: &dyn AnyProcess) {
        let was_late = self.kernel.change_health(process, |core| {
            let was_late = core.beat();
            (was_late, was_late)
        });
        if was_late {
            self.note_health_change();
        }
    }

    /// Notifies the code that waits for the health of a process.
    pub(crate) fn note_health_change(&self) {
        ignore_panic(|| self.kernel.health_changes.notify_waiters());
    }
}
