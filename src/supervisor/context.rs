//! The context that a supervisor's own init is called with.

use crate::base::pid::Pid;
use crate::exit::crash::Crash;
use crate::exit::reason::ExitReason;
use crate::runtime::Runtime;
use crate::runtime::errors::start_error::StartError;
use crate::runtime::starting::StartCause;

/// The context of a supervisor while its own init runs, before any child is started.
/// [`Supervisor::with_init`](crate::Supervisor::with_init) has an example.
#[derive(Debug, Clone)]
pub struct SupervisorContext {
    pub(crate) runtime: Runtime,
    pub(crate) pid: Pid,
    pub(crate) cause: StartCause,
    /// The crash that [`ignore`](Self::ignore) returns. It is compared by identity, so an error
    /// with the same text is not taken for it.
    ignore: Crash,
}

impl SupervisorContext {
    pub(crate) fn new(runtime: Runtime, pid: Pid, cause: StartCause) -> Self {
        let ignore = Crash::from_error(StartError::Ignored.into(), None);
        SupervisorContext { runtime, pid, cause, ignore }
    }

    /// Whether this reason was made by [`ignore`](Self::ignore) of this very context.
    pub(crate) fn is_own_ignore(&self, reason: &ExitReason) -> bool {
        reason.crash().is_some_and(|crash| crash.is_same(&self.ignore))
    }

    /// The supervisor's pid.
    /// [`Supervisor::with_init`](crate::Supervisor::with_init) has an example.
    pub fn pid(&self) -> Pid {
        self.pid
    }

    /// The runtime of the supervisor.
    /// [`Supervisor::with_init`](crate::Supervisor::with_init) has an example.
    pub fn runtime(&self) -> &Runtime {
        &self.runtime
    }

    /// Why the supervisor was started: for the first time, or again by the supervisor above, and
    /// after which reason.
    /// [`Supervisor::with_init`](crate::Supervisor::with_init) has an example.
    pub fn start_cause(&self) -> &StartCause {
        &self.cause
    }

    /// The error that the init returns when there is nothing to supervise: the start gives
    /// [`StartError::Ignored`], and no process is left. OTP: `ignore`.
    ///
    /// The error has this meaning only as the result of this supervisor's own init. If the init
    /// passes on the [`StartError::Ignored`] of another start by `?`, its start has failed.
    /// [`Supervisor::with_init`](crate::Supervisor::with_init) has an example.
    #[must_use = "the init returns it in an `Err`"]
    pub fn ignore(&self) -> ExitReason {
        ExitReason::Crashed(self.ignore.clone())
    }
}
