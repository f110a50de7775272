//! The run state of a child of a fixed supervisor.

use std::sync::Arc;

use tokio::time::Instant;

use crate::process::AnyProcess;

/// Whether a child runs, waits for a restart or is stopped.
#[derive(Debug, Clone)]
pub(crate) enum RunState {
    Running(Arc<dyn AnyProcess>),
    /// The child ended. The retry with this id starts its group again.
    Restarting {
        retry_id: u64,
        /// When the retry is due, if it waits for a delay.
        due: Option<Instant>,
        retry: RetryKind,
    },
    /// The child ended, was stopped, or never ran.
    Stopped,
}

/// What a retry waited for, and so what is left to decide.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RetryKind {
    /// A start failed: the retry counts against the window.
    Counted,
    /// The retry has waited for its delay, and counts against nothing.
    Delayed,
    /// The restart was decided and reported, and waited for orphans.
    AfterOrphans,
    /// A start that was requested waited for orphans.
    Requested,
}
