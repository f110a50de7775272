//! What the end of a child leads to.
//!
//! [`RestartState`](crate::restart::restart_state::RestartState) decides; this does what was
//! decided. A restart is one attempt: it counts, stops the group in reverse, starts it in order.
//! If a start fails, the group of *that* child is tried again by a message to the supervisor
//! itself, so that requests are served in between, or, with a backoff, by a timer. What was
//! started before it and is in its group is stopped by that retry, or, where it waits, at once.
//!
//! Where a supervisor in the group was killed, and what it left is still ending, the group waits
//! for that as well, beside the loop: the supervisor serves requests and restarts others
//! meanwhile, and the child is shown as restarting.
//!
//! Invariants:
//! 1. A child that waits holds a ticket. What is done about it meanwhile, by hand or by a restart
//!    of its group, takes the ticket away; a retry with another ticket is stale and does nothing.
//!    So a retry cannot bring back what was stopped, and what takes a ticket takes over the child.
//! 2. An attempt leaves no child of its group with a spent ticket: each runs, rests, or holds the
//!    ticket of the retry that follows. Otherwise it would be restarting for ever.

use std::time::Duration;

use tokio::time::Instant;

use crate::base::failpoint::step;
use crate::base::pid::Pid;
use crate::exit::reason::{ExitReason, Result};
use crate::process::ChildStop;
use crate::restart::restart_state::{Next, Rules};
use crate::restart::window::Exceeded;
use crate::server::ServerContext;
use crate::supervisor::end_record::{EndRecord, EndedBy};
use crate::supervisor::fixed::child_record::Child;
use crate::supervisor::fixed::child_state::{RetryKind, RunState};
use crate::supervisor::fixed::server::{Cast, FixedServer};
use crate::supervisor::incarnation::{Decision, decide};
use crate::supervisor::limit_reached::RestartLimitReached;
use crate::supervisor::report::RestartNotice;
use crate::supervisor::spec::strategy::Position;
use crate::time::timer_queue::after;

impl FixedServer {
    /// A child ended by itself.
    pub(crate) async fn child_ended(
        &mut self,
        position: Position,
        pid: Pid,
        reason: ExitReason,
        ctx: &mut ServerContext<Self>,
    ) -> Result {
        let Some(child) = self.children.get(position) else { return Ok(()) };
        if decide(child.spec.restart, &reason) != Decision::Restart {
            self.report.child_ended(&child.spec.id, pid, &reason);
            return self.ended_for_good(position, pid, reason);
        }
        let now = Instant::now();
        self.record_end(
            position,
            EndRecord { pid: Some(pid), reason, at: now, by: EndedBy::Itself },
        );
        match self.next(position, now) {
            Next::AtOnce => self.restart(position, RetryKind::Counted, now, ctx).await,
            Next::After(delay) => {
                self.wait(position, delay, ctx).await;
                Ok(())
            }
            Next::GiveUp(exceeded) => Err(self.give_up(position, exceeded)),
        }
    }

