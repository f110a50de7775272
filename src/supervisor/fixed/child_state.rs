//! The run state of a child of a fixed supervisor.

use std::sync::Arc;

use tokio::time::Instant;

use crate::process::AnyProcess;

/// Whether a child runs, waits for a restart or is stopped.
#[derive(Debug, Clone)]
pub(crate) enum RunState {
    Running(Arc<dyn AnyProcess>),
    /// The child does not run, and waits for the retry with this id. The retry starts the child's
    /// group or, if `retry` is `Requested`, the child alone.
    Restarting {
        retry_id: u64,
        /// The time at which a delayed retry is due; `None` for a retry without a delay.
        due: Option<Instant>,
        retry: RetryKind,
    },
    /// The child ended, was stopped, or never ran.
    Stopped,
}

/// The reason why a child waits for a retry. The reason decides which steps the retry carries out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RetryKind {
    /// A start failed. The retry counts against the window.
    Counted,
    /// The retry waits for the delay of a backoff, and is not counted.
    Delayed,
    /// The restart is decided and reported already, and waits for orphans.
    AfterOrphans,
    /// A requested start waits for orphans.
    Requested,
}
