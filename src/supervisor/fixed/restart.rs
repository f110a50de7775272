//! Handles the end of a child of a fixed supervisor: restarts the child and its group, or gives up.
//!
//! [`RestartState`](crate::restart::restart_state::RestartState) makes the decision; this file
//! carries it out.
//!
//! **Guarantee.** After the decision to restart a child, the child runs again, or waits for a retry
//! of its own or of its group, or its supervisor gives up. The exceptions are a child that is
//! stopped first, by a request or by the end of the supervisor, and a child whose start chooses not
//! to run. The supervisor serves requests between two attempts.
//!
//! **Steps** of a restart, from the end of a child or a due retry:
//!
//! 1. *Count.* A restart without a delay counts against the window; if the window refuses the
//!    restart, the supervisor gives up. A delayed restart is not counted, and a restart that waited
//!    for orphans is not counted again.
//! 2. *Report* the restart, unless it was reported already, before it waited for orphans.
//! 3. *Stop the group* in reverse order. The next child is stopped when the one before has ended.
//! 4. *Wait for orphans.* If a supervisor in the group was killed and has left
//!    [orphans](crate::supervisor::orphans), a background task waits for their end and then sends a
//!    retry that is neither counted nor reported again.
//! 5. *Start the group* in order. If the start of a child fails, the children after it are not
//!    started, and the next step is decided for the child that failed:
//!    * a retry without a delay: the supervisor sends itself a message, which is handled after the
//!      requests that are already queued. Step 3 of the retry stops the children of the group that
//!      were started before the failure.
//!    * a retry after a delay, by a timer, if the child has a backoff. The children of the group
//!      that were started before the failure are stopped before the delay.
//!    * giving up.
//!
//! ```text
//! end of a child, failed start --> next() --+-- AtOnce ---------------------> restart
//!                                           +-- After --> Restarting, timer --> restart
//!                                           +-- GiveUp --> the supervisor ends
//! restart with orphans -----------> Restarting, orphans ended ---------------> restart
//! ```
//!
//! **Invariants**
//! 1. A child in `Restarting` holds the id of its retry. Every event that changes the child before
//!    the retry, a request or a restart of its group, replaces that state. A retry with another id
//!    is stale and starts nothing. So a retry cannot start a child that was stopped before the
//!    retry, and the event that replaced the state is responsible for the child.
//! 2. When an attempt ends, no child of its group holds the id of a retry that was already handled:
//!    each child runs, is stopped, or holds the id of the next retry. A child with the id of a
//!    handled retry would stay in `Restarting` for ever.

use std::time::Duration;

use tokio::time::Instant;

use crate::base::Pid;
use crate::base::failpoint::step;
use crate::exit::{ExitReason, Result};
use crate::process::ChildStop;
use crate::restart::{Exceeded, Next, Rules};
use crate::server::ServerContext;
use crate::supervisor::fixed::{Child, FixedServer, Retry, RetryKind, RunState};
use crate::supervisor::{EndRecord, Position, RestartLimitReached, RestartNotice};
use crate::time::timer_queue::after;

impl FixedServer {
    /// Handles a child that ended by itself.
    pub(crate) async fn child_ended(
        &mut self,
        position: Position,
        pid: Pid,
        reason: ExitReason,
        ctx: &mut ServerContext<Self>,
    ) -> Result {
        let Some(child) = self.children.get(position) else { return Ok(()) };
        if !child.spec.restart.restarts_after(&reason) {
            self.report.child_ended(&child.spec.id, pid, &reason);
            return self.ended_for_good(position, pid, reason);
        }
        let now = Instant::now();
        self.record_end(position, EndRecord { pid: Some(pid), reason, at: now, stopped: false });
        match self.next(position, now) {
            Next::AtOnce => self.restart(position, RetryKind::Counted, now, ctx).await,
            Next::After(delay) => {
                self.restart_after(position, delay, ctx).await;
                Ok(())
            }
            Next::GiveUp(exceeded) => Err(self.give_up(position, exceeded)),
        }
    }

    /// Carries out a retry that is due. If the child does not hold this id, the retry is stale
    /// (invariant 1): it starts nothing, and the request that waited for it, if any, is answered.
    pub(crate) async fn retry(&mut self, retry: Retry, ctx: &mut ServerContext<Self>) -> Result {
        let Retry { position, id } = retry;
        match self.children.get(position).and_then(|child| child.retry(id)) {
            None => self.answer_stale_request(id),
            Some(RetryKind::Requested) => self.retry_requested(retry).await,
            Some(kind) => return self.restart(position, kind, Instant::now(), ctx).await,
        }
        Ok(())
    }

