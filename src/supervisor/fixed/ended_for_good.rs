//! The end of a child that is not started again, which may end its supervisor.

use tokio::time::Instant;

use crate::base::pid::Pid;
use crate::exit::reason::{ExitReason, Result};
use crate::supervisor::end_record::{EndRecord, EndedBy};
use crate::supervisor::fixed::child_state::RunState;
use crate::supervisor::fixed::server::FixedServer;
use crate::supervisor::spec::strategy::Position;

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
        self.record_end(position, EndRecord { pid: Some(pid), reason, at, by: EndedBy::Itself });
        self.mark_stopped(position);
        if !self.auto_shutdown.is_due(significant, || self.has_significant_left()) {
            return Ok(());
        }
        self.report.end_restarts();
        Err(ExitReason::Shutdown)
    }

    /// Whether a significant child runs, waits for its restart, or is in the group of a child that
    /// waits and is started with it. So a delayed restart has the same result here as the same
    /// restart at once.
    fn has_significant_left(&self) -> bool {
        // The group of the first child that waits contains the groups of all others that wait.
        let first = self.children.iter().find(|child| child.restarts_with_group());
        let group = first.map(|child| self.strategy.group(child.slot().child));
        self.children.iter().filter(|child| child.spec.significant).any(|child| {
            let position = child.slot().child;
            !matches!(child.state(), RunState::Stopped)
                || group.as_ref().is_some_and(|group| group.contains(&position))
        })
    }
}
