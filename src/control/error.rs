//! Why an action was not carried out.

use std::error::Error;
use std::fmt;

use crate::base::{Pid, SharedStr, path_excerpt};
use crate::kernel::TOKIO_GONE;
use crate::observe::ControlOutcome;
use crate::runtime::CallError;
use crate::supervisor::ChildError;

/// The error of a [`ControlRequest`](crate::ControlRequest). [`Runtime::control`](crate::Runtime::control)
/// has an example. The text of the error does not repeat its [`source`](Error::source).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ControlError {
    /// There is no child of this path with this process and this supervisor in the tree. Nothing was
    /// done.
    NotFound(SharedStr),
    /// The child is in another state than the action needs, or the supervisor has no room for it.
    /// Nothing was done.
    Child(ChildError),
    /// The supervisor has begun the action, which failed: the start of the child failed, or the child
    /// was terminated meanwhile. What was done stays: a child that the action has stopped is stopped.
    Failed(ChildError),
    /// The supervisor with this pid stops all its children. Nothing was done.
    SupervisorStopping(Pid),
    /// The process is a topmost supervisor: no supervisor could restart or terminate it. Nothing was
    /// done.
    Topmost(Pid),
    /// The process is a supervisor, which is not suspended, because its children would not be
    /// restarted. Nothing was done.
    IsSupervisor(Pid),
    /// The process is not a [`GenServer`](crate::GenServer), so it can't be suspended. Nothing was
    /// done.
    NotAServer(Pid),
    /// The supervisor or the server did not take the request in time: it starts or stops another
    /// child, or runs a handler. The request was withdrawn, and nothing was or will be done.
    NotBegun,
    /// The supervisor has begun the action, and has ended or did not finish it in time, or the tokio
    /// runtime has shut down meanwhile. A supervisor that is alive finishes the action.
    Unfinished,
    /// The tokio runtime has shut down. Nothing was done.
    TokioGone,
}

impl ControlError {
    /// The outcome that is reported.
    pub(super) fn outcome(&self) -> ControlOutcome {
        let text = crate::base::ErrorChain(self).to_string().into();
        match self {
            ControlError::Unfinished | ControlError::Failed(_) => ControlOutcome::Unfinished(text),
            _ => ControlOutcome::Refused(text),
        }
    }
}

impl fmt::Display for ControlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ControlError::NotFound(path) => {
                write!(
                    f,
                    "{} is no child with this process and this supervisor",
                    path_excerpt(path)
                )
            }
            ControlError::Child(error) => error.fmt(f),
            ControlError::Failed(error) => write!(f, "the action was begun, and failed: {error}"),
            ControlError::SupervisorStopping(pid) => {
                write!(f, "supervisor {pid} stops all its children")
            }
            ControlError::Topmost(pid) => {
                write!(f, "no supervisor is above {pid}: its program restarts or stops it")
            }
            ControlError::IsSupervisor(pid) => write!(
                f,
                "{pid} is a supervisor: suspended, it would restart no child; suspend its children"
            ),
            ControlError::NotAServer(pid) => {
                write!(f, "{pid} is not a `GenServer`, which alone can be suspended")
            }
            ControlError::NotBegun => f.write_str(
                "the process that has to do it is busy and did not answer in time: the request was \
                 withdrawn, nothing was done",
            ),
            ControlError::Unfinished => f.write_str(
                "the action was begun and has not ended in time: if the supervisor is alive, it \
                 finishes the action",
            ),
            ControlError::TokioGone => f.write_str(TOKIO_GONE),
        }
    }
}

impl Error for ControlError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            ControlError::Child(error) | ControlError::Failed(error) => error.source(),
            _ => None,
        }
    }
}

impl From<ChildError> for ControlError {
    fn from(error: ChildError) -> Self {
        ControlError::Child(error)
    }
}

impl From<CallError> for ControlError {
    fn from(error: CallError) -> Self {
        ControlError::Child(error.into())
    }
}
