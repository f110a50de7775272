//! One incarnation of a child: its start, and what its end leads to.

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
use crate::runtime::errors::call_error::StartError;
use crate::runtime::starting::StartCause;
use crate::supervisor::report::Report;
use crate::supervisor::start_attempt::attempt;
use crate::supervisor::stop::{StopRequest, stop};

/// What a start comes to.
pub(crate) type StartOutcome = Result<Option<Arc<dyn AnyProcess>>, NotStarted>;

/// A start that failed.
#[derive(Debug)]
pub(crate) struct NotStarted {
    pub(crate) error: StartError,
    /// Another process held the child's name, or it was reserved for another child, when the start
    /// came to register it.
    pub(crate) name_taken: bool,
}

/// What to do about a child that ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Decision {
    Restart,
    /// It stays known, not running.
    Keep,
    Forget,
}

/// The restart type's table, as a pure function.
pub(crate) fn decide(restart: Restart, reason: &ExitReason) -> Decision {
    match restart {
        restart if restart.restarts_after(reason) => Decision::Restart,
        Restart::Temporary => Decision::Forget,
        Restart::Permanent | Restart::Transient => Decision::Keep,
    }
}

/// Starts one incarnation, linked to the supervisor from before its init on. A child that
/// ignores its start runs not, and is no failure.
///
/// A supervisor that is killed meanwhile drops this at its await, and with it kills what the
/// start has begun.
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
            ctx.name_taken = is_name_taken(&started);
            started
        }
        Start::Awaited(start) => attempt(report, spec, &mut ctx, &**start).await,
    };
    step!("after a start");
    let started = match (started, spec.ready_within) {
        (Ok(started), Some(limit)) => ready(report, spec, started, limit).await,
        (started, _) => started,
    };
    let name_taken = ctx.name_taken;
    ctx.finish();
    come_to(report, spec, started, name_taken)
}

/// The same for a child whose start never waits; `None` for any other, of which nothing was
/// done.
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
    let name_taken = is_name_taken(&started);
    Some(come_to(report, spec, started, name_taken))
}

/// Of a start that does nothing but register and run.
fn is_name_taken(started: &Result<Started, StartError>) -> bool {
    started.as_ref().is_err_and(has_no_name)
}

/// Whether another has the name, or is to have it.
fn has_no_name(error: &StartError) -> bool {
    matches!(error, StartError::AlreadyStarted { .. } | StartError::NameReserved { .. })
}

fn context(report: &Report, slot: ChildSlot, spec: &Arc<Spec>, cause: StartCause) -> StartContext {
    let (runtime, supervisor) = (report.runtime.clone(), report.supervisor);
    let started_processes = StartedProcesses::default();
    let waits = report.one_at_a_time.then(Vec::new);
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

fn come_to(
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
            let name_taken = name_taken && has_no_name(&error);
            Err(NotStarted { error, name_taken })
        }
    }
}

/// Waits until the child has said that it serves. One that ends before has failed; one that
/// takes too long is stopped.
async fn ready(
    report: &Report,
    spec: &Spec,
    started: Started,
    limit: Duration,
) -> Result<Started, StartError> {
    let runtime = &report.runtime;
    let ended = Ended::of(runtime, Some(started.process.clone()));
    let process = started.process.clone();
    let _waits = report.waits_in_turn_for(process.pid(), Until::Ready);
    let current_server = pin!(current_server(runtime, &*process, spec.kind));
    match timeout(limit, select(ended, current_server)).await {
        Ok(Either::Right(_)) => {
            // From here on its restart type decides.
            report.stops(&*started.process, ChildStop::No);
            Ok(started)
        }
        Ok(Either::Left((reason, _))) => {
            // Its exit does not come, or is taken back: the failed start says it all.
            runtime.kernel.give_up_start(report.supervisor, started.process.pid());
            Err(StartError::Failed(reason))
        }
        Err(_) => {
            stop(report, StopRequest::of(spec, &started.process), Instant::now()).await;
            Err(StartError::NotReady(limit))
        }
    }
}

/// A supervisor that says nothing serves as soon as it has started: its children have, each in
/// the time that it had to be ready.
async fn current_server(runtime: &Runtime, process: &dyn AnyProcess, kind: ChildType) {
    loop {
        let said = runtime.kernel.health_changes.notified();
        let mut said = pin!(said);
        // From here on nothing that is said is missed.
        said.as_mut().enable();
        let health = process.with(|locked| locked.core().said_health());
        let says_nothing = kind == ChildType::Supervisor;
        if health.map_or(says_nothing, |health| health.is_serving()) {
            return;
        }
        said.await;
    }
}

#[cfg(test)]
mod tests {
    use super::{Decision, decide};
    use crate::child::Restart;
    use crate::exit::reason::ExitReason;

    #[test]
    fn the_restart_type_decides() {
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
