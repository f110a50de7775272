//! Handles the end of a dynamic child: removal, restart, or an exhausted budget.

use std::time::Duration;

use tokio::time::Instant;

use crate::base::pid::Pid;
use crate::base::user_panics::ignore_panic;
use crate::exit::reason::{ExitReason, Result};
use crate::restart::restart_limit::{Exceeded, Intensity, Window};
use crate::restart::restart_state::{Next, Rules};
use crate::runtime::errors::start_error::StartError;
use crate::server::ServerContext;
use crate::supervisor::dynamic::child::{Child, State};
use crate::supervisor::dynamic::server::{Cast, DynamicServer};
use crate::supervisor::dynamic::spec::Exhausted;
use crate::supervisor::end_record::{EndRecord, EndedBy, StartRecord};
use crate::supervisor::incarnation::{Decision, decide};
use crate::supervisor::limit_reached::RestartLimitReached;
use crate::supervisor::report::RestartNotice;
use crate::time::timer_queue::after;

impl DynamicServer {
    /// Handles the exit of a child.
    pub(super) fn child_ended(
        &mut self,
        pid: Pid,
        reason: ExitReason,
        ctx: &mut ServerContext<Self>,
    ) -> Result {
        let Some(child) = self.children.get_mut(&pid) else { return Ok(()) };
        match &child.state {
            State::Running(_) => {}
            State::Stopping(_) => {
                self.child_stopped(pid, &reason);
                return Ok(());
            }
            State::Starting
            | State::Restarting { .. }
            | State::Cancelled(_)
            | State::GivenUp(_) => return Ok(()),
        }
        if decide(child.restart, &reason) != Decision::Restart {
            self.report.child_ended(&child.id, pid, &reason);
            self.forget(pid);
            return Ok(());
        }
        let (at, by) = (Instant::now(), EndedBy::Itself);
        match self.record_end(pid, EndRecord { pid: Some(pid), reason, at, by }) {
            Next::AtOnce => {
                let ticket = self.set_restarting(pid, None);
                self.attempt_restart(pid, ticket, ctx)
            }
            Next::After(delay) => {
                self.schedule_restart(pid, delay, ctx);
                Ok(())
            }
            Next::GiveUp(exceeded) => self.budget_used_up(pid, exceeded),
        }
    }

    /// Handles a failed restart: schedules another attempt, at once or after a delay, or handles
    /// the exceeded limit.
    pub(super) fn restart_failed(
        &mut self,
        pid: Pid,
        error: &StartError,
        ctx: &mut ServerContext<Self>,
    ) -> Result {
        if !self.children.contains_key(&pid) {
            return Ok(());
        }
        let (at, by) = (Instant::now(), EndedBy::Itself);
        match self.record_end(pid, EndRecord { pid: None, reason: error.as_reason(), at, by }) {
            Next::AtOnce => {
                // The attempt is queued behind other messages, so that requests are served between
                // two attempts. A full mailbox refuses the cast; a timer does not need room.
                let ticket = self.set_restarting(pid, None);
                if !self.me.cast(Cast::AttemptRestart { pid, ticket }) {
                    ctx.cast_after(Duration::ZERO, Cast::AttemptRestart { pid, ticket });
                }
                Ok(())
            }
            Next::After(delay) => {
                self.schedule_restart(pid, delay, ctx);
                Ok(())
            }
            Next::GiveUp(exceeded) => self.budget_used_up(pid, exceeded),
        }
    }

    /// Records the end of an incarnation, and decides the next step.
    fn record_end(&mut self, pid: Pid, end: EndRecord) -> Next {
        let own = self.spec.child_budget.map(|budget| budget.intensity);
        let (fallback, intensity) = (self.spec.backoff, own.unwrap_or(self.spec.intensity));
        let Some(child) = self.children.get_mut(&pid) else { return Next::AtOnce };
        let (started, attempt) = (child.started, child.restarts());
        let Some(record) = child.restart_record.as_mut() else { return Next::AtOnce };
        let backoff = record.spec.backoff.or(fallback);
        record.last = Some(end.reason.clone());
        let (now, start) = (end.at, StartRecord { started, attempt });
        let oldest = record.history.push(end.record(start, &mut record.restarts, backoff));
        ignore_panic(|| drop(oldest));
        record.restarts.decide_next(Rules { backoff, intensity }, now, || self.random.unit())
    }

