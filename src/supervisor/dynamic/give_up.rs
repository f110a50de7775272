//! When a dynamic supervisor gives up, or gives up one child: the budget that a restart counts
//! against, and the consequence of a limit that is reached.
//!
//! A restart of a child with a budget of its own counts against that budget only. [`Exhausted`]
//! names the consequence when a child reaches a limit of its own. The limit that all children share
//! always ends the supervisor.

use tokio::time::Instant;

use crate::base::{Pid, SharedStr};
use crate::exit::{ExitReason, Result};
use crate::restart::{Exceeded, Exhausted, Intensity, OwnBudget, Window};
use crate::supervisor::dynamic::{Child, DynamicServer};
use crate::supervisor::{Decision, Limit, RestartLimitReached};

impl DynamicServer {
    /// Counts a restart of this child against its budget.
    pub(super) fn spend(&mut self, pid: Pid) -> Result<(), Exceeded> {
        let now = Instant::now();
        let Some(child) = self.children.get(&pid).map(Child::counted) else { return Ok(()) };
        let (window, limit) = self.budget_of(pid);
        window.spend(limit, now, || child)?;
        self.publish_budget(now);
        Ok(())
    }

    /// Returns the budget that restarts of this child count against: the budget of the child, or
    /// the shared budget of all children.
    pub(super) fn budget_of(&mut self, pid: Pid) -> (&mut Window, Intensity) {
        let own = self.own_budget(pid);
        let record = self.children.get_mut(&pid).and_then(|child| child.restart_record.as_mut());
        match (own, record) {
            (Some(own), Some(record)) => (&mut record.window, own.intensity),
            _ => (&mut self.window, self.spec.intensity),
        }
    }

    /// Returns the budget of the child alone, by its own specification or by that of the
    /// supervisor.
    fn own_budget(&self, pid: Pid) -> Option<OwnBudget> {
        let record = self.children.get(&pid).and_then(|child| child.restart_record.as_ref());
        record.and_then(|record| record.spec.budget).or(self.spec.child_budget)
    }

    /// Carries out the consequence of a limit that a restart would exceed. The error is the reason
    /// that the supervisor ends with.
    pub(super) fn limit_reached(&mut self, pid: Pid, exceeded: Exceeded) -> Result {
        let Some(child) = self.children.get_mut(&pid) else { return Ok(()) };
        let last = child.restart_record.as_ref().and_then(|record| record.last.clone());
        let last = last.unwrap_or(ExitReason::Normal);
        let (slot, counted) = (child.slot, child.counted());
        let origin = self.report.origin(Some(pid));
        let exhausted = self.own_budget(pid).map(|budget| budget.exhausted);
        let (window, intensity) = self.budget_of(pid);
        let until = window.next_allowed_at(intensity, Instant::now());
        let limit = RestartLimitReached::new(exceeded, window, counted, last.clone(), origin);
        if exhausted.is_some_and(|exhausted| exhausted != Exhausted::Escalate) {
            self.report.child_given_up(Some(pid), &limit);
        }
        match exhausted {
            Some(Exhausted::GiveUp) => {
                if let Some(child) = self.children.get(&pid) {
                    child.release();
                }
                self.give_up_child(pid, until, last);
            }
            Some(Exhausted::Forget) => {
                self.forget(pid);
            }
            Some(Exhausted::Escalate) | None => {
                let reason = self.report.give_up(limit);
                self.report.free_names(slot);
                return Err(reason);
            }
        }
        self.report.free_names(slot);
        Ok(())
    }

    /// Carries out the decision for a child with this id, whose last process is `pid`. The error is
    /// the reason that the supervisor ends with.
    pub(super) fn follow(
        &self,
        decided: Option<Decision>,
        id: &SharedStr,
        pid: Option<Pid>,
        last: ExitReason,
    ) -> Result {
        let limit =
            |limit| RestartLimitReached::without_limit(limit, id, last, self.report.origin(pid));
        match decided {
            Some(Decision::EndTree) => Err(self.report.end_tree(limit(Limit::EndOfTree))),
            Some(Decision::Escalate) => Err(self.report.give_up(limit(Limit::Escalated))),
            Some(Decision::GiveUp) | None => Ok(()),
        }
    }
}
