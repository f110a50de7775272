//! The restart budget of a single child, and what follows when the child has used it up.

use crate::exit::Result;
use crate::restart::Intensity;

/// The restart budget of one child.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct OwnBudget {
    pub(crate) intensity: Intensity,
    pub(crate) exhausted: Exhausted,
}

impl OwnBudget {
    /// Refuses a budget that can't work. The error names `setting` as the setting to change.
    pub(crate) fn check(self, setting: &str) -> Result<(), String> {
        self.intensity.check(setting)
    }
}

/// The consequence when a child has used up its own restart budget, or had no healthy run for as
/// long as its [`Backoff`](crate::Backoff) allows.
///
/// [`ChildSpec::restart_budget`](crate::ChildSpec::restart_budget) and
/// [`DynamicSupervisor::child_intensity`](crate::DynamicSupervisor::child_intensity) have examples.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Exhausted {
    /// The supervisor gives up: it stops all its children and ends, as in OTP.
    Escalate,
    /// Only this child is given up. The child stays known, with its history, and does not run: its
    /// state is [`GivenUp`](crate::ChildState::GivenUp).
    ///
    /// Under a [`Supervisor`](crate::Supervisor),
    /// [`restart_child`](crate::SupervisorRef::restart_child) starts the child again, with a fresh
    /// budget. A restart of its group does not start it, and starts the other children of the group
    /// without it.
    ///
    /// Under a dynamic supervisor the child stays given up until it is terminated or another child
    /// is started under its name. It does not count for
    /// [`max_children`](crate::DynamicSupervisor::max_children), and holds no name. While a restart
    /// would exceed the child's budget,
    /// [`get_or_start`](crate::DynamicSupervisorRef::get_or_start) and
    /// [`start_child`](crate::DynamicSupervisorRef::start_child) under the child's name return
    /// [`StartError::GivenUp`](crate::StartError::GivenUp). A child that always fails is therefore
    /// started no more often than its budget allows, however many callers request it. If the first
    /// start of a child fails, the child is not given up: the request returns the error, and the
    /// next request starts it again. The 1,000 children that were given up last are kept; earlier
    /// ones are removed.
    GiveUp,
    /// Only this child is given up, and it is removed with its history. Under a dynamic supervisor
    /// the next [`get_or_start`](crate::DynamicSupervisorRef::get_or_start) starts it again at
    /// once.
    Forget,
}
