//! Handles the end of a child that is not started again. That end may end the supervisor.

use tokio::time::Instant;

use crate::base::Pid;
use crate::exit::{ExitReason, Result};
use crate::supervisor::fixed::{FixedServer, RunState};
use crate::supervisor::{EndRecord, Position};

impl FixedServer {
    /// Records the end of a child that is not started again. The end of a significant child may
    /// end the supervisor.
    pub(crate) fn ended_for_good(
        &mut self,
        position: Position,
        pid: Pid,
        reason: ExitReason,
    ) -> Result {
        let significant = self.children.get(position).is_some_and(|child| child.spec.significant);
        let at = Instant::now();
        self.record_end(position, EndRecord { pid: Some(pid), reason, at, stopped: false });
        self.mark_stopped(position);
        if !self.auto_shutdown.is_due(significant, || self.has_significant_left()) {
            return Ok(());
        }
        self.report.end_restarts();
        Err(ExitReason::Shutdown)
    }

    /// Returns whether a significant child runs, waits for its restart, or will be started by a
    /// restart of its group that another child waits for. So a delayed restart gives the same
    /// result here as a restart without a delay.
    fn has_significant_left(&self) -> bool {
        // Under a group strategy, the group of the first child that waits contains the groups of
        // all other waiting children.
        let first = self.children.iter().find(|child| child.restarts_with_group());
        let group = first.map(|child| self.strategy.group(child.slot().child));
        self.children.iter().filter(|child| child.spec.significant).any(|child| {
            !matches!(child.state, RunState::Stopped)
                || group.as_ref().is_some_and(|group| group.contains(&child.position))
        })
    }
}
