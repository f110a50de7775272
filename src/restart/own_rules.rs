//! The rules for the restarts of a child that its own specification gives.

use crate::restart::{Backoff, Intensity, Rules};

/// The settings of a child that replace those of its supervisor.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct OwnRules {
    pub(crate) backoff: Option<Backoff>,
    pub(crate) intensity: Option<Intensity>,
}

impl OwnRules {
    /// Returns the rules that apply to the child of a supervisor with the rules `shared`.
    pub(crate) fn over(self, shared: Rules) -> Rules {
        Rules {
            backoff: self.backoff.or(shared.backoff),
            intensity: self.intensity.unwrap_or(shared.intensity),
        }
    }
}