    /// Attempts once to restart this child and its group. Gives up if the budget refuses the
    /// restart.
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
                if self.children.get(position).is_some_and(Child::is_restarting) {
                    // Invariant 2: the retry that this child waited for was handled. The retry of
                    // `member` will start this child, too.
                    self.children.set(position, RunState::Stopped);
                }
                return self.start_failed(member, ctx).await;
            }
        }
        Ok(())
    }

    /// If children in the group of this child have orphans, puts the child into `Restarting`, and
    /// spawns a task that sends the retry when the orphans have ended. Returns whether there are
    /// orphans.
    fn wait_for_orphans(&mut self, position: Position) -> bool {
        let members = self.children.range(self.strategy.group(position));
        let orphans: Vec<_> = members.filter_map(|child| self.orphans_of(child)).collect();
        if orphans.is_empty() {
            return false;
        }
        let retry = self.set_restarting(position, None, RetryKind::AfterOrphans);
        self.retry_after_orphans(retry, orphans);
        true
    }

    /// Stops the other members of this child's group in reverse order, and forgets those that are
    /// temporary. The restart of this child will start the remaining members. So their own retries
    /// become stale (invariant 1), and the names of members that had ended for good are reserved.
    async fn stop_group(&mut self, group: &[Position], of: Position, mut now: Instant) {
        for &member in group.iter().rev().filter(|member| **member != of) {
            if self.children.get(member).is_some_and(Child::is_temporary) {
                now = self.stop_incarnation(member, ChildStop::ForGood, now).await;
                self.mark_stopped(member);
            } else {
                now = self.stop_incarnation(member, ChildStop::ForRestart, now).await;
                self.leave_to_group_restart(member, now);
            }
        }
    }

    /// Handles a failed start during a restart: gives up, or arranges a retry. A retry without a
    /// delay is queued behind the messages that are in the mailbox.
    async fn start_failed(&mut self, position: Position, ctx: &mut ServerContext<Self>) -> Result {
        match self.next(position, Instant::now()) {
            Next::GiveUp(exceeded) => return Err(self.give_up(position, exceeded)),
            Next::After(delay) => self.restart_after(position, delay, ctx).await,
            Next::AtOnce => {
                let retry = self.set_restarting(position, None, RetryKind::Counted);
                if !self.own_ref.cast(retry) {
                    // A full mailbox refuses a cast, but not the cast of a timer.
                    ctx.cast_after(Duration::ZERO, retry);
                }
            }
        }
        Ok(())
    }

    /// Schedules the restart of this child and its group after this delay. Stops the other members
    /// of the group at once.
    async fn restart_after(
        &mut self,
        position: Position,
        delay: Duration,
        ctx: &mut ServerContext<Self>,
    ) {
        let now = Instant::now();
        let due = after(now, delay);
        let retry = self.set_restarting(position, Some(due), RetryKind::Delayed);
        ctx.cast_after(delay, retry);
        let group = self.children.positions(self.strategy.group(position));
        self.stop_group(&group, position, now).await;
        step!("after a restart was put off");
        for child in self.children.range(self.strategy.group(position)) {
            self.report.postpone_names(child.slot(), due);
        }
    }

    /// Puts a child into `Restarting`. Returns the retry that the child waits for.
    pub(crate) fn set_restarting(
        &mut self,
        position: Position,
        due: Option<Instant>,
        kind: RetryKind,
    ) -> Retry {
        self.last_retry_id += 1;
        let id = self.last_retry_id;
        self.children.set(position, RunState::Restarting { retry_id: id, due, kind });
        Retry { position, id }
    }

    /// Decides the next step after this child has ended by itself or failed to start.
    fn next(&mut self, position: Position, now: Instant) -> Next {
        let Some(child) = self.children.get_mut(position) else { return Next::AtOnce };
        let backoff = child.spec.backoff.or(self.backoff);
        let rules = Rules { backoff, intensity: self.intensity };
        child.restarts.decide_next(rules, now, || self.random.unit())
    }

    /// Reports that this child is about to be restarted.
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

    /// Gives up: reports the limit and marks the child as stopped. Returns the reason that the
    /// supervisor ends with. `terminate` then stops the other children.
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
