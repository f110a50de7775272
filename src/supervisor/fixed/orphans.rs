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
use crate::supervisor::{ChildError, Decision, Orphans, Position};

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

    /// Starts a child that doesn't run. The error is the reason of a supervisor that ends because
    /// the child ends the tree.
    pub(crate) async fn restart_child(
        &mut self,
        id: &str,
        reply: Reply<Result<Pid, ChildError>>,
    ) -> Result {
        let position = match self.stopped_position(id) {
            Ok(position) => position,
            Err(error) => {
                reply.send(Err(error));
                return Ok(());
            }
        };
        let Some(child) = self.children.get_mut(position) else { return Ok(()) };
        child.reset_restarts();
        let was_given_up = child.is_given_up();
        match self.children.get(position).and_then(|child| self.orphans_of(child)) {
            None => {
                let (started, next) = self.start_requested(position, was_given_up).await;
                reply.send(started);
                next
            }
            Some(orphans) => {
                let kind = RetryKind::Requested { was_given_up };
                let retry = self.set_restarting(position, None, kind);
                self.waiting_requests.insert(retry.id, (id.into(), reply));
                self.retry_after_orphans(retry, vec![orphans]);
                Ok(())
            }
        }
    }

    /// Carries out a requested start after the orphans of the child have ended, and answers the
    /// request.
    pub(crate) async fn retry_requested(&mut self, retry: Retry, was_given_up: bool) -> Result {
        let (started, next) = self.start_requested(retry.position, was_given_up).await;
        if let Some((_, reply)) = self.waiting_requests.remove(&retry.id) {
            reply.send(started);
        }
        next
    }

    /// Answers the request of this stale retry, if the retry belongs to a requested start.
    pub(crate) fn answer_stale_request(&mut self, retry_id: u64) {
        let Some((id, reply)) = self.waiting_requests.remove(&retry_id) else { return };
        reply.send(match self.stopped_position(&id) {
            Ok(_) => Err(ChildError::NotStarted(StartError::Failed(ExitReason::Shutdown))),
            Err(ChildError::Running { pid, .. }) => Ok(pid),
            Err(error) => Err(error),
        });
    }

    /// Starts a child by a request. Returns two results: the answer to the request, and the reason
    /// of a supervisor that ends. Send the answer before the supervisor ends. If the start fails, a
    /// child that was given up stays given up.
    async fn start_requested(
        &mut self,
        position: Position,
        was_given_up: bool,
    ) -> (Result<Pid, ChildError>, Result) {
        if let Some(child) = self.children.get_mut(position) {
            child.count_requested_start();
        }
        let failure = match self.start_incarnation(position).await {
            Ok(started) => return (started.ok_or_else(|| StartError::Ignored.into()), Ok(())),
            Err(failure) => failure,
        };
        let next = match failure.decided {
            Some(Decision::EndTree) => Err(self.end_tree(position, failure.pid)),
            None | Some(Decision::Escalate) if !was_given_up => {
                self.mark_stopped(position);
                Ok(())
            }
            Some(Decision::GiveUp | Decision::Escalate) | None => {
                self.mark_given_up(position);
                Ok(())
            }
        };
        (Err(failure.error.into()), next)
    }
}
