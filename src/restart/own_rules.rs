//! The rules for the restarts of a child that its own specification gives.

use std::time::Duration;

use crate::base::Pid;
use crate::exit::{ExitReason, NoRestart};
use crate::restart::failure_policy::{FailurePolicy, OnFailure};
use crate::restart::{Backoff, Intensity, Rules};

/// The settings of a child that replace those of its supervisor, its policy for failures, and the
/// limit of its memory.
#[derive(Debug, Clone, Default)]
pub(crate) struct OwnRules {
    pub(crate) backoff: Option<Backoff>,
    pub(crate) intensity: Option<Intensity>,
    pub(crate) on_failure: Option<OnFailure>,
    /// How often the child, a server, may go on after a failed handler.
    pub(crate) resumes: Intensity,
    /// How many bytes of memory the child may hold.
    pub(crate) max_memory: Option<u64>,
}

impl OwnRules {
    /// Returns the rules that apply to the child of a supervisor with the rules `shared`.
    pub(crate) fn over(&self, shared: Rules) -> Rules {
        Rules {
            backoff: self.backoff.or(shared.backoff),
            intensity: self.intensity.unwrap_or(shared.intensity),
        }
    }

    /// Returns the backoff and the budget of the child. `shared` is `None` if its supervisor has ended.
    pub(crate) fn backoff_and_budget(
        &self,
        shared: Option<Rules>,
    ) -> (Option<Backoff>, Option<(u32, Duration)>) {
        let shared = shared.unwrap_or(Rules { backoff: None, intensity: Intensity::Unlimited });
        let rules = self.over(shared);
        match rules.intensity {
            Intensity::Limited { restarts, period } => (rules.backoff, Some((restarts, period))),
            Intensity::Unlimited => (rules.backoff, None),
        }
    }

    /// Returns the policy after the end of this process, `by`, with this reason. `None` if there is no
    /// closure, if it panics, or if the process has decided itself.
    pub(crate) fn policy_after(
        &self,
        reason: &ExitReason,
        (runtime, by): (usize, Pid),
    ) -> Option<FailurePolicy> {
        let on_failure = self.on_failure.as_ref()?;
        match NoRestart::of(reason, runtime, by) {
            Some(_) => None,
            None => on_failure.decide(reason).ok(),
        }
    }
}
