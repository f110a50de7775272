//! Ends of dynamic children, and what they lead to.

use std::time::Duration;

use tokio::time::Instant;

use crate::base::catch::ignore_panic;
use crate::base::pid::Pid;
use crate::exit::reason::{ExitReason, Result};
use crate::restart::restart_state::{Next, Rules};
use crate::restart::window::{Exceeded, Intensity, Window};
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
    /// A child's link broke.
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
                self.stopped(pid, &reason);
                return Ok(());
            }
            State::Starting
            | State::Restarting { .. }
            | State::CalledOff(_)
            | State::GivenUp(_) => return Ok(()),
        }
        if decide(child.restart, &reason) != Decision::Restart {
            self.report.child_ended(&child.id, pid, &reason);
            self.forget(pid);
            return Ok(());
        }
        let (at, by) = (Instant::now(), EndedBy::Itself);
        match self.next(pid, EndRecord { pid: Some(pid), reason, at, by }) {
            Next::AtOnce => {
                let ticket = self.put_off(pid, None);
                self.try_again(pid, ticket, ctx)
            }
            Next::After(delay) => {
                self.wait(pid, delay, ctx);
                Ok(())
            }
            Next::GiveUp(exceeded) => self.exhausted(pid, exceeded),
        }
    }

    /// A restart did not succeed: another try, at once or later.
    pub(super) fn failed_again(
        &mut self,
        pid: Pid,
        error: &StartError,
        ctx: &mut ServerContext<Self>,
    ) -> Result {
        if !self.children.contains_key(&pid) {
            return Ok(());
        }
        let (at, by) = (Instant::now(), EndedBy::Itself);
        match self.next(pid, EndRecord { pid: None, reason: error.as_reason(), at, by }) {
            Next::AtOnce => {
                // After what else is queued, so that requests are served in between.
                let ticket = self.put_off(pid, None);
                if !self.me.cast(Cast::TryAgain { pid, ticket }) {
                    ctx.cast_after(Duration::ZERO, Cast::TryAgain { pid, ticket });
                }
                Ok(())
            }
            Next::After(delay) => {
                self.wait(pid, delay, ctx);
                Ok(())
            }
            Next::GiveUp(exceeded) => self.exhausted(pid, exceeded),
        }
    }

    /// Records an incarnation that is over, and decides what follows.
    fn next(&mut self, pid: Pid, end: EndRecord) -> Next {
        let own = self.spec.child_budget.map(|budget| budget.intensity);
        let (fallback, intensity) = (self.spec.backoff, own.unwrap_or(self.spec.intensity));
        let Some(child) = self.children.get_mut(&pid) else { return Next::AtOnce };
        let (started, attempt) = (child.started, child.restarts());
        let Some(again) = child.again.as_mut() else { return Next::AtOnce };
        let backoff = again.spec.backoff.or(fallback);
        again.last = Some(end.reason.clone());
        let (now, start) = (end.at, StartRecord { started, attempt });
        let oldest = again.history.push(end.record(start, &mut again.restarts, backoff));
        ignore_panic(|| drop(oldest));
        again.restarts.decide_next(Rules { backoff, intensity }, now, || self.random.unit())
    }

    /// Has the child wait for its restart.
    fn wait(&mut self, pid: Pid, delay: Duration, ctx: &mut ServerContext<Self>) {
        let due = after(Instant::now(), delay);
        let ticket = self.put_off(pid, Some(due));
        ctx.cast_after(delay, Cast::TryAgain { pid, ticket });
        if let Some(child) = self.children.get(&pid) {
            let (kernel, me) = (&self.report.runtime.kernel, self.report.supervisor);
            kernel.postpone_names_of(me, child.slot, due);
        }
    }

    /// The child is to be started again under this ticket: at once, which counts against a
    /// window, or when it is due, which does not.
    fn put_off(&mut self, pid: Pid, due: Option<Instant>) -> u64 {
        let ticket = self.fresh();
        if let Some(child) = self.children.get_mut(&pid) {
            child.state = State::Restarting { ticket, due, counts: due.is_none() };
        }
        ticket
    }

    /// One attempt, if the budget allows it and the child still waits for this one.
    pub(super) fn try_again(
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
            return self.exhausted(pid, exceeded);
        }
        self.tell_restart(pid);
        self.begin_restart((pid, ticket), ctx)
    }

    /// Takes a restart from the budget that it is to be taken from.
    fn spend(&mut self, pid: Pid) -> Result<(), Exceeded> {
        let now = Instant::now();
        let Some(child) = self.children.get(&pid).map(Child::counted) else { return Ok(()) };
        let (window, limit) = self.budget_of(pid);
        window.spend(limit, now, || child)
    }

    /// The child's own budget, or that of all.
    pub(super) fn budget_of(&mut self, pid: Pid) -> (&mut Window, Intensity) {
        let own = self.spec.child_budget.map(|budget| budget.intensity);
        let again = self.children.get_mut(&pid).and_then(|child| child.again.as_mut());
        match (own, again) {
            (Some(own), Some(again)) => (&mut again.window, own),
            _ => (&mut self.window, self.spec.intensity),
        }
    }

    fn exhausted(&mut self, pid: Pid, exceeded: Exceeded) -> Result {
        let Some(child) = self.children.get_mut(&pid) else { return Ok(()) };
        let last = child.again.as_ref().and_then(|again| again.last.clone());
        let last = last.unwrap_or(ExitReason::Normal);
        let (slot, counted) = (child.slot, child.counted());
        let (origin, alone) = (self.report.origin(Some(pid)), self.spec.child_budget);
        let alone = alone.map(|budget| budget.exhausted);
        let (window, intensity) = self.budget_of(pid);
        let until = window.next_allowed_at(intensity, Instant::now());
        let limit = RestartLimitReached::new(exceeded, window, counted, last.clone(), origin);
        match alone {
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

    fn tell_restart(&mut self, pid: Pid) {
        let (window, limit) = self.budget_of(pid);
        let budget_left = window.left(limit, Instant::now());
        let Some(child) = self.children.get(&pid) else { return };
        let Some(again) = &child.again else { return };
        self.report.restarting(RestartNotice {
            child: &child.id,
            pid: Some(pid),
            reason: again.last.as_ref().unwrap_or(&ExitReason::Normal),
            restarts: child.restarts() + 1,
            budget_left,
            delay: again.restarts.delay(),
        });
    }
}
