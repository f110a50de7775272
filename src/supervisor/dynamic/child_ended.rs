//! Handles the end of a dynamic child: removal, restart, or an exhausted budget.

use std::time::Duration;

use tokio::time::Instant;

use crate::base::{Pid, SharedStr, ignore_panic};
use crate::exit::{ExitReason, Result};
use crate::observe::ChangeKind;
use crate::restart::{Exceeded, Exhausted, Intensity, Next, OwnBudget, Rules, Window};
use crate::server::ServerContext;
use crate::supervisor::dynamic::{Cast, Child, DynamicServer, Retry, State};
use crate::supervisor::{
    Decision, EndRecord, Incarnation, Limit, RestartLimitReached, RestartNotice, decision,
};
use crate::time::timer_queue::after;

impl DynamicServer {
    /// Handles an `Exit` from the pid of a child: the end of the child, or an exit that the child has
    /// [sent by itself](crate::supervisor::child_exit), which is dropped.
    pub(super) fn exit_arrived(&mut self, pid: Pid, ctx: &mut ServerContext<Self>) -> Result {
        let Some(child) = self.children.get(&pid) else { return Ok(()) };
        let Some(process) = child.process() else { return Ok(()) };
        match self.report.reason_of_end(&child.id, process) {
            Some(reason) => self.child_ended(pid, reason, ctx),
            None => Ok(()),
        }
    }

    /// Handles the end of a child.
    fn child_ended(
        &mut self,
        pid: Pid,
        reason: ExitReason,
        ctx: &mut ServerContext<Self>,
    ) -> Result {
        let Some(child) = self.children.get_mut(&pid) else { return Ok(()) };
        let decided = match &child.state {
            State::Running(_) => decision(&self.report, child.kept_spec(), pid, &reason),
            _ => None,
        };
        match &child.state {
            State::Running(_) if decided.is_none() && child.restart.restarts_after(&reason) => {
                let end = EndRecord { pid: Some(pid), reason, at: Instant::now(), stopped: false };
                return self.restart_after_end(pid, end, ctx);
            }
            State::Running(_) => {
                self.report.child_ended(&child.id, pid, &reason);
                let id = child.id.clone();
                self.forget_ended(pid, reason.clone());
                return self.follow(decided, &id, Some(pid), reason);
            }
            State::Stopping(_) => return self.child_stopped(pid, &reason, ctx),
            _ => {}
        }
        Ok(())
    }

    /// Records an end, or a failed restart, and decides what follows: a restart, at once or after a
    /// delay, or the consequence of an exceeded limit.
    pub(super) fn restart_after_end(
        &mut self,
        pid: Pid,
        end: EndRecord,
        ctx: &mut ServerContext<Self>,
    ) -> Result {
        let has_run = end.pid.is_some();
        match self.record_end(pid, end) {
            Next::AtOnce => {
                let retry = self.set_restarting(pid, None);
                if has_run {
                    return self.retry(retry, ctx);
                }
                // The attempt is queued behind other messages, so that requests are served between
                // two attempts. A full mailbox refuses the cast; a timer does not need room.
                if !self.own_ref.cast(Cast::Retry(retry)) {
                    ctx.cast_after(Duration::ZERO, Cast::Retry(retry));
                }
            }
            Next::After(delay) => self.schedule_restart(pid, delay, ctx),
            Next::GiveUp(exceeded) => return self.budget_used_up(pid, exceeded),
        }
        Ok(())
    }

