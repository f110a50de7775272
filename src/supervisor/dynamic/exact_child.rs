//! Requests about exactly one incarnation of a child: to stop it, or to stop it and start it again.
//!
//! A restart on request takes these steps. Each step is an event of its own, so a restart delays no
//! other child:
//!
//! 1. [`restart_exactly`](DynamicServer::restart_exactly) asks the child to stop. The child gets
//!    the state [`State::Stopping`], and its name stays reserved.
//! 2. At the end of the child [`restart_stopped`](DynamicServer::restart_stopped) records the end
//!    as a stop, which counts against no budget. It clears the earlier failures of the child, and
//!    begins the start.
//! 3. The end of the start answers the request. The request waits in `requested_restarts`, under the
//!    id of the retry that the child waits for.
//!
//! **What happens if** …
//!
//! | | |
//! |---|---|
//! | the child ends before the request is handled | its exit was queued before or after the request. Before: the pid is unknown, or that of a child that restarts, and the request is refused. After: the exit ends the stop |
//! | the child overran its shutdown time | it is killed, and started again when it and the processes that it left have ended |
//! | the start fails | the requester gets the error, and the restart policy decides, as after any failed restart: it may count against the budget |
//! | the child is terminated meanwhile | it is not started, and the requester gets an error |
//! | the supervisor ends meanwhile | the child is stopped, and the requester gets no answer |
//!
//! The child is started with a new backoff and a new budget of its own. A supervisor of a declared
//! list does the same. If the starts of a given-up child fail until that budget is used up, the
//! child is given up again.

use tokio::time::Instant;

use crate::base::{Pid, ignore_panic};
use crate::call::Reply;
use crate::child::Restart;
use crate::exit::{ExitReason, Result};
use crate::process::ChildStop;
use crate::runtime::StartError;
use crate::server::ServerContext;
use crate::supervisor::dynamic::{
    AfterStop, DynamicServer, RestartReply, Retry, State, StopReplies, StopReply,
};
use crate::supervisor::{ChildError, EndRecord, ExactChild, Incarnation, StartOutcome};

impl DynamicServer {
    /// Stops and removes the child, if its process is still the process of the request.
    pub(super) fn terminate_exactly(
        &mut self,
        child: &ExactChild,
        reply: Reply<Result<(), ChildError>>,
        ctx: &mut ServerContext<Self>,
    ) {
        match self.exact_pid(child) {
            Ok(_) if !child.claim.begin() => {}
            Ok(pid) => self.terminate_last(pid, StopReply { requested: pid, reply }, ctx),
            Err(error) => reply.send(Err(error)),
        }
    }

    /// Begins the restart of a child, if its process is still the process of the request.
    pub(super) fn restart_exactly(
        &mut self,
        child: &ExactChild,
        reply: RestartReply,
        ctx: &mut ServerContext<Self>,
    ) -> Result {
        let pid = match self.exact_pid(child).and_then(|pid| self.check_restart(pid)) {
            Ok(pid) => pid,
            Err(error) => {
                reply.send(Err(error));
                return Ok(());
            }
        };
        if !child.claim.begin() {
            return Ok(());
        }
        match self.children.get(&pid).map(|child| &child.state) {
            Some(State::GivenUp(_)) => {
                self.take_back(pid);
                self.start_requested(pid, reply, ctx)
            }
            _ => {
                self.begin_stop(pid, AfterStop::Restart(reply), ctx);
                Ok(())
            }
        }
    }

    /// Returns the pid of this child. The pid of an earlier incarnation is refused.
    fn exact_pid(&self, child: &ExactChild) -> Result<Pid, ChildError> {
        let id = || child.id.to_string();
        let Some(pid) = child.pid else { return Err(ChildError::NotFound(id())) };
        match self.children.get(&pid) {
            Some(known) if known.id == child.id => Ok(pid),
            Some(_) => Err(ChildError::NotFound(id())),
            None => {
                let last = self.children.get(&self.last_pid(pid));
                let last = last.filter(|last| last.id == child.id);
                Err(match last {
                    Some(last) => {
                        let pid = last.process().map(|process| process.pid());
                        ChildError::Changed { id: id(), pid }
                    }
                    None => ChildError::NotFound(id()),
                })
            }
        }
    }

