//! Restarts that are cancelled while their start is in progress.
//!
//! A request may terminate a child whose restart is in progress. The request is answered when no
//! process of the child runs. It takes these steps:
//!
//! 1. [`cancel_restart`](DynamicServer::cancel_restart) sets the child to [`State::Cancelled`] and
//!    cancels the token of the start.
//! 2. The start may still finish within the child's shutdown time.
//! 3. A start that takes longer is dropped, and the drop kills the processes of the start. The
//!    background task waits for the ends of these processes. If the child is a supervisor, the task
//!    also waits for the orphans of the child.
//! 4. [`cancelled_restart_done`](DynamicServer::cancelled_restart_done) stops the process of a
//!    start that has finished, and answers the requests.

use std::sync::Arc;

use futures_util::future::{Either, select};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::base::{Pid, ignore_panic};
use crate::exit::ExitReason;
use crate::observe::ChangeKind;
use crate::process::{AnyProcess, ChildSlot};
use crate::runtime::{StartError, until};
use crate::server::ServerContext;
use crate::supervisor::dynamic::{
    AfterStop, Cancelled, Child, DynamicServer, Retry, State, StopReplies, StopReply,
};
use crate::supervisor::{NotStarted, Orphans, Report, StartOutcome, await_killed};
use crate::time::timer_queue::after;

impl DynamicServer {
    /// Makes the start of a restart cancellable: after its cancellation the start may finish within
    /// the shutdown time of the child. Steps 2 and 3.
    pub(super) fn run_cancellable(
        &mut self,
        retry: Retry,
        incarnation: &Child,
        starting: impl Future<Output = StartOutcome> + Send + Unpin + 'static,
    ) -> impl Future<Output = StartOutcome> + Send + 'static {
        let cancellation = CancellationToken::new();
        self.restart_cancellations.insert(retry.id, cancellation.clone());
        let (report, shutdown) = (self.report.clone(), incarnation.shutdown);
        let (id, kind, slot) = (incarnation.id.clone(), incarnation.kind, incarnation.slot);
        async move {
            let cancelled = std::pin::pin!(cancellation.cancelled());
            let mut starting = match select(starting, cancelled).await {
                Either::Left((outcome, _)) => return outcome,
                Either::Right(((), starting)) => starting,
            };
            let due = shutdown.grace().map(|grace| after(Instant::now(), grace));
            if let Some(outcome) = until(&report.runtime.kernel, due, &mut starting).await {
                return outcome;
            }
            // The drop of a user's start may panic. The panic must not end the background task.
            ignore_panic(|| drop(starting));
            for process in started_processes(&report, slot) {
                await_killed(&report, &id, &process).await;
            }
            if let Some(orphans) = Orphans::of(&report, kind, (&id, slot)) {
                orphans.ended(&report).await;
            }
            Err(NotStarted::without_process(StartError::Failed(ExitReason::Killed)))
        }
    }

    /// Cancels the restart of a child. The start of this restart must be in progress. Step 1.
    pub(super) fn cancel_restart(&mut self, pid: Pid, reply: StopReply) {
        let Some(child) = self.children.get_mut(&pid) else { return };
        let State::Restarting { retry_id, .. } = child.state else { return };
        child.state =
            State::Cancelled(Box::new(Cancelled { retry_id, replies: StopReplies::of(reply) }));
        if let Some(cancellation) = self.restart_cancellations.get(&retry_id) {
            cancellation.cancel();
        }
    }

    /// Handles the end of a cancelled start, and stops the process of that start. Step 4.
    pub(super) fn cancelled_restart_done(
        &mut self,
        Retry { pid, id }: Retry,
        incarnation: Child,
        outcome: StartOutcome,
        ctx: &mut ServerContext<Self>,
    ) {
        let is_known = self.children.get(&pid).is_some_and(
            |child| matches!(&child.state, State::Cancelled(cancelled) if cancelled.retry_id == id),
        );
        if is_known {
            self.tell(pid, || ChangeKind::Removed);
        }
        let mut child = is_known.then(|| self.take(pid)).flatten().unwrap_or(incarnation);
        let replies = match std::mem::replace(&mut child.state, State::Starting) {
            State::Cancelled(cancelled) => cancelled.replies,
            _ => StopReplies::default(),
        };
        let process = outcome.ok().flatten();
        let mut has_ended = |process: &Arc<dyn AnyProcess>| {
            let exit_arrived = self.early_exits.remove(&process.pid());
            exit_arrived && self.report.reason_of_end(&child.id, process).is_some()
        };
        match process.filter(|process| !has_ended(process)) {
            Some(process) => {
                let pid = self.insert(child, process);
                self.begin_stop(pid, AfterStop::Remove(replies), ctx);
            }
            None => {
                child.release();
                self.report.free_names(child.slot);
                replies.answer();
            }
        }
    }
}

/// Returns the processes of the incarnation `slot` that are still linked to the supervisor.
fn started_processes(report: &Report, slot: ChildSlot) -> Vec<Arc<dyn AnyProcess>> {
    let is_of_slot = |process: &Arc<dyn AnyProcess>| {
        let parent = process.with(|locked| locked.core().relations()?.parent);
        parent.and_then(|parent| parent.role).is_some_and(|role| role.slot == slot)
    };
    let mut started_processes = report.runtime.kernel.children_of(report.supervisor);
    started_processes.retain(is_of_slot);
    started_processes
}
