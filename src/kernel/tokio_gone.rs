//! Detects that the tokio runtime on which processes run has shut down.
//!
//! A tokio runtime that shuts down drops its tasks, and each task that is spawned on it later.
//! There is no other sign of the shutdown. This crate aborts no task of a process, so a body that
//! tokio drops before its end shows that tokio is shutting down or has shut down. A `Runtime` uses
//! only the first tokio runtime that it has found, so none of its processes runs after that
//! shutdown.

use crate::base::pid::Pid;
use crate::base::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use crate::base::user_panics::ignore_panic;
use crate::kernel::Kernel;

/// The text of the errors and of the warning about the shutdown.
pub(crate) const TOKIO_GONE: &str = "the tokio runtime that this regrow `Runtime` runs on has shut \
     down, so no process of it runs any more: make a `Runtime` in each tokio runtime, as in each \
     `#[tokio::test]`, instead of sharing one";

/// Whether the shutdown of tokio is known, and since when.
#[derive(Debug, Default)]
pub(crate) struct TokioEnd {
    /// The least pid that could be assigned after the shutdown became known; 0 before.
    since: AtomicU64,
    /// Whether the warning was logged.
    warned: AtomicBool,
}

impl Kernel {
    /// Whether the tokio runtime that processes run on is known to have shut down.
    pub(crate) fn tokio_is_gone(&self) -> bool {
        self.tokio_end.since.load(Ordering::Acquire) != 0
    }

    /// Notes that tokio has dropped a task before its end.
    pub(crate) fn note_tokio_gone(&self) {
        if !self.tokio_is_gone() {
            let next = self.pids.last().raw() + 1;
            // Another thread may have noted the shutdown first.
            let _ =
                self.tokio_end.since.compare_exchange(0, next, Ordering::AcqRel, Ordering::Acquire);
        }
    }

    /// Notes that tokio has dropped the body of this process. Logs a warning, once, if the process
    /// was spawned after the shutdown was known. Logs nothing for earlier processes, since
    /// processes that still run when a program ends are no error.
    pub(crate) fn note_process_lost(&self, pid: Pid) {
        self.note_tokio_gone();
        let TokioEnd { since, warned } = &self.tokio_end;
        if pid.raw() >= since.load(Ordering::Acquire) && !warned.swap(true, Ordering::Relaxed) {
            ignore_panic(|| tracing::warn!(target: "regrow", %pid, "{TOKIO_GONE}"));
        }
    }
}