    /// Records the end of an incarnation, and decides the next step.
    fn record_end(&mut self, pid: Pid, end: EndRecord) -> Next {
        let (_, intensity) = self.budget_of(pid);
        let fallback = self.spec.backoff;
        let Some(child) = self.children.get_mut(&pid) else { return Next::AtOnce };
        let (started, attempt) = (child.started, child.attempt());
        let Some(record) = child.restart_record.as_mut() else { return Next::AtOnce };
        let backoff = record.spec.backoff.or(fallback);
        record.last = Some(end.reason.clone());
        let (now, id) = (end.at, &child.id);
        drop(self.report.source.child(id, Some(pid), || end.change(started)));
        let events = self.report.source.kept_events(end.pid);
        let ended = end.record(started, attempt, &mut record.restarts, backoff);
        let ended = Incarnation { events, ..ended };
        let oldest = record.history.push(ended);
        ignore_panic(|| drop(oldest));
        record.restarts.decide_next(Rules { backoff, intensity }, now, || self.random.unit())
    }

    /// Schedules the restart of a child after this delay.
    fn schedule_restart(&mut self, pid: Pid, delay: Duration, ctx: &mut ServerContext<Self>) {
        let due = after(Instant::now(), delay);
        let retry = self.set_restarting(pid, Some(due));
        self.tell(pid, || ChangeKind::Waiting { retry_in: Some(delay) });
        ctx.cast_after(delay, Cast::Retry(retry));
        if let Some(child) = self.children.get(&pid) {
            self.report.postpone_names(child.slot, due);
        }
    }

    /// Sets a child to [`State::Restarting`], and returns the retry that it waits for. A restart
    /// without a due time is attempted at once and counts against a window; a delayed restart does
    /// not count.
    pub(super) fn set_restarting(&mut self, pid: Pid, due: Option<Instant>) -> Retry {
        let id = self.next_number();
        if let Some(child) = self.children.get_mut(&pid) {
            child.state = State::Restarting { retry_id: id, due, counts: due.is_none() };
        }
        Retry { pid, id }
    }

    /// Attempts a restart, if the budget allows it. A stale retry is ignored.
    pub(super) fn retry(&mut self, retry: Retry, ctx: &mut ServerContext<Self>) -> Result {
        let Retry { pid, id } = retry;
        let counts = match self.children.get_mut(&pid).map(|child| &mut child.state) {
            Some(State::Restarting { retry_id, due, counts }) if *retry_id == id => {
                *due = None;
                *counts
            }
            _ => return Ok(()),
        };
        if counts && let Err(exceeded) = self.spend(pid) {
            return self.budget_used_up(pid, exceeded);
        }
        self.report_restart(pid);
        self.begin_restart(retry, ctx)
    }

    /// Counts a restart of this child against its budget.
    fn spend(&mut self, pid: Pid) -> Result<(), Exceeded> {
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

    /// Returns the budget of the child alone, by its own specification or by that of the supervisor.
    fn own_budget(&self, pid: Pid) -> Option<OwnBudget> {
        let record = self.children.get(&pid).and_then(|child| child.restart_record.as_ref());
        record.and_then(|record| record.spec.budget).or(self.spec.child_budget)
    }

    /// Handles a restart that exceeds its limit. If the limit is the child's own, the specification
    /// says what follows; a limit for all children always ends the supervisor.
    fn budget_used_up(&mut self, pid: Pid, exceeded: Exceeded) -> Result {
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
                self.give_up(pid, until, last);
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

    /// Ends the supervisor if that was decided for a child with this id, whose last process is `pid`. The
    /// error is the reason that the supervisor ends with.
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

    /// Reports, as an event and in the log, a restart that is about to be attempted.
    fn report_restart(&mut self, pid: Pid) {
        let (window, limit) = self.budget_of(pid);
        let budget_left = window.left(limit, Instant::now());
        let Some(child) = self.children.get(&pid) else { return };
        let Some(record) = &child.restart_record else { return };
        self.report.restarting(RestartNotice {
            child: &child.id,
            path: &self.report.source.path().counted(&child.id),
            pid: Some(pid),
            reason: record.last.as_ref().unwrap_or(&ExitReason::Normal),
            restarts: child.restarts() + 1,
            budget_left,
            delay: record.restarts.delay(),
        });
    }
}
