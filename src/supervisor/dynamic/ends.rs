//! Ends of dynamic children, and what they lead to.

use std::time::Duration;

use tokio::time::Instant;

use crate::call_error::StartError;
use crate::exit::{ExitReason, Result};
use crate::pid::Pid;
use crate::server::ServerContext;
use crate::supervisor::dynamic::child::State;
use crate::supervisor::dynamic::nursery::{Cast, Nursery};
use crate::supervisor::dynamic::spec::Exhausted;
use crate::supervisor::incarnation::{Decision, decide};
use crate::supervisor::intensity::Exceeded;
use crate::supervisor::report::Decided;
use crate::timer_queue::after;

impl Nursery {
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
            State::Restarting { .. } | State::Parked => return Ok(()),
        }
        if decide(child.restart, &reason) != Decision::Restart {
            self.report.child_ended(&child.id, pid, &reason);
            self.forget(pid);
            return Ok(());
        }
        let run = child.started.elapsed();
        let fallback = self.spec.backoff;
        if let Some(again) = &mut child.again {
            let backoff = again.spec.backoff.or(fallback);
            if backoff.is_some_and(|backoff| backoff.is_healthy(run)) {
                again.tries = 0;
            }
        }
        self.again(pid, reason, ctx)
    }

    /// A restart did not succeed: another try, at once or later.
    pub(super) fn failed_again(
        &mut self,
        pid: Pid,
        error: &StartError,
        ctx: &mut ServerContext<Self>,
    ) -> Result {
        let reason = error.as_reason();
        let (ticket, delay) = self.put_off(pid, reason);
        if delay.is_zero() {
            // After what else is queued, so that requests are served in between.
            if !self.me.cast(Cast::TryAgain { pid, ticket }) {
                ctx.cast_after(Duration::ZERO, Cast::TryAgain { pid, ticket });
            }
        } else {
            ctx.cast_after(delay, Cast::TryAgain { pid, ticket });
        }
        Ok(())
    }

    fn again(&mut self, pid: Pid, reason: ExitReason, ctx: &mut ServerContext<Self>) -> Result {
        let (ticket, delay) = self.put_off(pid, reason);
        if delay.is_zero() {
            return self.try_again(pid, ticket, ctx);
        }
        ctx.cast_after(delay, Cast::TryAgain { pid, ticket });
        Ok(())
    }

    /// The child is to be started again under this ticket, in so long.
    fn put_off(&mut self, pid: Pid, reason: ExitReason) -> (u64, Duration) {
        let ticket = self.fresh();
        let (fallback, random) = (self.spec.backoff, self.random.unit());
        let Some(child) = self.children.get_mut(&pid) else { return (ticket, Duration::ZERO) };
        let Some(again) = &mut child.again else { return (ticket, Duration::ZERO) };
        again.last = Some(reason);
        again.delay = match again.spec.backoff.or(fallback) {
            Some(backoff) => backoff.delay(again.tries, random),
            None => Duration::ZERO,
        };
        again.tries = again.tries.saturating_add(1);
        let delay = again.delay;
        let due = (!delay.is_zero()).then(|| after(Instant::now(), delay));
        child.state = State::Restarting { ticket, due };
        if let Some(due) = due {
            let (kernel, me) = (&self.report.runtime.kernel, self.report.supervisor);
            kernel.postpone_vacant(me, child.seat, due);
        }
        (ticket, delay)
    }

    /// One attempt, if the budget allows it and nobody has seen to the child meanwhile.
    pub(super) fn try_again(
        &mut self,
        pid: Pid,
        ticket: u64,
        ctx: &mut ServerContext<Self>,
    ) -> Result {
        match self.children.get_mut(&pid).map(|child| &mut child.state) {
            Some(State::Restarting { ticket: held, due }) if *held == ticket => *due = None,
            _ => return Ok(()),
        }
        match self.spend(pid) {
            Ok(left) => {
                self.tell_restart(pid, left);
                self.bear_again((pid, ticket), ctx)
            }
            Err(exceeded) => self.exhausted(pid, exceeded),
        }
    }

    /// Takes a restart from the budget that it is to be taken from.
    fn spend(&mut self, pid: Pid) -> Result<Option<u32>, Exceeded> {
        let now = Instant::now();
        let own = self.spec.child_budget.map(|budget| budget.intensity);
        let again = self.children.get_mut(&pid).and_then(|child| child.again.as_mut());
        let (window, limit) = match (own, again) {
            (Some(own), Some(again)) => (&mut again.window, own),
            _ => (&mut self.window, self.spec.intensity),
        };
        window.allows(limit, now)?;
        Ok(window.left(limit, now))
    }

    fn exhausted(&mut self, pid: Pid, exceeded: Exceeded) -> Result {
        let Some(child) = self.children.get_mut(&pid) else { return Ok(()) };
        let last = child.again.as_ref().and_then(|again| again.last.clone());
        let origin = self.report.origin(Some(pid));
        let limit = exceeded.by(&child.id, last.unwrap_or(ExitReason::Normal), origin);
        let seat = child.seat;
        let parks = self.spec.child_budget.is_some_and(|b| b.exhausted == Exhausted::GiveUp);
        if parks {
            child.state = State::Parked;
            self.report.parked(&limit);
        } else {
            self.report.gave_up(&limit);
        }
        self.report.free_names(seat);
        if parks { Ok(()) } else { Err(ExitReason::from_library(limit)) }
    }

    fn tell_restart(&self, pid: Pid, budget_left: Option<u32>) {
        let Some(child) = self.children.get(&pid) else { return };
        let Some(again) = &child.again else { return };
        self.report.restarting(Decided {
            child: &child.id,
            pid: Some(pid),
            reason: again.last.as_ref().unwrap_or(&ExitReason::Normal),
            restarts: child.restarts() + 1,
            budget_left,
            delay: again.delay,
        });
    }
}