    /// It is not started again; if it was significant, that may end the supervisor.
    fn ended_for_good(&mut self, position: Position, pid: Pid, reason: ExitReason) -> Result {
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

    /// Whether a significant child runs or is still to be started again: because it waits for its
    /// restart, or because it is in the group of a child that waits, and comes back with that. So a
    /// restart that waits decides here what the same restart at once would have.
    fn has_significant_left(&self) -> bool {
        // What the first that waits brings back is all that any of them does.
        let first = self.children.iter().find(|child| child.restarts_with_group());
        let back = first.map(|child| self.strategy.group(child.slot().child));
        self.children.iter().filter(|child| child.spec.significant).any(|child| {
            let position = child.slot().child;
            !matches!(child.state(), RunState::Stopped)
                || back.as_ref().is_some_and(|back| back.contains(&position))
        })
    }

    /// A retry is due. If the child doesn't wait for this one any more, it is stale.
    pub(crate) async fn retry(
        &mut self,
        position: Position,
        retry_id: u64,
        ctx: &mut ServerContext<Self>,
    ) -> Result {
        match self.children.get(position).map(Child::state) {
            Some(RunState::Restarting { retry_id: held, retry, .. }) if *held == retry_id => {
                match retry {
                    RetryKind::Requested => {
                        self.retry_requested(position, retry_id).await;
                        Ok(())
                    }
                    &retry => self.restart(position, retry, Instant::now(), ctx).await,
                }
            }
            _ => {
                self.answer_stale_request(retry_id);
                Ok(())
            }
        }
    }

    /// One attempt to restart the group of this child, if the budget allows it.
    async fn restart(
        &mut self,
        position: Position,
        retry: RetryKind,
        now: Instant,
        ctx: &mut ServerContext<Self>,
    ) -> Result {
        if retry == RetryKind::Counted
            && let Some(child) = self.children.get(position)
        {
            if let Err(exceeded) = self.window.spend(self.intensity, now, || child.counted()) {
                return Err(self.give_up(position, exceeded));
            }
            self.publish_budget(now);
        }
        if retry != RetryKind::AfterOrphans {
            self.report_restart(position, now);
        }
        step!("before a restart");
        let group = self.children.positions(self.strategy.group(position));
        self.stop_group(&group, position, now).await;
        step!("between a group's stop and its start");
        if self.wait_for_orphans(position) {
            return Ok(());
        }
        for member in group {
            if self.start_incarnation(member).await.is_err() {
                if matches!(
                    self.children.get(position).map(Child::state),
                    Some(RunState::Restarting { .. })
                ) {
                    // Another failed before it: that one's retry starts this one as well.
                    self.children.set(position, RunState::Stopped);
                }
                return self.failed(member, ctx).await;
            }
        }
        Ok(())
    }

    /// Where killed incarnations in this group left processes that are still ending: has the
    /// child, and its group with it, wait for them beside the loop.
    fn wait_for_orphans(&mut self, position: Position) -> bool {
        let members = self.children.range(self.strategy.group(position));
        let left: Vec<_> = members.filter_map(|child| self.orphans_of(child)).collect();
        if left.is_empty() {
            return false;
        }
        let retry_id = self.set_restarting(position, None, RetryKind::AfterOrphans);
        self.retry_after_orphans(position, retry_id, left);
        true
    }

    /// Stops who runs in the group, in reverse. Temporary ones are forgotten, and who waited
    /// for a retry of its own waits no more: all of them are this child's group now. One that had
    /// ended for good comes back with it, so its name is reserved from here on.
    async fn stop_group(&mut self, group: &[Position], failed: Position, mut now: Instant) {
        for &member in group.iter().rev().filter(|member| **member != failed) {
            let Some(child) = self.children.get(member) else { continue };
            let temporary = child.is_temporary();
            let stop = match temporary {
                true => ChildStop::ForGood,
                false => ChildStop::ForRestart,
            };
            now = self.stop_incarnation(member, stop, now).await;
            match temporary {
                true => self.mark_stopped(member),
                false => self.await_group(member, now),
            }
        }
    }

    /// A start in a restart failed: tries again, after what else is queued.
    async fn failed(&mut self, position: Position, ctx: &mut ServerContext<Self>) -> Result {
        match self.next(position, Instant::now()) {
            Next::GiveUp(exceeded) => return Err(self.give_up(position, exceeded)),
            Next::After(delay) => self.wait(position, delay, ctx).await,
            Next::AtOnce => {
                let retry_id = self.set_restarting(position, None, RetryKind::Counted);
                if !self.own_ref.cast(Cast::Retry { position, retry_id }) {
                    // A full mailbox refuses casts, but no timers.
                    ctx.cast_after(Duration::ZERO, Cast::Retry { position, retry_id });
                }
            }
        }
        Ok(())
    }

    /// Has the child, and its group with it, wait for its restart.
    async fn wait(&mut self, position: Position, delay: Duration, ctx: &mut ServerContext<Self>) {
        let now = Instant::now();
        let due = after(now, delay);
        let retry_id = self.set_restarting(position, Some(due), RetryKind::Delayed);
        ctx.cast_after(delay, Cast::Retry { position, retry_id });
        let group = self.children.positions(self.strategy.group(position));
        self.stop_group(&group, position, now).await;
        step!("after a restart was put off");
        for member in group {
            if let Some(child) = self.children.get(member) {
                let (kernel, me) = (&self.report.runtime.kernel, self.report.supervisor);
                kernel.postpone_vacant(me, child.slot(), due);
            }
        }
    }

    pub(crate) fn set_restarting(
        &mut self,
        position: Position,
        due: Option<Instant>,
        retry: RetryKind,
    ) -> u64 {
        self.last_retry_id += 1;
        self.children
            .set(position, RunState::Restarting { retry_id: self.last_retry_id, due, retry });
        self.last_retry_id
    }

    /// What follows an own end of this child, or a start of it that failed.
    fn next(&mut self, position: Position, now: Instant) -> Next {
        let Some(child) = self.children.get_mut(position) else { return Next::AtOnce };
        let backoff = child.spec.backoff.or(self.backoff);
        let rules = Rules { backoff, intensity: self.intensity };
        child.restarts.next(rules, now, || self.random.unit())
    }

    fn report_restart(&self, position: Position, now: Instant) {
        let Some(child) = self.children.get(position) else { return };
        let Some(reason) = &child.last else { return };
        self.report.restarting(RestartNotice {
            child: &child.spec.id,
            pid: child.last_pid,
            reason,
            restarts: child.starts,
            budget_left: self.window.left(self.intensity, now),
            delay: child.restarts.delay(),
        });
    }

    /// The reason the supervisor ends with. Its children are stopped by its `terminate`.
    fn give_up(&mut self, position: Position, exceeded: Exceeded) -> ExitReason {
        let Some(child) = self.children.get(position) else { return ExitReason::Shutdown };
        let last = child.last.clone().unwrap_or(ExitReason::Normal);
        let (child, origin) = (child.counted(), self.report.origin(child.last_pid));
        let limit = RestartLimitReached::new(exceeded, &self.window, child, last, origin);
        let reason = self.report.give_up(limit);
        self.mark_stopped(position);
        reason
    }
}
