//! What follows a failure of a child: the policy that its specification chooses by the reason of
//! the failure.

use std::fmt;
use std::sync::Arc;

use crate::base::CaughtDrop;
use crate::base::user_panics::catch_panic;
use crate::exit::ExitReason;

/// What follows a failure of a child. The closure of
/// [`ChildSpec::on_failure`](crate::ChildSpec::on_failure), which has an example, returns it for each
/// failure. OTP decides by the [restart type](crate::Restart) alone; the decider of Akka is the model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum FailurePolicy {
    /// The restart type decides, as without a closure: a permanent or transient child is started
    /// again, with its backoff, its group and its budget; a temporary child is removed.
    #[default]
    Restart,
    /// A server goes on with its state as the failed handler left it, and with what is queued. The
    /// message whose handler failed is dropped: its caller gets
    /// [`NoReply`](crate::CallError::NoReply). The pid, the name, links, monitors, timers and tasks
    /// stay.
    ///
    /// [`ChildSpec::resume_budget`](crate::ChildSpec::resume_budget) limits how often. Beyond it, and
    /// for every end that no handler can survive, `Resume` is [`Restart`](Self::Restart): for a failure
    /// of `init` or `terminate`, a kill, the exit of a linked process, a task or another child
    /// that is no server, and a supervisor.
    Resume,
    /// The child is not started again. Under a [`Supervisor`](crate::Supervisor) it is
    /// [given up](crate::ChildState::GivenUp), and only a request starts it again; a temporary child,
    /// and every child of a dynamic supervisor, is removed. The other children are not restarted.
    Stop,
    /// The supervisor ends, at once and without regard to its budget, with a
    /// [`RestartLimitReached`](crate::RestartLimitReached) whose limit is
    /// [`Escalated`](crate::Limit::Escalated). Its own supervisor decides what follows.
    Escalate,
}

impl FailurePolicy {
    /// Returns the name of the policy, in lower case.
    ///
    /// ```
    /// use regrow::FailurePolicy;
    ///
    /// assert_eq!(FailurePolicy::default().name(), "restart");
    /// ```
    pub fn name(self) -> &'static str {
        match self {
            FailurePolicy::Restart => "restart",
            FailurePolicy::Resume => "resume",
            FailurePolicy::Stop => "stop",
            FailurePolicy::Escalate => "escalate",
        }
    }
}

/// The name of the policy.
impl fmt::Display for FailurePolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

type Decide = dyn Fn(&ExitReason) -> FailurePolicy + Send + Sync;

/// The closure of a child specification that chooses the policy. It is code of a user: call it
/// without a lock.
#[derive(Clone)]
pub(crate) struct OnFailure(CaughtDrop<Arc<Decide>>);

impl OnFailure {
    pub(crate) fn new(
        decide: impl Fn(&ExitReason) -> FailurePolicy + Send + Sync + 'static,
    ) -> Self {
        OnFailure(CaughtDrop::new(Arc::new(decide)))
    }

    /// Returns the policy for an end with this reason, or the text of the closure's panic. A clean end
    /// is no failure: the closure is not called.
    pub(crate) fn decide(&self, reason: &ExitReason) -> Result<FailurePolicy, String> {
        match reason.is_clean() {
            true => Ok(FailurePolicy::Restart),
            false => catch_panic(|| (self.0)(reason)),
        }
    }
}

impl fmt::Debug for OnFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OnFailure")
    }
}
