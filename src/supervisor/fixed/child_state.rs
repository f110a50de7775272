//! What a child of a fixed supervisor is doing, and how it came to that.

use std::sync::Arc;

use tokio::time::Instant;

use crate::base::pid::Pid;
use crate::exit::reason::ExitReason;
use crate::process::AnyProcess;

/// How an incarnation ended, or why it did not start; then it has no pid.
#[derive(Debug)]
pub(crate) struct EndRecord {
    pub(crate) pid: Option<Pid>,
    pub(crate) reason: ExitReason,
    pub(crate) at: Instant,
    pub(crate) by: EndedBy,
}

/// Whose doing the end of an incarnation was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EndedBy {
    /// Its own, or it did not start.
    Itself,
    /// It was stopped, with its group or by hand.
    Supervisor,
}

/// What a child is doing.
#[derive(Debug, Clone)]
pub(crate) enum RunState {
    Running(Arc<dyn AnyProcess>),
    /// It ended, and its group is started again by the retry with this ticket.
    Restarting {
        retry_id: u64,
        /// When, if that waits for a time.
        due: Option<Instant>,
        retry: RetryKind,
    },
    /// It ended, was stopped, or never ran.
    Stopped,
}

/// What a retry has still to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RetryKind {
    /// A start failed: the retry counts against the window.
    Counted,
    /// The retry has waited for its delay, and counts against nothing.
    Delayed,
    /// The restart was decided, and waited for what a killed incarnation left.
    AfterOrphans,
    /// A start by hand waited for the same.
    Requested,
}
