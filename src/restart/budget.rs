//! How many restarts a supervisor has left.

use std::time::Duration;

use tokio::time::Instant;

use crate::restart::window::{Intensity, Window};

/// How many restarts a supervisor still allows. [`TreeSnapshot`](crate::TreeSnapshot) has an
/// example.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct RestartBudget {
    /// How many are left at this moment.
    pub left: u32,
    /// How many it allows in any `period`.
    pub restarts: u32,
    /// In how long a window.
    pub period: Duration,
}

impl Window {
    /// What is left at this moment; `None` is no limit.
    pub(crate) fn budget(&self, limit: Intensity, now: Instant) -> Option<RestartBudget> {
        let left = self.left(limit, now)?;
        let Intensity::Limited { restarts, period } = limit else { return None };
        Some(RestartBudget { left, restarts, period })
    }
}
