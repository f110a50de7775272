//! Handles the end of a child of a fixed supervisor: restarts the child and its group, or gives up.
//!
//! [`RestartState`](crate::restart::restart_state::RestartState) makes the decision; this file
//! carries it out.
//!
//! **Guarantee.** After the decision to restart a child, one of three things is true: the child
//! runs again, the child waits for a retry of its own or of its group, or its supervisor gives up.
//! There are two exceptions: a child that is stopped first, by a request or by the end of the
//! supervisor, and a child whose start chooses not to run. The supervisor serves requests between
//! two attempts.
//!
//! **Steps** of a restart, from the end of a child or a due retry:
//!
//! 1. *Count.* A restart without a delay counts against the window. If the window refuses the
//!    restart, the supervisor gives up. A delayed restart is not counted. A restart that has waited
//!    for orphans is not counted again.
//! 2. *Report* the restart, unless it was reported before a wait for orphans.
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
//!      that were started before the failure are stopped at once, before the delay begins.
//!    * giving up.
//!
//! ```text
//! end of a child, failed start --> next() --+-- AtOnce ---------------------> restart
//!                                           +-- After --> Restarting, timer --> restart
//!                                           +-- GiveUp --> the supervisor ends, or the child
//!                                                          is given up
//! restart with orphans -----------> Restarting, orphans ended ---------------> restart
//! ```
//!
//! **Own budgets.** [`give_up`](super::give_up) decides what follows when a child reaches a limit.
//! If a child is given up while its group waits for it, the other members are started without the
//! child. A child that was given up takes part in no restart of its group.
//!
//! **First starts.** A child that [retries its first start](crate::ChildSpec::retry_first_start)
//! and has never run is a group of its own. Its retry stops and starts no other child. If it fails
//! in a restart of its group, that restart continues.
//!
//! **Decisions.** A child may [decide](crate::supervisor::restart_override) by the reason of its end
//! that it is not restarted; in that case the child is given up. It may also decide that its tree
//! ends; in that case the supervisor ends. The `on_failure` of a child may make the same decisions
//! after a failure.
//!
//! **Invariants**
//! 1. A child in `Restarting` has the id of its retry. Each event that changes the child before the
//!    retry replaces that state: a request, or a restart of its group. A retry with another id is
//!    stale and starts nothing. So a retry cannot start a child that was stopped before the retry.
//!    The event that replaced the state decides what happens to the child.
//! 2. When an attempt ends, no child of its group holds the id of a retry that was already handled:
//!    each child runs, is stopped, or holds the id of the next retry. A child with the id of a
//!    handled retry would stay in `Restarting` for ever.

use std::ops::RangeInclusive;
use std::time::Duration;

use tokio::time::Instant;

