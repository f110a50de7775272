//! The start of one incarnation of a child, and the decision that its restart type makes at its
//! end.
//!
//! **Guarantee.** A start that returns a process returns one that is ready; a start that returns
//! none has left no process behind.
//!
//! **Steps** of [`start`]
//!
//! 1. Call the start function. One that never waits registers the process and runs it
//!    ([`Start::AtOnce`]); any other is an [attempt](crate::supervisor::start_attempt) with a time
//!    limit.
//! 2. If the child has a `ready_within`, wait until it says that it serves. If it ends before, the
//!    start failed; if the time is over, it is stopped.
//! 3. Make the outcome of it: a process, none if the child chose not to run, or an error, which is
//!    reported.
//!
//! The child is linked to its supervisor before its init runs. So if the supervisor is killed
//! during the start, the start is dropped at its await, and the processes that it started are
//! killed.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{Either, select};
use tokio::time::{Instant, timeout};

use crate::base::failpoint::step;
use crate::child::start::Start;
use crate::child::started_processes::StartedProcesses;
use crate::child::{ChildType, Restart, Spec, StartContext, Started};
use crate::exit::reason::{ExitReason, Result};
use crate::kernel::wait_graph::Until;
use crate::process::{AnyProcess, ChildSlot, ChildStop};
use crate::runtime::Runtime;
use crate::runtime::ended::Ended;
use crate::runtime::errors::start_error::StartError;
use crate::runtime::starting::StartCause;
use crate::supervisor::report::Report;
use crate::supervisor::start_attempt::run_start;
use crate::supervisor::stop::{StopRequest, stop};

/// The outcome of a start: the process, `None` if the child chose not to run, or the failure.
pub(crate) type StartOutcome = Result<Option<Arc<dyn AnyProcess>>, NotStarted>;

/// A start that failed.
#[derive(Debug)]
pub(crate) struct NotStarted {
    pub(crate) error: StartError,
    /// Whether another process held the child's name, or the name was reserved for another child,
    /// when the start was about to register it.
    pub(crate) name_taken: bool,
}

/// What a supervisor does with a child that ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Decision {
    Restart,
    /// The child stays known, stopped.
    Keep,
    Forget,
}

/// Decides by the restart type; a pure function.
pub(crate) fn decide(restart: Restart, reason: &ExitReason) -> Decision {
    match restart {
        restart if restart.restarts_after(reason) => Decision::Restart,
        Restart::Temporary => Decision::Forget,
        Restart::Permanent | Restart::Transient => Decision::Keep,
    }
}

/// Starts one incarnation. A child that ignores its start is not a failure.
pub(crate) async fn start(
    report: &Report,
    slot: ChildSlot,
    spec: &Arc<Spec>,
    cause: StartCause,
) -> StartOutcome {
    step!("before a start");
    let mut ctx = context(report, slot, spec, cause);
    let started = match &*spec.start {
        Start::AtOnce(start) => {
            let started = start(&ctx);
            ctx.name_taken = failed_by_name(&started);
            started
        }
        Start::Awaited(start) => run_start(report, spec, &mut ctx, &**start).await,
    };
    step!("after a start");
    let started = match (started, spec.ready_within) {
        (Ok(started), Some(limit)) => until_ready(report, spec, started, limit).await,
        (started, _) => started,
    };
    let name_taken = ctx.name_taken;
    ctx.finish();
    outcome_of(report, spec, started, name_taken)
}

/// [Starts](start) a child if its start never waits. For any other child this does nothing and
/// returns `None`.
pub(crate) fn start_at_once(
    report: &Report,
    slot: ChildSlot,
    spec: &Arc<Spec>,
    cause: &StartCause,
) -> Option<StartOutcome> {
    let Start::AtOnce(start) = &*spec.start else { return None };
    if spec.kind == ChildType::Supervisor || spec.ready_within.is_some() {
        return None;
    }
    let started = start(&context(report, slot, spec, cause.clone()));
    let name_taken = failed_by_name(&started);
    Some(outcome_of(report, spec, started, name_taken))
}

