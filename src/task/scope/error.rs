//! The error of a scope.

use std::error::Error;
use std::fmt;

use crate::base::Pid;
use crate::exit::{Causeless, ExitReason};

/// The first failure in a [`scope`](crate::scope()), which ended the scope.
///
/// If an error is the cause of the failure, that error is the [`source`](Error::source), so `?` in
/// the body of another process keeps the whole error chain. [`scope`](crate::scope()) has an
/// example.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ScopeError {
    /// A task failed: its body returned an error or panicked, the task was killed, or it could not
    /// be started because the owner of the scope has ended or the runtime was shut down.
    Task {
        /// The pid of the task.
        pid: Pid,
        /// The exit reason of the task.
        reason: ExitReason,
    },
    /// The body of the scope returned this error.
    Body(ExitReason),
    /// The process that owns the scope has ended with this reason, and its tasks with it. Only a
    /// scope that is polled outside of its owner has this error.
    OwnerEnded(ExitReason),
}

impl ScopeError {
    /// Returns the exit reason of the task that failed or of the owner, or the error of the body.
    /// [`scope`](crate::scope()) has an example.
    pub fn reason(&self) -> &ExitReason {
        match self {
            ScopeError::Task { reason, .. }
            | ScopeError::Body(reason)
            | ScopeError::OwnerEnded(reason) => reason,
        }
    }
}

impl fmt::Display for ScopeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ScopeError::Task { pid, reason } => {
                write!(f, "task {pid} of the scope failed: {}", Causeless(reason))
            }
            ScopeError::Body(reason) => {
                write!(f, "the body of the scope failed: {}", Causeless(reason))
            }
            ScopeError::OwnerEnded(reason) => {
                write!(f, "the owner of the scope has ended: {}", Causeless(reason))
            }
        }
    }
}

impl Error for ScopeError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.reason().cause()
    }
}
