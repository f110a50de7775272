//! First starts and restarts of dynamic children.

use std::any::Any;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use futures_util::FutureExt;

use crate::base::pid::Pid;
use crate::base::user_panics::ignore_panic;
use crate::child::Spec;
use crate::exit::crash::Crash;
use crate::exit::reason::{ExitReason, Result};
use crate::process::{AnyProcess, ChildSlot};
use crate::runtime::errors::start_error::StartError;
use crate::runtime::starting::StartCause;
use crate::server::ServerContext;
use crate::supervisor::dynamic::child::{Child, State};
use crate::supervisor::dynamic::server::{Completion, DynamicServer, PidReply, Requester};
use crate::supervisor::incarnation::{NotStarted, StartOutcome, start, start_at_once};
use crate::supervisor::report::Report;
use crate::supervisor::spec::auto_shutdown::AutoShutdown;
use crate::supervisor::spec::check_child;

impl DynamicServer {
    /// Handles a request to start a child.
    pub(super) fn start_child(
        &mut self,
        spec: Arc<Spec>,
        reply: PidReply,
        ctx: &mut ServerContext<Self>,
    ) -> Result {
        let allowed = spec.name.as_ref().map_or(Ok(()), |name| self.check_given_up(name));
        match allowed.and_then(|()| self.admits(&spec)) {
            Ok(()) => self.begin_start(spec, Requester::Caller(reply), ctx),
            Err(error) => {
                reply.send(Err(error));
                Ok(())
            }
        }
    }

    /// Checks a specification, and that the maximum number of children is not reached.
    pub(super) fn admits(&self, spec: &Spec) -> Result<(), StartError> {
        check_child(spec, AutoShutdown::Never)?;
        match self.spec.max_children {
            Some(most)
                if self.children.len() - self.given_up_count() + self.first_starts >= most =>
            {
                Err(StartError::MaxChildren(most))
            }
            _ => Ok(()),
        }
    }

    /// Starts a new child, and answers the requester when the start has finished.
    pub(super) fn begin_start(
        &mut self,
        spec: Arc<Spec>,
        requester: Requester,
        ctx: &mut ServerContext<Self>,
    ) -> Result {
        let number = self.next_number();
        let slot = ChildSlot { child: number, start: 1 };
        let child = Child::new(spec.clone(), number);
        if let Some(outcome) = run_start_at_once(&self.report, slot, &spec, &StartCause::First) {
            // For a temporary child this is the last handle: its drop also drops the captures of
            // the closure.
            ignore_panic(|| drop(spec));
            return self.start_done(child, requester, outcome, ctx);
        }
        let mut starting = Box::pin(run_start(self.report.clone(), slot, spec, StartCause::First));
        match starting.as_mut().now_or_never() {
            Some(outcome) => self.start_done(child, requester, outcome, ctx),
            None => {
                self.starts_in_progress += 1;
                self.first_starts += 1;
                self.run_in_background(starting.map(|outcome| Completion::Started {
                    child,
                    requester,
                    outcome,
                }));
                Ok(())
            }
        }
    }

    /// Handles the outcome of a first start.
    pub(super) fn start_done(
        &mut self,
        child: Child,
        requester: Requester,
        outcome: StartOutcome,
        ctx: &mut ServerContext<Self>,
    ) -> Result {
        let slot = child.slot;
        self.update_given_up(&child, &outcome);
        match outcome {
            Ok(Some(process)) => {
                let pid = process.pid();
                self.answer_start(requester, Ok(pid));
                self.add_started(child, process, ctx)
            }
            Ok(None) => {
                self.report.free_names(slot);
                self.answer_start(requester, Err(StartError::Ignored));
                Ok(())
            }
            Err(NotStarted { error, name_taken }) => {
                self.report.free_names(slot);
                match requester {
                    // Another process has registered the name since the lookup, and may have ended.
                    Requester::NameWaiters(name, spec) if name_taken => {
                        return self.resolve_name(name, spec, ctx);
                    }
                    requester => self.answer_start(requester, Err(error)),
                }
                Ok(())
            }
        }
    }

