//! When a supervisor gives up, or gives up one child: the budget that a restart counts against, and
//! the consequence of a limit that is reached.
//!
//! A restart of a child with a budget of its own counts against that budget only. [`Exhausted`]
//! names the consequence when a child reaches a limit of its own. The limit of the supervisor
//! always ends the supervisor.

use tokio::time::Instant;

use crate::base::Pid;
use crate::exit::{ExitReason, Result};
use crate::restart::{Exceeded, Exhausted, Next, Rules};
use crate::supervisor::fixed::FixedServer;
use crate::supervisor::{Decision, Limit, Position, RestartLimitReached, RestartNotice};

impl FixedServer {
    /// Decides the next step after this child has ended by itself or failed to start.
    pub(super) fn next(&mut self, position: Position, now: Instant) -> Next {
        let Some(child) = self.children.get_mut(position) else { return Next::AtOnce };
        let backoff = child.spec.backoff.or(self.backoff);
        let rules = Rules { backoff, intensity: child.intensity(self.intensity) };
        child.restarts.decide_next(rules, now, || self.random.unit())
    }

    /// Counts a restart of this child against the budget that applies to it.
    pub(super) fn spend(&mut self, position: Position, now: Instant) -> Result<(), Exceeded> {
        let shared = self.intensity;
        let Some(child) = self.children.get_mut(position) else { return Ok(()) };
        let counted = child.counted();
        if let Some(own) = child.spec.budget {
            return child.window.spend(own.intensity, now, || counted);
        }
        self.window.spend(shared, now, || counted)?;
        self.publish_budget(now);
        Ok(())
    }

    /// Reports that this child is about to be restarted.
    pub(super) fn report_restart(&self, position: Position, now: Instant) {
        let Some(child) = self.children.get(position) else { return };
        let Some(reason) = &child.last else { return };
        self.report.restarting(RestartNotice {
            child: &child.spec.id,
            path: child.counted_path(&self.report.source),
            pid: child.last_pid,
            reason,
            restarts: child.starts,
            budget_left: match child.spec.budget {
                Some(own) => child.window.left(own.intensity, now),
                None => self.window.left(self.intensity, now),
            },
            delay: child.restarts.delay(),
        });
    }

    /// Carries out the consequence of a limit that this child has reached. The error is the reason
    /// that the supervisor ends with. `terminate` then stops the other children.
    pub(super) fn limit_reached(&mut self, position: Position, exceeded: Exceeded) -> Result {
        let Some(child) = self.children.get(position) else { return Ok(()) };
        let last = child.last.clone().unwrap_or(ExitReason::Normal);
        let (last_pid, exhausted) = (child.last_pid, child.exhausted());
        let window = if child.spec.budget.is_some() { &child.window } else { &self.window };
        let origin = self.report.origin(last_pid);
        let limit = RestartLimitReached::new(exceeded, window, child.counted(), last, origin);
        if exhausted == Exhausted::Escalate {
            let reason = self.report.give_up(limit);
            self.mark_stopped_at_end(position);
            return Err(reason);
        }
        self.report.child_given_up(last_pid, &limit);
        if exhausted == Exhausted::GiveUp {
            return self.give_up_child(position);
        }
        let significant = self.is_significant(position);
        self.mark_stopped(position);
        self.children.remove(position);
        self.after_end_for_good(significant)
    }

    /// Carries out the decision for this child, whose last process is `pid`. The error is the
    /// reason that the supervisor ends with.
    pub(super) fn follow(
        &mut self,
        decided: Decision,
        position: Position,
        pid: Option<Pid>,
    ) -> Result {
        match decided {
            Decision::GiveUp => self.give_up_child(position),
            Decision::EndTree => Err(self.end_tree(position, pid)),
            Decision::Escalate => Err(self.escalate(position, pid)),
        }
    }

    /// Ends the tree because this child, whose last process is `pid`, has ended it. Returns the
    /// reason that the supervisor ends with.
    pub(super) fn end_tree(&mut self, position: Position, pid: Option<Pid>) -> ExitReason {
        let Some(limit) = self.without_limit(Limit::EndOfTree, position, pid) else {
            return ExitReason::Shutdown;
        };
        let reason = self.report.end_tree(limit);
        self.mark_stopped_at_end(position);
        reason
    }

    /// Ends the supervisor because the `on_failure` of this child, whose last process is `pid`, has
    /// escalated its failure. Returns the reason that the supervisor ends with.
    fn escalate(&mut self, position: Position, pid: Option<Pid>) -> ExitReason {
        let Some(limit) = self.without_limit(Limit::Escalated, position, pid) else {
            return ExitReason::Shutdown;
        };
        let reason = self.report.give_up(limit);
        self.mark_stopped_at_end(position);
        reason
    }

    fn without_limit(
        &self,
        limit: Limit,
        position: Position,
        pid: Option<Pid>,
    ) -> Option<RestartLimitReached> {
        let child = self.children.get(position)?;
        let last = child.last.clone().unwrap_or(ExitReason::Normal);
        let origin = self.report.origin(pid);
        Some(RestartLimitReached::without_limit(limit, &child.spec.id, last, origin))
    }
}
