//! The context of a supervisor's own init.

use crate::base::Pid;
use crate::exit::{Crash, ExitReason, Scope};
use crate::runtime::{Runtime, StartCause, StartError};

/// The argument of a supervisor's own init, which runs before any child is started.
/// [`Supervisor::with_init`](crate::Supervisor::with_init) has an example.
#[derive(Debug, Clone)]
pub struct SupervisorContext {
    pub(crate) runtime: Runtime,
    pub(crate) pid: Pid,
    pub(crate) cause: StartCause,
    /// The crash that [`ignore`](Self::ignore) returns. The crash is compared by identity, so
    /// another error with the same text is not mistaken for it.
    ignore: Crash,
}

impl SupervisorContext {
    pub(crate) fn new(runtime: Runtime, pid: Pid, cause: StartCause) -> Self {
        let ignore = Crash::from_error(StartError::Ignored.into(), None);
        SupervisorContext { runtime, pid, cause, ignore }
    }

    /// Returns whether this reason was returned by [`ignore`](Self::ignore) of this context.
    pub(crate) fn is_own_ignore(&self, reason: &ExitReason) -> bool {
        reason.crash().is_some_and(|crash| crash.is_same(&self.ignore))
    }

    /// Returns the pid of the supervisor. [`Supervisor::with_init`](crate::Supervisor::with_init)
    /// has an example.
    pub fn pid(&self) -> Pid {
        self.pid
    }

    /// Returns the runtime of the supervisor.
    /// [`Supervisor::with_init`](crate::Supervisor::with_init) has an example.
    pub fn runtime(&self) -> &Runtime {
        &self.runtime
    }

    /// Returns why the supervisor was started: for the first time, or again by the supervisor
    /// above, with the reason of its last end.
    /// [`Supervisor::with_init`](crate::Supervisor::with_init) has an example.
    pub fn start_cause(&self) -> &StartCause {
        &self.cause
    }

    /// Returns a reason for a failed init after which the supervisor is not restarted.
    /// [`TaskContext::give_up`](crate::TaskContext::give_up) describes it.
    #[must_use = "the init returns it in an `Err`"]
    pub fn give_up<E: Into<ExitReason> + 'static>(&self, reason: E) -> ExitReason {
        self.runtime.no_restart(self.pid, Scope::Child, reason)
    }

    /// Returns a reason for a failed init after which the whole tree ends.
    /// [`TaskContext::end_tree`](crate::TaskContext::end_tree) describes it.
    #[must_use = "the init returns it in an `Err`"]
    pub fn end_tree<E: Into<ExitReason> + 'static>(&self, reason: E) -> ExitReason {
        self.runtime.no_restart(self.pid, Scope::Tree, reason)
    }

    /// Returns the error for an init that has nothing to supervise. If the init returns this error,
    /// the start returns [`StartError::Ignored`], and no process is left. OTP: `ignore`.
    ///
    /// The error has this meaning only as the result of this supervisor's own init. If the init
    /// passes on the [`StartError::Ignored`] of another start by `?`, the start of this supervisor
    /// fails. [`Supervisor::with_init`](crate::Supervisor::with_init) has an example.
    #[must_use = "the init returns it in an `Err`"]
    pub fn ignore(&self) -> ExitReason {
        ExitReason::Crashed(self.ignore.clone())
    }
}
