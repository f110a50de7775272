//! First starts of dynamic children.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::Either;

use crate::base::ignore_panic;
use crate::child::Spec;
use crate::exit::{Crash, ExitReason, Result};
use crate::observe::ChangeKind;
use crate::process::AnyProcess;
use crate::restart::History;
use crate::runtime::{StartCause, StartError};
use crate::server::ServerContext;
use crate::supervisor::dynamic::{
    Child, Completion, DynamicServer, HalfStarted, PidReply, Requester,
};
use crate::supervisor::{
    AutoShutdown, Begun, Decision, NewIncarnation, NotStarted, Report, StartOutcome, check_child,
    start, start_at_once,
};

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
            Some(most) if !self.has_room(most) => Err(StartError::MaxChildren(most)),
            _ => Ok(()),
        }
    }

    /// Whether the supervisor has fewer children than this maximum.
    pub(super) fn has_room(&self, most: usize) -> bool {
        self.children.len() - self.given_up_count() + self.first_starts < most
    }

    /// Starts a new child, and answers the requester when the start has finished.
    pub(super) fn begin_start(
        &mut self,
        spec: Arc<Spec>,
        requester: Requester,
        ctx: &mut ServerContext<Self>,
    ) -> Result {
        let child = Child::new(spec.clone(), self.next_number());
        let (slot, started) = (child.slot, child.started);
        let (cause, history) = (StartCause::First, History::default());
        let incarnation = NewIncarnation { slot, cause, started, history };
        match self.begin_server(&incarnation, &spec) {
            Some(Begun::Init(guard)) => {
                self.first_starts += 1;
                let half_started = HalfStarted { child, requester, spec, guard };
                self.half_started.insert(half_started.guard.pid(), half_started);
                return Ok(());
            }
            Some(Begun::Refused(outcome)) => {
                // As in `begin`.
                ignore_panic(|| drop(spec));
                return self.start_done(child, requester, outcome, ctx);
            }
            None => {}
        }
        match begin(&self.report, incarnation, spec) {
            Either::Left(outcome) => self.start_done(child, requester, outcome, ctx),
            Either::Right(starting) => {
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
            Err(NotStarted { error, decided: decided @ Some(Decision::EndTree), pid, .. }) => {
                let reason = error.as_reason();
                self.answer_start(requester, Err(error));
                self.follow(decided, &child.id, pid, reason)
            }
            Err(NotStarted { error, name_taken, pid, .. }) => {
                drop(self.report.source.child(&child.id, pid, || ChangeKind::StartFailed {
                    reason: error.as_reason(),
                }));
                self.report.free_names(slot);
                match requester {
                    // Another process has registered the name since the lookup. It may have ended.
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
    pub(super) fn add_started(
        &mut self,
        child: Child,
        process: Arc<dyn AnyProcess>,
        ctx: &mut ServerContext<Self>,
    ) -> Result {
        let pid = self.insert(child, process);
        match self.early_exits.remove(&pid) {
            true => self.exit_arrived(pid, ctx),
            false => Ok(()),
        }
    }
}

/// Begins a start: runs a start that never waits, and polls any other start once. Returns the
/// outcome, or the start if it is pending. A start that panics has failed.
pub(super) fn begin(
    report: &Report,
    incarnation: NewIncarnation,
    spec: Arc<Spec>,
) -> Either<StartOutcome, impl Future<Output = StartOutcome> + Send + Unpin + use<>> {
    let at_once = AssertUnwindSafe(|| start_at_once(report, &incarnation, &spec));
    let at_once = catch_unwind(at_once).unwrap_or_else(|payload| Some(start_panicked(payload)));
    if let Some(outcome) = at_once {
        // For a temporary child this may be the last reference to the specification. Its drop also
        // drops the captures of a user's closure, and such a drop may panic.
        ignore_panic(|| drop(spec));
        return Either::Left(outcome);
    }
    let report = report.clone();
    let starting = AssertUnwindSafe(async move { start(&report, incarnation, &spec).await });
    let starting = starting.catch_unwind().map(|outcome| outcome.unwrap_or_else(start_panicked));
    let mut starting = Box::pin(starting);
    match starting.as_mut().now_or_never() {
        Some(outcome) => Either::Left(outcome),
        None => Either::Right(starting),
    }
}

pub(super) fn start_panicked(payload: Box<dyn Any + Send>) -> StartOutcome {
    let error = StartError::Failed(ExitReason::Crashed(Crash::from_panic(payload)));
    Err(NotStarted::without_process(error))
}
