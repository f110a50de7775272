//! Stops one dynamic child.
//!
//! The server asks the child to stop and continues. The exit of the child ends the stop. One timer
//! checks the stops that are due: it kills a child whose shutdown time is over, and finds a child
//! that has ended and whose exit is queued behind the check.

use tokio::time::Instant;

use crate::base::Pid;
use crate::call::Reply;
use crate::exit::{ExitReason, Result, Shutdown};
use crate::observe::{ChangeKind, Doing};
use crate::process::ChildStop;
use crate::server::ServerContext;
use crate::supervisor::dynamic::pending_stops::ended;
use crate::supervisor::dynamic::{
    AfterStop, Cast, DynamicServer, State, StopReplies, StopReply, Stopping,
};
use crate::supervisor::{ChildError, NOT_YIELDING, has_ended};
use crate::time::timer_queue::after;

impl DynamicServer {
    /// Handles a request to terminate a child. The reply is sent when no process of the child runs,
    /// except that the orphans of a killed child supervisor may still be ending.
    pub(super) fn terminate_child(
        &mut self,
        requested: Pid,
        reply: Reply<Result<(), ChildError>>,
        ctx: &mut ServerContext<Self>,
    ) {
        self.terminate_last(self.last_pid(requested), StopReply { requested, reply }, ctx);
    }

    /// Terminates the child whose last pid is this one.
    pub(super) fn terminate_last(
        &mut self,
        pid: Pid,
        answer: StopReply,
        ctx: &mut ServerContext<Self>,
    ) {
        match self.children.get_mut(&pid).map(|child| &mut child.state) {
            None | Some(State::Starting) => {
                answer.reply.send(Err(ChildError::NotFound(answer.requested.to_string())))
            }
            Some(State::Running(_)) => {
                self.begin_stop(pid, AfterStop::Remove(StopReplies::of(answer)), ctx);
            }
            Some(State::Stopping(_)) => self.remove_after_stop(pid, answer),
            Some(State::Cancelled(cancelled)) => cancelled.replies.push(answer),
            Some(State::Restarting { retry_id, .. })
                if self.restart_cancellations.contains_key(retry_id) =>
            {
                self.cancel_restart(pid, answer);
            }
            Some(State::Restarting { .. } | State::GivenUp(_)) => {
                self.forget(pid);
                answer.reply.send(Ok(()));
            }
        }
    }

    /// Asks a child to stop, or kills it if it is to be killed at once. The exit of the child and
    /// the end of its shutdown time are separate events.
    pub(super) fn begin_stop(&mut self, pid: Pid, then: AfterStop, ctx: &mut ServerContext<Self>) {
        let Some(child) = self.children.get_mut(&pid) else { return };
        let State::Running(process) = &child.state else { return };
        let process = process.clone();
        let how = match then {
            AfterStop::Remove(_) => ChildStop::ForGood,
            AfterStop::Restart(_) => ChildStop::ForRestart,
        };
        self.report.note_stop(&*process, how);
        let began = Instant::now();
        let due = match child.shutdown {
            Shutdown::Timeout(grace) => after(began, grace),
            Shutdown::BrutalKill | Shutdown::Infinity => began + NOT_YIELDING,
        };
        match child.shutdown {
            Shutdown::BrutalKill => drop(self.report.runtime.kill(pid)),
            _ => self.report.ask_to_stop(&*process),
        }
        let stopping = Stopping { process, began, due, overran: None, then };
        let deadline = child.shutdown.deadline(began);
        child.state = State::Stopping(Box::new(stopping));
        self.tell(pid, || ChangeKind::stopping(deadline));
        self.stop_checks.insert((due, pid));
        self.arm_stop_timer(ctx);
    }

    /// Sets the timer to the earliest check.
    fn arm_stop_timer(&mut self, ctx: &mut ServerContext<Self>) {
        let Some(&(due, _)) = self.stop_checks.first() else { return };
        if self.stop_timer_due.is_none_or(|next| due < next) {
            self.stop_timer_due = Some(due);
            let delay = due.saturating_duration_since(Instant::now());
            // The new timer replaces a timer with the same key, which would fire later.
            ctx.cast_after_as("check stops", delay, Cast::CheckStops);
        }
    }

    /// Checks all stops that are due.
    pub(super) fn check_stops(&mut self, ctx: &mut ServerContext<Self>) -> Result {
        self.stop_timer_due = None;
        let now = Instant::now();
        while let Some(&(due, pid)) = self.stop_checks.first()
            && due <= now
        {
            self.stop_checks.remove(&(due, pid));
            self.check_stop(pid, now, ctx)?;
        }
        self.arm_stop_timer(ctx);
        Ok(())
    }

    /// Checks one stop that is due: kills a child whose shutdown time is over, or logs that a
    /// killed child does not yield. If the child has already ended, handles its end.
    fn check_stop(&mut self, pid: Pid, now: Instant, ctx: &mut ServerContext<Self>) -> Result {
        let Some(child) = self.children.get_mut(&pid) else { return Ok(()) };
        let State::Stopping(stopping) = &mut child.state else { return Ok(()) };
        if let Some(reason) = ended(&*stopping.process) {
            return self.child_stopped(pid, &reason, ctx);
        }
        match child.shutdown {
            Shutdown::Infinity => {}
            // Many processes are still notified of its end.
            _ if has_ended(&stopping.process) => {}
            Shutdown::Timeout(_) if stopping.overran.is_none() => {
                stopping.overran = Some(Doing::of(&self.report.runtime, pid));
                self.report.runtime.kill(pid);
            }
            Shutdown::Timeout(_) | Shutdown::BrutalKill => self.report.not_yielding(&child.id, pid),
        }
        stopping.due = now + NOT_YIELDING;
        self.stop_checks.insert((stopping.due, pid));
        Ok(())
    }

    /// Handles the end of a child that was asked to stop.
    pub(super) fn child_stopped(
        &mut self,
        pid: Pid,
        reason: &ExitReason,
        ctx: &mut ServerContext<Self>,
    ) -> Result {
        let Some(child) = self.children.get_mut(&pid) else { return Ok(()) };
        let stopping = match std::mem::replace(&mut child.state, State::Starting) {
            State::Stopping(stopping) => *stopping,
            state => {
                child.state = state;
                return Ok(());
            }
        };
        self.stop_checks.remove(&(stopping.due, pid));
        let stop_request = child.stop_request(&stopping.process);
        stop_request.record_stop(&self.report, stopping.began, reason, stopping.overran);
        match stopping.then {
            AfterStop::Restart(reply) => self.restart_stopped(pid, reason, reply, ctx),
            AfterStop::Remove(replies) => {
                let Some(child) = self.take(pid) else { return Ok(()) };
                child.release();
                self.report_end(&child, pid, reason.clone(), true);
                self.report.free_names(child.slot);
                replies.answer();
                Ok(())
            }
        }
    }
}
