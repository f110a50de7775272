//! Restarts that wait for the [orphans](crate::supervisor::orphans) of a killed supervisor.
//!
//! A background task waits for the orphans, and the child is [`Restarting`](RunState::Restarting)
//! meanwhile. When the orphans have ended, the task sends the supervisor the retry.
//!
//! A [`restart_child`](crate::SupervisorRef::restart_child) request waits in the same way, and is
//! answered when the start has succeeded or failed. If another event changes the child meanwhile,
//! the retry is stale (invariant 1 of [`restart`](super::restart)), and the request is answered
//! with the state of the child.

use crate::base::pid::Pid;
use crate::call::reply::Reply;
use crate::exit::reason::{ExitReason, Result};
use crate::restart::restart_state::RestartState;
use crate::runtime::errors::start_error::StartError;
use crate::supervisor::fixed::child_record::Child;
use crate::supervisor::fixed::child_state::{RetryKind, RunState};
use crate::supervisor::fixed::server::{Cast, FixedServer};
use crate::supervisor::info::ChildError;
use crate::supervisor::orphans::Orphans;
use crate::supervisor::spec::strategy::Position;

impl FixedServer {
    /// Returns the orphans of this child's incarnations, if there are any.
    pub(crate) fn orphans_of(&self, child: &Child) -> Option<Orphans> {
        Orphans::of(&self.report, child.spec.kind, (&child.spec.id, child.slot()))
    }

    /// Spawns a task that sends the supervisor this retry when all these orphans have ended.
    pub(crate) fn retry_after_orphans(
        &mut self,
        position: Position,
        retry_id: u64,
        orphans: Vec<Orphans>,
    ) {
        let (report, own_ref) = (self.report.clone(), self.own_ref.clone());
        while self.background.try_join_next().is_some() {}
        self.background.spawn(async move {
            for orphans in orphans {
                orphans.ended(&report).await;
            }
            // The cast fails if the supervisor has ended, and then no restart is due.
            drop(own_ref.cast_wait(Cast::Retry { position, retry_id }).await);
        });
    }

    pub(crate) async fn restart_child(&mut self, id: &str, reply: Reply<Result<Pid, ChildError>>) {
        let position = match self.stopped_position(id) {
            Ok(position) => position,
            Err(error) => return reply.send(Err(error)),
        };
        if let Some(child) = self.children.get_mut(position) {
            child.restarts = RestartState::default();
        }
        match self.children.get(position).and_then(|child| self.orphans_of(child)) {
            None => {
                let started = self.start_requested(position).await;
                reply.send(started);
            }
            Some(orphans) => {
                let retry_id = self.set_restarting(position, None, RetryKind::Requested);
                self.waiting_requests.insert(retry_id, (id.into(), reply));
                self.retry_after_orphans(position, retry_id, vec![orphans]);
            }
        }
    }

    /// Carries out a requested start after the orphans of the child have ended, and answers the
    /// request.
    pub(crate) async fn retry_requested(&mut self, position: Position, retry_id: u64) {
        let started = self.start_requested(position).await;
        if let Some((_, reply)) = self.waiting_requests.remove(&retry_id) {
            reply.send(started);
        }
    }

    /// Answers the request for a start, if this stale retry belongs to one.
    pub(crate) fn answer_stale_request(&mut self, retry_id: u64) {
        let Some((id, reply)) = self.waiting_requests.remove(&retry_id) else { return };
        reply.send(match self.children.by_id(&id).map(|(_, child)| child.state()) {
            None => Err(ChildError::NotFound(id.to_string())),
            Some(RunState::Running(process)) => Ok(process.pid()),
            Some(RunState::Restarting { .. }) => Err(ChildError::Restarting(id.to_string())),
            Some(RunState::Stopped) => {
                Err(ChildError::NotStarted(StartError::Failed(ExitReason::Shutdown)))
            }
        });
    }

    async fn start_requested(&mut self, position: Position) -> Result<Pid, ChildError> {
        if let Some(child) = self.children.get_mut(position) {
            child.count_requested_start();
        }
        let started = self.start_incarnation(position).await;
        if started.is_err() {
            self.mark_stopped(position);
        }
        started?;
        let pid = self.children.get(position).and_then(Child::pid);
        pid.ok_or(ChildError::NotStarted(StartError::Ignored))
    }
}
