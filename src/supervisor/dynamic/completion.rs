//! The results of background tasks: starts, and waits for names and orphans.

use std::sync::Arc;

use crate::base::{Pid, SharedStr};
use crate::call::Reply;
use crate::child::Spec;
use crate::runtime::StartError;
use crate::supervisor::StartOutcome;
use crate::supervisor::dynamic::Child;

pub(crate) type PidReply = Reply<Result<Pid, StartError>>;

/// An attempt to restart the child with this pid. The retry is stale if the child does not wait for
/// this id.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Retry {
    pub(super) pid: Pid,
    pub(super) id: u64,
}

/// The callers that get the result of a first start.
pub(super) enum Requester {
    Caller(PidReply),
    /// All waiting callers of `get_or_start` with this name. The specification is kept for another
    /// attempt.
    NameWaiters(SharedStr, Arc<Spec>),
}

/// The result of a background task.
pub(super) enum Completion {
    /// A first start has finished.
    Started { child: Child, requester: Requester, outcome: StartOutcome },
    /// A restart has finished. `incarnation` is used if the supervisor no longer knows the child.
    Restarted { retry: Retry, incarnation: Child, outcome: StartOutcome },
    /// The orphans of a killed child supervisor have ended.
    OrphansEnded(Retry),
    /// The status of the name may have changed, so the name is looked up again.
    NameChanged { name: SharedStr, spec: Arc<Spec> },
}
