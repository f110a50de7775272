//! Restarts that wait for the [orphans](crate::supervisor::orphans) of a killed supervisor.
//!
//! A background task waits for the orphans. During this wait the child is
//! [`Restarting`](super::RunState::Restarting). When the orphans have ended, the task sends the
//! supervisor the retry.
//!
//! A [`restart_child`](crate::SupervisorRef::restart_child) request waits in the same way, and is
//! answered when the start has succeeded or failed. If another event changes the child during the
//! wait, the retry is stale (invariant 1 of [`restart`](super::restart)), and the request is
//! answered with the state of the child.

use crate::base::Pid;
use crate::call::Reply;
use crate::exit::{ExitReason, Result};
use crate::runtime::StartError;
use crate::supervisor::fixed::{Child, FixedServer, Retry, RetryKind};
use crate::supervisor::{ChildError, Orphans, Position};

impl FixedServer {
    /// Returns the orphans of this child's incarnations, if there are any.
    pub(crate) fn orphans_of(&self, child: &Child) -> Option<Orphans> {
        Orphans::of(&self.report, child.spec.kind, (&child.spec.id, child.slot()))
    }

    /// Spawns a task that sends the supervisor this retry when all these orphans have ended.
    pub(crate) fn retry_after_orphans(&mut self, retry: Retry, orphans: Vec<Orphans>) {
        let (report, own_ref) = (self.report.clone(), self.own_ref.clone());
        while self.background.try_join_next().is_some() {}
        self.background.spawn(async move {
            for orphans in orphans {
                orphans.ended(&report).await;
            }
            // The cast fails if the supervisor has ended, and then no restart is due.
            drop(own_ref.cast_wait(retry).await);
        });
    }

    pub(crate) async fn restart_child(&mut self, id: &str, reply: Reply<Result<Pid, ChildError>>) {
        let position = match self.stopped_position(id) {
            Ok(position) => position,
            Err(error) => return reply.send(Err(error)),
        };
        if let Some(child) = self.children.get_mut(position) {
            child.reset_restarts();
        }
        match self.children.get(position).and_then(|child| self.orphans_of(child)) {
            None => {
                let started = self.start_requested(position).await;
                reply.send(started);
            }
            Some(orphans) => {
                let retry = self.set_restarting(position, None, RetryKind::Requested);
                self.waiting_requests.insert(retry.id, (id.into(), reply));
                self.retry_after_orphans(retry, vec![orphans]);
            }
        }
    }

    /// Carries out a requested start after the orphans of the child have ended, and answers the
    /// request.
    pub(crate) async fn retry_requested(&mut self, retry: Retry) {
        let started = self.start_requested(retry.position).await;
        if let Some((_, reply)) = self.waiting_requests.remove(&retry.id) {
            reply.send(started);
        }
    }

    /// Answers the requested start that this stale retry belongs to, if there is one.
    pub(crate) fn answer_stale_request(&mut self, retry_id: u64) {
        let Some((id, reply)) = self.waiting_requests.remove(&retry_id) else { return };
        reply.send(match self.stopped_position(&id) {
            Ok(_) => Err(ChildError::NotStarted(StartError::Failed(ExitReason::Shutdown))),
            Err(ChildError::Running { pid, .. }) => Ok(pid),
            Err(error) => Err(error),
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
        let started = started.map_err(|failure| failure.error)?;
        Ok(started.ok_or(StartError::Ignored)?)
    }
}