/// Whether a start that only registers and runs a process failed because of the name.
fn failed_by_name(started: &Result<Started, StartError>) -> bool {
    started.as_ref().is_err_and(is_name_taken)
}

/// Whether another process holds the name, or it is reserved for one.
fn is_name_taken(error: &StartError) -> bool {
    matches!(error, StartError::AlreadyStarted { .. } | StartError::NameReserved { .. })
}

fn context(report: &Report, slot: ChildSlot, spec: &Arc<Spec>, cause: StartCause) -> StartContext {
    let (runtime, supervisor) = (report.runtime.clone(), report.supervisor);
    let started_processes = StartedProcesses::default();
    let waits = report.sequential.then(Vec::new);
    let spec = spec.clone();
    StartContext {
        runtime,
        supervisor,
        slot,
        spec,
        cause,
        started_processes,
        name_taken: false,
        waits,
    }
}

fn outcome_of(
    report: &Report,
    spec: &Spec,
    started: Result<Started, StartError>,
    name_taken: bool,
) -> StartOutcome {
    match started {
        Ok(started) => Ok(Some(started.process)),
        Err(StartError::Ignored) => Ok(None),
        Err(error) => {
            report.start_failed(&spec.id, &error);
            let name_taken = name_taken && is_name_taken(&error);
            Err(NotStarted { error, name_taken })
        }
    }
}

/// Waits until the child says that it serves. If the child ends before, its start failed; if it
/// takes longer than `limit`, it is stopped.
async fn until_ready(
    report: &Report,
    spec: &Spec,
    started: Started,
    limit: Duration,
) -> Result<Started, StartError> {
    let runtime = &report.runtime;
    let ended = Ended::of(runtime, Some(started.process.clone()));
    let process = started.process.clone();
    let _waits = report.register_wait_if_sequential(process.pid(), Until::Ready);
    let serving = pin!(wait_until_serving(runtime, &*process, spec.kind));
    match timeout(limit, select(ended, serving)).await {
        Ok(Either::Right(_)) => {
            // Its start is over: from here on its restart type decides about an end.
            report.note_stop(&*started.process, ChildStop::No);
            Ok(started)
        }
        Ok(Either::Left((reason, _))) => {
            // The supervisor receives no exit of it: the error of the start is the report.
            runtime.kernel.give_up_start(report.supervisor, started.process.pid());
            Err(StartError::Failed(reason))
        }
        Err(_) => {
            stop(report, StopRequest::of(spec, &started.process), Instant::now()).await;
            Err(StartError::NotReady(limit))
        }
    }
}

/// Waits until this process reports a health that serves. A supervisor that reports none serves as
/// soon as it has started, because its children were ready by then.
async fn wait_until_serving(runtime: &Runtime, process: &dyn AnyProcess, kind: ChildType) {
    loop {
        let changed = runtime.kernel.health_changes.notified();
        let mut changed = pin!(changed);
        // Enabled before the check, so that no report between check and wait is missed.
        changed.as_mut().enable();
        let health = process.with(|locked| locked.core().reported_health());
        let serves_by_default = kind == ChildType::Supervisor;
        if health.map_or(serves_by_default, |health| health.is_serving()) {
            return;
        }
        changed.await;
    }
}

#[cfg(test)]
mod tests {
    use super::{Decision, decide};
    use crate::child::Restart;
    use crate::exit::reason::ExitReason;

    #[test]
    fn the_restart_type_and_the_reason_decide_what_follows_an_end() {
        let clean = [ExitReason::Normal, ExitReason::Shutdown, ExitReason::shutdown_with("x")];
        let not = [ExitReason::Killed, ExitReason::NoProc, ExitReason::crashed("x")];
        for reason in clean.iter().chain(&not) {
            assert_eq!(decide(Restart::Permanent, reason), Decision::Restart);
            assert_eq!(decide(Restart::Temporary, reason), Decision::Forget);
        }
        assert!(clean.iter().all(|r| decide(Restart::Transient, r) == Decision::Keep));
        assert!(not.iter().all(|r| decide(Restart::Transient, r) == Decision::Restart));
    }
}