use crate::base::Pid;
use crate::base::failpoint::step;
use crate::exit::{ExitReason, Result, Scope};
use crate::process::ChildStop;
use crate::restart::Next;
use crate::server::ServerContext;
use crate::supervisor::fixed::{Child, FixedServer, Retry, RetryKind, RunState};
use crate::supervisor::{EndRecord, NotStarted, Position, decision, decision_after};
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
        let spec = Some(&*child.spec);
        let (now, decided) = (Instant::now(), decision(&self.report, spec, pid, &reason));
        let restarts = decided.is_none() && child.spec.restart.restarts_after(&reason);
        if !restarts {
            self.report.child_ended(&child.spec.id, pid, &reason);
        }
        let end = EndRecord { pid: Some(pid), reason, at: now, stopped: false };
        if !restarts && decided.is_none() {
            return self.ended_for_good(position, end);
        }
        self.record_end(position, end);
        if let Some(decided) = decided {
            return self.follow(decided, position, Some(pid));
        }
        match self.next(position, now) {
            Next::AtOnce => self.restart(position, RetryKind::Counted, now, ctx).await,
            Next::After(delay) => self.restart_after(position, delay, ctx).await,
            Next::GiveUp(exceeded) => self.limit_reached(position, exceeded),
        }
    }

    /// Carries out a retry that is due. If the child does not have this id, the retry is stale
    /// (invariant 1): it starts nothing. A request that waited for a stale retry is answered.
    pub(crate) async fn retry(&mut self, retry: Retry, ctx: &mut ServerContext<Self>) -> Result {
        let Retry { position, id } = retry;
        match self.children.get(position).and_then(|child| child.retry(id)) {
            None => self.answer_stale_request(id),
            Some(RetryKind::Requested { was_given_up }) => {
                return self.retry_requested(retry, was_given_up).await;
            }
            Some(kind) => return self.restart(position, kind, Instant::now(), ctx).await,
        }
        Ok(())
    }

    /// Attempts once to restart this child and its group. If the budget refuses the restart, the
    /// supervisor gives up, or it gives up the child and starts the waiting members of its group.
    async fn restart(
        &mut self,
        position: Position,
        retry: RetryKind,
        now: Instant,
        ctx: &mut ServerContext<Self>,
    ) -> Result {
        let group = self.children.positions(self.group(position));
        if retry == RetryKind::Counted
            && let Err(exceeded) = self.spend(position, now)
        {
            if !self.children.get(position).is_some_and(Child::restarts_with_group) {
                return self.limit_reached(position, exceeded);
            }
            self.note_still_to_start(&group);
            self.limit_reached(position, exceeded)?;
            return self.start_group(group, position, ctx).await;
        }
        if retry != RetryKind::AfterOrphans {
            self.report_restart(position, now);
        }
        step!("before a restart");
        self.stop_group(&group, position, now).await?;
        step!("between a group's stop and its start");
        if self.wait_for_orphans(position) {
            return Ok(());
        }
        self.start_group(group, position, ctx).await
    }

    /// Starts the members of this child's group that don't run, in order. If the start of a member
    /// fails, the members after it wait for its retry. They do not wait for a member that was given
    /// up or that [retries its first start](Child::is_first_start_retried).
    async fn start_group(
        &mut self,
        group: Vec<Position>,
        of: Position,
        ctx: &mut ServerContext<Self>,
    ) -> Result {
        self.still_to_start = 0;
        for (index, &member) in group.iter().enumerate() {
            let starts = |child: &Child| {
                child.starts_with_group() || (member == of && child.is_restarting())
            };
            if !self.children.get(member).is_some_and(starts) {
                continue;
            }
            let Err(failure) = self.start_incarnation(member).await else { continue };
            if self.children.get(of).is_some_and(Child::is_restarting) {
                // Invariant 2: the retry of this child was handled. The rest of this start, or the
                // retry of `member`, starts this child too.
                self.children.set(of, RunState::Stopped);
            }
            self.note_still_to_start(&group[index + 1..]);
            let waits = self.start_failed(member, failure, ctx).await?;
            self.still_to_start = 0;
            if waits {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Returns the positions of the children that restart with this child.
    pub(crate) fn group(&self, position: Position) -> RangeInclusive<Position> {
        match self.children.get(position) {
            Some(child) if child.is_first_start_retried() => position..=position,
            _ => self.strategy.group(position),
        }
    }

    /// Returns whether children in the group of this child have orphans. If there are orphans, puts
    /// the child into `Restarting`, and spawns a task that sends the retry when the orphans have
    /// ended.
    fn wait_for_orphans(&mut self, position: Position) -> bool {
        let members = self.children.range(self.group(position));
        let orphans: Vec<_> = members.filter_map(|child| self.orphans_of(child)).collect();
        if orphans.is_empty() {
            return false;
        }
        let retry = self.set_restarting(position, None, RetryKind::AfterOrphans);
        self.retry_after_orphans(retry, orphans);
        true
    }

    /// Stops the other members of this child's group in reverse order, and forgets the temporary
    /// ones. The restart of this child will start the remaining members. So their own retries
    /// become stale (invariant 1), and the names of members that had ended for good are reserved.
    ///
    /// A member may have ended by its own decision before its stop, while its exit was still
    /// queued. In that case the member is given up, or the supervisor ends.
    async fn stop_group(&mut self, group: &[Position], of: Position, mut now: Instant) -> Result {
        let mut given_up = false;
        for &member in group.iter().rev().filter(|member| **member != of) {
            let is_temporary = self.children.get(member).is_some_and(Child::is_temporary);
            let how = if is_temporary { ChildStop::ForGood } else { ChildStop::ForRestart };
            let (at, decided) = self.stop_incarnation(member, how, now).await;
            now = at;
            match decided {
                Some(Scope::Tree) => {
                    let pid = self.children.get(member).and_then(|child| child.last_pid);
                    return Err(self.end_tree(member, pid));
                }
                Some(Scope::Child) => {
                    given_up |= self.is_significant(member);
                    self.mark_given_up(member);
                }
                None if is_temporary => self.mark_stopped(member),
                None => self.leave_to_group_restart(member, now),
            }
        }
        if given_up {
            // The restart starts all members that have been stopped by now.
            self.note_still_to_start(group);
            self.after_end_for_good(true)?;
            self.still_to_start = 0;
        }
        Ok(())
    }

    /// Handles a failed start: gives up, or schedules a retry. A retry without a delay is queued
    /// behind the messages that are in the mailbox. Returns whether the members after the child
    /// wait for a retry.
    pub(crate) async fn start_failed(
        &mut self,
        position: Position,
        failure: NotStarted,
        ctx: &mut ServerContext<Self>,
    ) -> Result<bool> {
        let spec = self.children.get(position).map(|child| &*child.spec);
        if let Some(decided) = decision_after(&self.report, spec, &failure) {
            return self.follow(decided, position, failure.pid).map(|()| false);
        }
        let is_alone = self.children.get(position).is_some_and(Child::is_first_start_retried);
        match self.next(position, Instant::now()) {
            Next::GiveUp(exceeded) => {
                return self.limit_reached(position, exceeded).map(|()| false);
            }
            Next::After(delay) => {
                self.reserve_for_first_start(position);
                self.restart_after(position, delay, ctx).await?;
            }
            Next::AtOnce => {
                self.reserve_for_first_start(position);
                let retry = self.set_restarting(position, None, RetryKind::Counted);
                if !self.own_ref.cast(retry) {
                    // A full mailbox refuses a cast, but not the cast of a timer.
                    ctx.cast_after(Duration::ZERO, retry);
                }
            }
        }
        Ok(!is_alone)
    }

    /// Reserves the name of a child whose first start is retried. The process that failed has left
    /// no name.
    fn reserve_for_first_start(&self, position: Position) {
        let child = self.children.get(position).filter(|child| child.is_first_start_retried());
        if let Some(child) = child {
            self.report.reserve_name(child.slot(), &child.spec);
        }
    }

    /// Schedules the restart of this child and its group after this delay. Stops the other members
    /// of the group at once.
    async fn restart_after(
        &mut self,
        position: Position,
        delay: Duration,
        ctx: &mut ServerContext<Self>,
    ) -> Result {
        let now = Instant::now();
        let due = after(now, delay);
        let retry = self.set_restarting(position, Some(due), RetryKind::Delayed);
        ctx.cast_after(delay, retry);
        let group = self.children.positions(self.group(position));
        self.stop_group(&group, position, now).await?;
        step!("after a restart was put off");
        for child in self.children.range(self.group(position)) {
            if child.position == position || !child.awaits_first_start() {
                self.report.postpone_names(child.slot(), due);
            }
        }
        Ok(())
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
}
