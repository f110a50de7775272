//! What a supervisor's own init is given.

use crate::call_error::StartError;
use crate::exit::ExitReason;
use crate::pid::Pid;
use crate::runtime::Runtime;
use crate::starting::StartCause;

/// The inside of a supervisor while its own init runs, before any child is started.
/// [`Supervisor::with_init`](crate::Supervisor::with_init) has an example.
#[derive(Debug, Clone)]
pub struct SupervisorContext {
    pub(crate) runtime: Runtime,
    pub(crate) pid: Pid,
    pub(crate) cause: StartCause,
}

impl SupervisorContext {
    /// The supervisor's pid.
    /// [`Supervisor::with_init`](crate::Supervisor::with_init) has an example.
    pub fn pid(&self) -> Pid {
        self.pid
    }

    /// The runtime it lives in.
    /// [`Supervisor::with_init`](crate::Supervisor::with_init) has an example.
    pub fn runtime(&self) -> &Runtime {
        &self.runtime
    }

    /// Why it was started: the first time, or again by its own supervisor, and after what.
    /// [`Supervisor::with_init`](crate::Supervisor::with_init) has an example.
    pub fn start_cause(&self) -> &StartCause {
        &self.cause
    }

    /// What the init returns in an `Err` when there is nothing to supervise: the start gives
    /// [`StartError::Ignored`], and nothing is left. OTP: `ignore`.
    /// [`Supervisor::with_init`](crate::Supervisor::with_init) has an example.
    #[must_use = "the init returns it in an `Err`"]
    pub fn ignore(&self) -> ExitReason {
        ExitReason::from_library(StartError::Ignored)
    }
}

/// Whether the init chose not to run.
pub(crate) fn is_ignore(reason: &ExitReason) -> bool {
    let error = reason.crash().and_then(|crash| crash.downcast_ref::<StartError>());
    error == Some(&StartError::Ignored)
}
