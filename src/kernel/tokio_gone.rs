//! The tokio runtime that processes run on, and what is known of its end.
//!
//! A tokio runtime that has shut down can be told only by this: it drops each task that is spawned
//! there. No task of a process is aborted, so a body that tokio drops before its end shows that tokio
//! shuts down, or has. A `Runtime` stays with the first tokio runtime that it has found, so from then
//! on none of its processes runs any more.

use crate::base::catch::ignore_panic;
use crate::base::pid::Pid;
use crate::base::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use crate::kernel::Kernel;

/// What has happened, and what to do.
pub(crate) const TOKIO_GONE: &str = "the tokio runtime that this regrow `Runtime` runs on has shut \
     down, so no process of it runs any more: make a `Runtime` in each tokio runtime, as in each \
     `#[tokio::test]`, instead of sharing one";

/// What is known of the end of that tokio.
#[derive(Debug, Default)]
pub(crate) struct TokioEnd {
    /// The first pid that was given after the end was known; 0 while it is not known.
    since: AtomicU64,
    told: AtomicBool,
}

impl Kernel {
    /// Whether the tokio that processes run on is known to have shut down.
    pub(crate) fn tokio_is_gone(&self) -> bool {
        self.tokio_end.since.load(Ordering::Acquire) != 0
    }

    /// Tokio has dropped something that it was to run.
    pub(crate) fn note_tokio_gone(&self) {
        if !self.tokio_is_gone() {
            let next = self.next_pid.load(Ordering::Relaxed);
            // Another may have noticed since.
            let _ =
                self.tokio_end.since.compare_exchange(0, next, Ordering::AcqRel, Ordering::Acquire);
        }
    }

    /// Tokio has dropped the body of this process. If it was spawned after the end was known, the
    /// log warns of it, once. Processes that still run when a program ends are no error.
    pub(crate) fn note_process_lost(&self, pid: Pid) {
        self.note_tokio_gone();
        let TokioEnd { since, told } = &self.tokio_end;
        if pid.raw() >= since.load(Ordering::Acquire) && !told.swap(true, Ordering::Relaxed) {
            ignore_panic(|| tracing::warn!(target: "regrow", %pid, "{TOKIO_GONE}"));
        }
    }
}
