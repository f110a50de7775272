//! What a supervisor tells of itself and its children for a snapshot.

use std::time::Duration;

use tokio::time::Instant;

use crate::supervisor::info::ChildInfo;
use crate::supervisor::intensity::{Intensity, Window};

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

/// One supervisor.
#[derive(Debug)]
pub(crate) struct Description {
    pub(crate) strategy: &'static str,
    /// When it began to start its children.
    pub(crate) since: Instant,
    /// `None`: any number of restarts.
    pub(crate) budget: Option<RestartBudget>,
    pub(crate) children: Vec<ChildInfo>,
    /// Further children, left out.
    pub(crate) more: usize,
}

impl Window {
    pub(crate) fn budget(&self, limit: Intensity) -> Option<RestartBudget> {
        let left = self.left(limit, Instant::now())?;
        let Intensity::Limited { restarts, period } = limit else { return None };
        Some(RestartBudget { left, restarts, period })
    }
}