    /// Returns an error if this child can't be restarted on request now.
    fn check_restart(&self, pid: Pid) -> Result<Pid, ChildError> {
        let Some(child) = self.children.get(&pid) else {
            return Err(ChildError::NotFound(pid.to_string()));
        };
        let id = || child.id.to_string();
        if child.restart == Restart::Temporary {
            return Err(ChildError::Temporary(id()));
        }
        match &child.state {
            State::Running(_) => Ok(pid),
            State::GivenUp(_) => match self.spec.max_children {
                Some(most) if !self.has_room(most) => Err(StartError::MaxChildren(most).into()),
                _ => Ok(pid),
            },
            State::Stopping(_) | State::Cancelled(_) => Err(ChildError::Stopping(id())),
            State::Restarting { .. } | State::Starting => Err(ChildError::Restarting(id())),
        }
    }

    /// Sets a child that was given up to restarting, with a new budget.
    fn take_back(&mut self, pid: Pid) {
        let Some(mut child) = self.take(pid) else { return };
        let first = child.first_pid;
        if let Some(record) = &mut child.restart_record {
            record.reset_restarts();
        }
        child.state = State::Starting;
        self.children.insert(pid, child);
        if first != pid {
            self.last_pids.insert(first, pid);
        }
    }

    /// Records the end of a child that was stopped to be started again, and begins its start.
    pub(super) fn restart_stopped(
        &mut self,
        pid: Pid,
        reason: &ExitReason,
        reply: RestartReply,
        ctx: &mut ServerContext<Self>,
    ) -> Result {
        let fallback = self.spec.backoff;
        let Some(child) = self.children.get_mut(&pid) else { return Ok(()) };
        let (started, attempt, id) = (child.started, child.attempt(), child.id.clone());
        let end =
            EndRecord { pid: Some(pid), reason: reason.clone(), at: Instant::now(), stopped: true };
        let change = end.change(started);
        if let Some(record) = child.restart_record.as_mut() {
            record.last = Some(reason.clone());
            let backoff = record.spec.backoff.or(fallback);
            let events = self.report.source.kept_events(end.pid);
            let ended = end.record(started, attempt, &mut record.restarts, backoff);
            let ended = Incarnation { events, ..ended };
            record.reset_restarts();
            let oldest = record.history.push(ended);
            ignore_panic(|| drop(oldest));
        }
        drop(self.report.source.child(&id, Some(pid), || change));
        self.start_requested(pid, reply, ctx)
    }

    /// Begins the start of a child that does not run, and keeps the reply until the start has
    /// finished.
    fn start_requested(
        &mut self,
        pid: Pid,
        reply: RestartReply,
        ctx: &mut ServerContext<Self>,
    ) -> Result {
        let retry = self.set_restarting(pid, None);
        let Some(child) = self.children.get_mut(&pid) else { return Ok(()) };
        if let Some(record) = &mut child.restart_record {
            record.requested_starts = record.requested_starts.saturating_add(1);
        }
        self.requested_restarts.insert(retry.id, (child.id.clone(), reply));
        self.begin_restart(retry, ctx)
    }

    /// Answers the request that has begun this restart, if there is one. `outcome` is `None` if the
    /// restart was cancelled.
    pub(super) fn answer_requested(&mut self, retry: Retry, outcome: Option<&StartOutcome>) {
        let Some((id, reply)) = self.requested_restarts.remove(&retry.id) else { return };
        reply.send(match outcome {
            Some(Ok(Some(process))) => Ok(process.pid()),
            Some(Ok(None)) => Err(StartError::Ignored.into()),
            Some(Err(failure)) => Err(failure.error.clone().into()),
            None => Err(ChildError::Stopping(id.to_string())),
        });
    }

    /// Notes that a child is removed after its stop, although the stop was begun for a restart.
    /// Answers the request for the restart with an error.
    pub(super) fn remove_after_stop(&mut self, pid: Pid, answer: StopReply) {
        let Some(child) = self.children.get_mut(&pid) else { return };
        let State::Stopping(stopping) = &mut child.state else { return };
        match &mut stopping.then {
            AfterStop::Remove(replies) => replies.push(answer),
            then @ AfterStop::Restart(_) => {
                self.report.note_stop(&*stopping.process, ChildStop::ForGood);
                let replaced = std::mem::replace(then, AfterStop::Remove(StopReplies::of(answer)));
                if let AfterStop::Restart(reply) = replaced {
                    reply.send(Err(ChildError::Stopping(child.id.to_string())));
                }
            }
        }
    }
}