    /// Adds a started child, and handles an exit that has already arrived. Server invariant 3.
    fn add_started(
        &mut self,
        mut child: Child,
        process: Arc<dyn AnyProcess>,
        ctx: &mut ServerContext<Self>,
    ) -> Result {
        let pid = process.pid();
        child.state = State::Running(process);
        if child.first_pid == Pid::OUTSIDE {
            child.first_pid = pid;
        }
        self.insert(pid, child);
        match self.early_exits.remove(&pid) {
            Some(reason) => self.child_ended(pid, reason, ctx),
            None => Ok(()),
        }
    }

    /// Starts the next incarnation of a child. The child keeps its old pid as its key until the
    /// start has succeeded. Server invariant 4.
    pub(super) fn begin_restart(
        &mut self,
        key: (Pid, u64),
        ctx: &mut ServerContext<Self>,
    ) -> Result {
        let (pid, ticket) = key;
        if self.wait_for_orphans(pid, ticket) {
            return Ok(());
        }
        let Some(child) = self.children.get_mut(&pid) else { return Ok(()) };
        let cause = child.begin_incarnation();
        let Some(record) = &child.restart_record else { return Ok(()) };
        let (spec, incarnation) = (record.spec.clone(), child.incarnation());
        if let Some(outcome) = run_start_at_once(&self.report, child.slot, &spec, &cause) {
            return self.restart_done(key, incarnation, outcome, ctx);
        }
        let mut starting = Box::pin(run_start(self.report.clone(), child.slot, spec, cause));
        match starting.as_mut().now_or_never() {
            Some(outcome) => self.restart_done(key, incarnation, outcome, ctx),
            None => {
                self.starts_in_progress += 1;
                let starting = self.run_cancellable(ticket, &incarnation, starting);
                self.run_in_background(starting.map(move |outcome| Completion::Restarted {
                    pid,
                    ticket,
                    incarnation,
                    outcome,
                }));
                Ok(())
            }
        }
    }

    /// Handles the outcome of a restart. If the ticket is stale, the restart was cancelled.
    pub(super) fn restart_done(
        &mut self,
        (pid, ticket): (Pid, u64),
        incarnation: Child,
        outcome: StartOutcome,
        ctx: &mut ServerContext<Self>,
    ) -> Result {
        if !self.children.get(&pid).is_some_and(|child| child.has_restart_ticket(ticket)) {
            self.cancelled_restart_done((pid, ticket), incarnation, outcome, ctx);
            return Ok(());
        }
        match outcome {
            Ok(Some(process)) => {
                let Some(child) = self.take(pid) else { return Ok(()) };
                self.report.free_names(ChildSlot { start: child.slot.start - 1, ..child.slot });
                self.add_started(child, process, ctx)
            }
            Ok(None) => {
                self.forget(pid);
                Ok(())
            }
            Err(NotStarted { error, .. }) => self.restart_failed(pid, &error, ctx),
        }
    }
}

/// Runs one start. If the start panics, it has failed.
fn run_start(
    report: Report,
    slot: ChildSlot,
    spec: Arc<Spec>,
    cause: StartCause,
) -> impl Future<Output = StartOutcome> + Send {
    let starting = async move { start(&report, slot, &spec, cause).await };
    AssertUnwindSafe(starting).catch_unwind().map(|started| started.unwrap_or_else(start_panicked))
}

/// Runs a start that never waits; `None` for any other start.
fn run_start_at_once(
    report: &Report,
    slot: ChildSlot,
    spec: &Arc<Spec>,
    cause: &StartCause,
) -> Option<StartOutcome> {
    let starting = AssertUnwindSafe(|| start_at_once(report, slot, spec, cause));
    catch_unwind(starting).unwrap_or_else(|payload| Some(start_panicked(payload)))
}

fn start_panicked(payload: Box<dyn Any + Send>) -> StartOutcome {
    let error = StartError::Failed(ExitReason::Crashed(Crash::from_panic(payload)));
    Err(NotStarted { error, name_taken: false })
}
