//! Handles the end of a dynamic child, and decides what follows: removal, a restart, or the
//! consequence of a limit that is reached ([`give_up`](super::give_up)).

use std::time::Duration;

use tokio::time::Instant;

use crate::base::{Pid, ignore_panic};
use crate::exit::{ExitReason, Result};
use crate::observe::ChangeKind;
use crate::restart::{Next, Rules};
use crate::server::ServerContext;
use crate::supervisor::dynamic::{Cast, DynamicServer, Retry, State};
use crate::supervisor::{EndRecord, Incarnation, RestartNotice, decision};
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
            Next::GiveUp(exceeded) => return self.limit_reached(pid, exceeded),
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
            return self.limit_reached(pid, exceeded);
        }
        self.report_restart(pid);
        self.begin_restart(retry, ctx)
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
