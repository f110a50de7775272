//! The restart budget of a supervisor, as users see it.

use std::time::Duration;

use tokio::time::Instant;

use crate::restart::restart_limit::{Intensity, Window};

/// The number of restarts that a supervisor allows, and the number of restarts that are left.
/// [`TreeSnapshot`](crate::TreeSnapshot) has an example.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct RestartBudget {
    /// How many restarts are left at this moment.
    pub left: u32,
    /// How many restarts the supervisor allows within any `period`.
    pub restarts: u32,
    /// The length of the window.
    pub period: Duration,
}

impl Window {
    /// Returns the budget at this moment; `None` if there is no limit.
    pub(crate) fn budget(&self, limit: Intensity, now: Instant) -> Option<RestartBudget> {
        let left = self.left(limit, now)?;
        let Intensity::Limited { restarts, period } = limit else { return None };
        Some(RestartBudget { left, restarts, period })
    }
}