    /// Schedules the restart of a child after this delay.
    fn schedule_restart(&mut self, pid: Pid, delay: Duration, ctx: &mut ServerContext<Self>) {
        let due = after(Instant::now(), delay);
        let ticket = self.set_restarting(pid, Some(due));
        ctx.cast_after(delay, Cast::AttemptRestart { pid, ticket });
        if let Some(child) = self.children.get(&pid) {
            let (kernel, supervisor) = (&self.report.runtime.kernel, self.report.supervisor);
            kernel.postpone_names_of(supervisor, child.slot, due);
        }
    }

    /// Sets a child to [`State::Restarting`], and returns its new ticket. A restart without a due
    /// time is attempted at once and counts against a window; a delayed restart does not count.
    fn set_restarting(&mut self, pid: Pid, due: Option<Instant>) -> u64 {
        let ticket = self.next_number();
        if let Some(child) = self.children.get_mut(&pid) {
            child.state = State::Restarting { ticket, due, counts: due.is_none() };
        }
        ticket
    }

    /// Attempts the restart with this ticket, if the budget allows it. A stale ticket is ignored.
    pub(super) fn attempt_restart(
        &mut self,
        pid: Pid,
        ticket: u64,
        ctx: &mut ServerContext<Self>,
    ) -> Result {
        let counts = match self.children.get_mut(&pid).map(|child| &mut child.state) {
            Some(State::Restarting { ticket: held, due, counts }) if *held == ticket => {
                *due = None;
                *counts
            }
            _ => return Ok(()),
        };
        if counts && let Err(exceeded) = self.spend(pid) {
            return self.budget_used_up(pid, exceeded);
        }
        self.report_restart(pid);
        self.begin_restart((pid, ticket), ctx)
    }

    /// Counts a restart of this child against its budget.
    fn spend(&mut self, pid: Pid) -> Result<(), Exceeded> {
        let now = Instant::now();
        let Some(child) = self.children.get(&pid).map(Child::counted) else { return Ok(()) };
        let (window, limit) = self.budget_of(pid);
        window.spend(limit, now, || child)
    }

    /// Returns the budget that restarts of this child count against: the budget of the child, or
    /// the shared budget of all children.
    pub(super) fn budget_of(&mut self, pid: Pid) -> (&mut Window, Intensity) {
        let own = self.spec.child_budget.map(|budget| budget.intensity);
        let record = self.children.get_mut(&pid).and_then(|child| child.restart_record.as_mut());
        match (own, record) {
            (Some(own), Some(record)) => (&mut record.window, own),
            _ => (&mut self.window, self.spec.intensity),
        }
    }

    /// Handles a restart that exceeds its limit. If the limit is the child's own, the specification
    /// says what follows; a limit for all children always ends the supervisor.
    fn budget_used_up(&mut self, pid: Pid, exceeded: Exceeded) -> Result {
        let Some(child) = self.children.get_mut(&pid) else { return Ok(()) };
        let last = child.restart_record.as_ref().and_then(|record| record.last.clone());
        let last = last.unwrap_or(ExitReason::Normal);
        let (slot, counted) = (child.slot, child.counted());
        let (origin, child_budget) = (self.report.origin(Some(pid)), self.spec.child_budget);
        let child_budget = child_budget.map(|budget| budget.exhausted);
        let (window, intensity) = self.budget_of(pid);
        let until = window.next_allowed_at(intensity, Instant::now());
        let limit = RestartLimitReached::new(exceeded, window, counted, last.clone(), origin);
        match child_budget {
            Some(Exhausted::GiveUp) => self.give_up(pid, until, last),
            Some(Exhausted::Forget) => drop(self.take(pid)),
            Some(Exhausted::Escalate) | None => {
                let reason = self.report.give_up(limit);
                self.report.free_names(slot);
                return Err(reason);
            }
        }
        self.report.child_given_up(pid, &limit);
        self.report.free_names(slot);
        Ok(())
    }

    /// Reports, as an event and in the log, a restart that is about to be attempted.
    fn report_restart(&mut self, pid: Pid) {
        let (window, limit) = self.budget_of(pid);
        let budget_left = window.left(limit, Instant::now());
        let Some(child) = self.children.get(&pid) else { return };
        let Some(record) = &child.restart_record else { return };
        self.report.restarting(RestartNotice {
            child: &child.id,
            pid: Some(pid),
            reason: record.last.as_ref().unwrap_or(&ExitReason::Normal),
            restarts: child.restarts() + 1,
            budget_left,
            delay: record.restarts.delay(),
        });
    }
}
