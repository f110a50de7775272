//! Handles the end of a child that is not started again. That end may end the supervisor.

use crate::exit::{ExitReason, Result};
use crate::supervisor::fixed::{Child, FixedServer, RunState};
use crate::supervisor::{EndRecord, Position};

impl FixedServer {
    /// Records the end of a child that is not started again. The end of a significant child may
    /// end the supervisor.
    pub(crate) fn ended_for_good(&mut self, position: Position, end: EndRecord) -> Result {
        let significant = self.is_significant(position);
        self.record_end(position, end);
        self.mark_stopped(position);
        self.after_end_for_good(significant)
    }

    /// Gives up a child whose last end is recorded. The end of a significant child may end the
    /// supervisor.
    pub(crate) fn give_up_child(&mut self, position: Position) -> Result {
        let significant = self.is_significant(position);
        self.mark_given_up(position);
        self.after_end_for_good(significant)
    }

    pub(crate) fn is_significant(&self, position: Position) -> bool {
        self.children.get(position).is_some_and(|child| child.spec.significant)
    }

    /// Ends the supervisor if its `auto_shutdown` says so, after a child ended for good.
    pub(crate) fn after_end_for_good(&self, significant: bool) -> Result {
        let left = || self.still_to_start > 0 || self.has_significant_left();
        if !self.auto_shutdown.is_due(significant, left) {
            return Ok(());
        }
        self.report.end_restarts();
        Err(ExitReason::Shutdown)
    }

    /// Notes which children the step in progress has not started yet. If another child ends for
    /// good in this step, they count as children that are still to run.
    pub(crate) fn note_still_to_start(&mut self, members: &[Position]) {
        let members = members.iter().filter_map(|member| self.children.get(*member));
        let starts = |child: &&Child| child.spec.significant && child.starts_with_group();
        self.still_to_start = members.filter(starts).count();
    }

    /// Returns whether a significant child is left: a child that runs, waits for its restart, or
    /// will be started by the delayed restart of its group. So a delay does not change the result.
    fn has_significant_left(&self) -> bool {
        // Under a group strategy, the group of the first waiting child contains the groups of all
        // other waiting children.
        let first = self.children.iter().find(|child| child.restarts_with_group());
        let group = first.map(|child| self.strategy.group(child.slot().child));
        self.children.iter().filter(|child| child.spec.significant).any(|child| {
            let is_down = matches!(child.state, RunState::Stopped | RunState::GivenUp);
            !is_down
                || !child.is_given_up()
                    && group.as_ref().is_some_and(|group| group.contains(&child.position))
        })
    }
}
