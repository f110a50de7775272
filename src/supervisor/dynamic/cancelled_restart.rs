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
use crate::child::Restart;
use crate::exit::reason::ExitReason;
use crate::exit::shutdown::Shutdown;
use crate::process::{AnyProcess, ChildSlot};
use crate::runtime::deadline::until;
use crate::runtime::errors::start_error::StartError;
use crate::server::ServerContext;
use crate::supervisor::dynamic::child::{CalledOff, Child, State, StopReply};
use crate::supervisor::dynamic::server::DynamicServer;
use crate::supervisor::dynamic::stop_child::answer;
use crate::supervisor::incarnation::{NotStarted, StartOutcome};
use crate::supervisor::orphans::Orphans;
use crate::supervisor::report::Report;
use crate::supervisor::stop::StopRequest;
use crate::time::timer_queue::after;

impl DynamicServer {
    /// Lets a start go on beside the loop until it is called off, and then as long as its child
    /// has to stop.
    pub(super) fn unless_called_off(
        &mut self,
        ticket: u64,
        spare: &Child,
        starting: impl Future<Output = StartOutcome> + Send + Unpin + 'static,
    ) -> impl Future<Output = StartOutcome> + Send + 'static {
        let called_off = CancellationToken::new();
        self.under_way.insert(ticket, called_off.clone());
        let (report, shutdown) = (self.report.clone(), spare.shutdown);
        let (id, kind, slot) = (spare.id.clone(), spare.kind, spare.slot);
        async move {
            let is_called_off = std::pin::pin!(called_off.cancelled());
            let mut starting = match select(starting, is_called_off).await {
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
                StopRequest { id: &id, restart, shutdown, process: &process }
                    .await_killed(&report)
                    .await;
            }
            if let Some(orphans) = Orphans::of(&report, kind, (&id, slot)) {
                orphans.ended(&report).await;
            }
            Err(NotStarted { error: StartError::Failed(ExitReason::Killed), name_taken: false })
        }
    }

    /// Calls off the start of this child that is under way.
    pub(super) fn call_off(&mut self, pid: Pid, reply: StopReply) {
        let Some(child) = self.children.get_mut(&pid) else { return };
        let State::Restarting { ticket, .. } = child.state else { return };
        child.state = State::CalledOff(Box::new(CalledOff { ticket, replies: vec![reply] }));
        if let Some(under_way) = self.under_way.get(&ticket) {
            under_way.cancel();
        }
    }

    /// A start that was called off is over: stops what it started.
    pub(super) fn called_off(
        &mut self,
        (pid, ticket): (Pid, u64),
        spare: Child,
        outcome: StartOutcome,
        ctx: &mut ServerContext<Self>,
    ) {
        let is_this = |child: &Child| matches!(&child.state, State::CalledOff(called_off) if called_off.ticket == ticket);
        let known = self.children.get(&pid).is_some_and(is_this);
        let mut child = known.then(|| self.take(pid)).flatten().unwrap_or(spare);
        let replies = match std::mem::replace(&mut child.state, State::Starting) {
            State::CalledOff(called_off) => called_off.replies,
            _ => Vec::new(),
        };
        let process = outcome.ok().flatten();
        match process.filter(|process| self.early.remove(&process.pid()).is_none()) {
            Some(process) => {
                let pid = process.pid();
                child.state = State::Running(process);
                if child.told == Pid::OUTSIDE {
                    child.told = pid;
                }
                self.insert(pid, child);
                self.begin_stop(pid, replies, ctx);
            }
            None => {
                self.report.free_names(child.slot);
                answer(replies);
            }
        }
    }
}

/// What a start of this seat has begun, and is linked to the supervisor still.
fn started_processes(report: &Report, slot: ChildSlot) -> Vec<Arc<dyn AnyProcess>> {
    let is_of_seat = |process: &Arc<dyn AnyProcess>| {
        let parent = process.with(|locked| locked.core().relations()?.parent);
        parent.and_then(|parent| parent.role).is_some_and(|role| role.slot == slot)
    };
    let mut started_processes = report.runtime.kernel.children_of(report.supervisor);
    started_processes.retain(is_of_seat);
    started_processes
}
