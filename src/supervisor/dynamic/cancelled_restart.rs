//! Restarts that are called off while their start is under way.
//!
//! A request to terminate a child that is being started again is answered when the start is over
//! and what it started has been stopped. The start has the child's shutdown time at most. If it is
//! not over by then it is dropped, which kills what it began, and the end of that is waited for.

use std::future::Future;
use std::sync::Arc;

use futures_util::future::{Either, select};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::base::catch::ignore_panic;
use crate::base::pid::Pid;
use crate::child::{ChildType, Restart};
use crate::exit::reason::ExitReason;
use crate::exit::shutdown::Shutdown;
use crate::process::{AnyProcess, ChildSlot};
use crate::runtime::deadline::until;
use crate::runtime::errors::call_error::StartError;
use crate::server::ServerContext;
use crate::supervisor::dynamic::child::{Cancelled, Child, State, StopReply};
use crate::supervisor::dynamic::server::DynamicServer;
use crate::supervisor::dynamic::stop_child::answer_stops;
use crate::supervisor::fixed::orphans::alone;
use crate::supervisor::incarnation::{NotStarted, StartOutcome};
use crate::supervisor::report::Report;
use crate::supervisor::stop::StopRequest;
use crate::time::timer_queue::after;

impl DynamicServer {
    /// Lets a start go on beside the loop until it is called off, and then as long as its child
    /// has to stop.
    pub(super) fn run_cancellable(
        &mut self,
        ticket: u64,
        incarnation: &Child,
        starting: impl Future<Output = StartOutcome> + Send + Unpin + 'static,
    ) -> impl Future<Output = StartOutcome> + Send + 'static {
        let cancellation = CancellationToken::new();
        self.restart_cancellations.insert(ticket, cancellation.clone());
        let (report, shutdown) = (self.report.clone(), incarnation.shutdown);
        let (id, kind, slot) = (incarnation.id.clone(), incarnation.kind, incarnation.slot);
        async move {
            let cancelled = std::pin::pin!(cancellation.cancelled());
            let mut starting = match select(starting, cancelled).await {
                Either::Left((outcome, _)) => return outcome,
                Either::Right(((), starting)) => starting,
            };
            let due = shutdown.grace().map(|grace| after(Instant::now(), grace));
            let kernel = report.runtime.kernel.clone();
            if let Some(outcome) = until(&kernel, due, &mut starting).await {
                return outcome;
            }
            // What a user's start holds is dropped here: a panic of that is not this one's.
            ignore_panic(|| drop(starting));
            for process in started_processes(&report, slot) {
                let (restart, shutdown) = (Restart::Temporary, Shutdown::BrutalKill);
                StopRequest { id: &id, restart, shutdown, process: &process }.killed(&report).await;
            }
            if kind == ChildType::Supervisor {
                alone(&report, (id, slot)).await;
            }
            Err(NotStarted { error: StartError::Failed(ExitReason::Killed), name_taken: false })
        }
    }

    /// Calls off the start of this child that is under way.
    pub(super) fn cancel_restart(&mut self, pid: Pid, reply: StopReply) {
        let Some(child) = self.children.get_mut(&pid) else { return };
        let State::Restarting { ticket, .. } = child.state else { return };
        child.state = State::Cancelled(Box::new(Cancelled { ticket, replies: vec![reply] }));
        if let Some(cancellation) = self.restart_cancellations.get(&ticket) {
            cancellation.cancel();
        }
    }

    /// A start that was called off is over: stops what it started.
    pub(super) fn cancelled_restart_done(
        &mut self,
        (pid, ticket): (Pid, u64),
        incarnation: Child,
        outcome: StartOutcome,
        ctx: &mut ServerContext<Self>,
    ) {
        let is_this = |child: &Child| matches!(&child.state, State::Cancelled(cancelled) if cancelled.ticket == ticket);
        let is_known = self.children.get(&pid).is_some_and(is_this);
        let mut child = is_known.then(|| self.take(pid)).flatten().unwrap_or(incarnation);
        let replies = match std::mem::replace(&mut child.state, State::Starting) {
            State::Cancelled(cancelled) => cancelled.replies,
            _ => Vec::new(),
        };
        let process = outcome.ok().flatten();
        match process.filter(|process| self.early_exits.remove(&process.pid()).is_none()) {
            Some(process) => {
                let pid = process.pid();
                child.state = State::Running(process);
                if child.first_pid == Pid::OUTSIDE {
                    child.first_pid = pid;
                }
                self.insert(pid, child);
                self.begin_stop(pid, replies, ctx);
            }
            None => {
                self.report.free_names(child.slot);
                answer_stops(replies);
            }
        }
    }
}

/// What a start of this seat has begun, and is linked to the supervisor still.
fn started_processes(report: &Report, slot: ChildSlot) -> Vec<Arc<dyn AnyProcess>> {
    let is_of_slot = |process: &Arc<dyn AnyProcess>| {
        let parent = process.with(|locked| locked.core().relations()?.parent);
        parent.and_then(|parent| parent.role).is_some_and(|role| role.slot == slot)
    };
    let mut started_processes = report.runtime.kernel.children_of(report.supervisor);
    started_processes.retain(is_of_slot);
    started_processes
}
