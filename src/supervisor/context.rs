//! What a supervisor's own init is given.

use crate::base::pid::Pid;
use crate::exit::crash::Crash;
use crate::exit::reason::ExitReason;
use crate::runtime::Runtime;
use crate::runtime::errors::call_error::StartError;
use crate::runtime::starting::StartCause;

/// The inside of a supervisor while its own init runs, before any child is started.
/// [`Supervisor::with_init`](crate::Supervisor::with_init) has an example.
#[derive(Debug, Clone)]
pub struct SupervisorContext {
    pub(crate) runtime: Runtime,
    pub(crate) pid: Pid,
    pub(crate) cause: StartCause,
    /// What [`ignore`](Self::ignore) gives. Compared by identity, so that no other error, of
    /// whatever words, is taken for it.
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
    ///
    /// It counts only as the result of this supervisor's own init. A [`StartError::Ignored`]
    /// of another start that the init passes on by `?` is a failed start.
    /// [`Supervisor::with_init`](crate::Supervisor::with_init) has an example.
    #[must_use = "the init returns it in an `Err`"]
    pub fn ignore(&self) -> ExitReason {
        ExitReason::Crashed(self.ignore.clone())
    }
}
