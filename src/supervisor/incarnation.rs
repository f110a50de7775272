//! Starts one incarnation of a child.
//!
//! **Guarantee.** If a start returns a process, that process is ready. If a start returns no
//! process, no process of this start runs.
//!
//! **Steps** of [`start`]
//!
//! 1. Call the start function. A function that never waits registers and runs the process
//!    ([`Start::AtOnce`]). Any other function is called by an
//!    [attempt](crate::supervisor::start_attempt), within the child's `init_timeout`.
//! 2. If the child has a `ready_within`, wait until the child reports that it serves. If the child
//!    ends before that, the start fails. If the time is over, the child is stopped and the start
//!    fails.
//! 3. If the child must report heartbeats, start their [watch](heartbeat_watch).
//! 4. Return the outcome: the process, `None` if the child chose not to run, or an error, which is
//!    reported.
//!
//! The child is linked to its supervisor before its init runs. So a kill of the supervisor during
//! the start ends the child. The kill also drops the future of the start, and that drop kills all
//! processes that the start context lists.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{Either, select};
use tokio::time::{Instant, timeout};

use crate::base::Pid;
use crate::base::failpoint::step;
use crate::child::start::Start;
use crate::child::started_processes::StartedProcesses;
use crate::child::{ChildType, Spec, StartContext, Started};
use crate::exit::Result;
use crate::kernel::Until;
use crate::process::{AnyProcess, ChildFacts, ChildSlot, ChildStop};
use crate::restart::History;
use crate::runtime::{Ended, Runtime, StartCause, StartError};
use crate::supervisor::heartbeat_watch;
use crate::supervisor::start_attempt::run_start;
use crate::supervisor::{Decision, Report, StopRequest, own_decision, stop, wait_until};

/// The outcome of a start: the process, `None` if the child chose not to run, or the failure.
pub(crate) type StartOutcome = Result<Option<Arc<dyn AnyProcess>>, NotStarted>;

/// The incarnation that a start begins.
#[derive(Debug, Clone)]
pub(crate) struct NewIncarnation {
    pub(crate) slot: ChildSlot,
    pub(crate) cause: StartCause,
    /// When the start began.
    pub(crate) started: Instant,
    /// The incarnations that have ended before this one.
    pub(crate) history: History,
}

/// A start that failed.
#[derive(Debug)]
pub(crate) struct NotStarted {
    pub(crate) error: StartError,
    /// Whether the child's name could not be registered, because another process held the name or
    /// it was reserved for another child.
    pub(crate) name_taken: bool,
    /// The process that failed, if the start had made one.
    pub(crate) pid: Option<Pid>,
    /// The decision of that process about its restart. The
    /// [policy](crate::supervisor::decision_after) of the child is not part of it.
    pub(crate) decided: Option<Decision>,
}

impl NotStarted {
    /// Returns a failure that is not the end of a process of the start.
    pub(crate) fn without_process(error: StartError) -> Self {
        NotStarted { error, name_taken: false, pid: None, decided: None }
    }
}

/// Starts one incarnation. A child that chooses not to run is not a failure.
pub(crate) async fn start(
    report: &Report,
    incarnation: NewIncarnation,
    spec: &Arc<Spec>,
) -> StartOutcome {
    step!("before a start");
    let mut ctx = context(report, incarnation, spec);
    let started = match &*spec.start {
        Start::AtOnce(start) => {
            // Such a start only registers and runs the child. So if an error says that a name is
            // taken, it is the name of the child.
            ctx.name_taken = spec.key.is_none();
            start(&ctx)
        }
        start => run_start(report, spec, &mut ctx, start).await,
    };
    step!("after a start");
    let pid = started.as_ref().ok().map(Started::pid).or(ctx.last_admitted);
    let started = match (started, spec.ready_within) {
        (Ok(started), Some(limit)) => until_ready(report, spec, started, limit).await,
        (started, _) => started,
    };
    let name_taken = ctx.name_taken;
    ctx.finish();
    outcome_of(report, spec, started.map(|started| started.process), (name_taken, pid))
}

/// [Starts](start) a child if its start never waits. For any other child this does nothing and
/// returns `None`.
pub(crate) fn start_at_once(
    report: &Report,
    incarnation: &NewIncarnation,
    spec: &Arc<Spec>,
) -> Option<StartOutcome> {
    let Start::AtOnce(start) = &*spec.start else { return None };
    if spec.kind == ChildType::Supervisor || spec.ready_within.is_some() {
        return None;
    }
    let started = start(&context(report, incarnation.clone(), spec));
    let started = started.map(|started| started.process);
    Some(outcome_of(report, spec, started, (spec.key.is_none(), None)))
}

/// Returns whether the error says that another process holds the name, or that the name is reserved
/// for another child.
pub(super) fn is_name_taken(error: &StartError) -> bool {
    matches!(error, StartError::AlreadyStarted { .. } | StartError::NameReserved { .. })
}

pub(super) fn context(
    report: &Report,
    incarnation: NewIncarnation,
    spec: &Arc<Spec>,
) -> StartContext {
    let NewIncarnation { slot, cause, started, history } = incarnation;
    StartContext {
        runtime: report.runtime.clone(),
        supervisor: report.supervisor,
        slot,
        spec: spec.clone(),
        cause,
        facts: ChildFacts {
            above: report.source.path().clone(),
            id: spec.id.clone(),
            started,
            own_rules: spec.own_rules.clone(),
            history,
        },
        started_processes: StartedProcesses::default(),
        name_taken: false,
        last_admitted: None,
        waits: report.is_sequential().then(Vec::new),
    }
}

pub(crate) fn outcome_of(
    report: &Report,
    spec: &Spec,
    started: Result<Arc<dyn AnyProcess>, StartError>,
    (name_taken, pid): (bool, Option<Pid>),
) -> StartOutcome {
    match started {
        Ok(process) => {
            heartbeat_watch::watch(&report.runtime, spec, &process);
            Ok(Some(process))
        }
        Err(StartError::Ignored) => Ok(None),
        Err(error) => {
            report.start_failed(&spec.id, &error);
            let name_taken = name_taken && is_name_taken(&error);
            let own = match (&error, pid) {
                (StartError::Failed(reason), Some(pid)) => own_decision(report, pid, reason),
                _ => None,
            };
            Err(NotStarted { error, name_taken, pid, decided: own.map(Decision::from) })
        }
    }
}

/// Waits until the child reports that it serves. Returns an error if the child ends before that.
/// Stops the child and returns an error if the child takes longer than `limit`.
async fn until_ready(
    report: &Report,
    spec: &Spec,
    started: Started,
    limit: Duration,
) -> Result<Started, StartError> {
    let runtime = &report.runtime;
    let ended = Ended::of(&runtime.kernel, Some(started.process.clone()));
    let process = started.process.clone();
    let _waits = report.register_wait_if_sequential(process.pid(), Until::Ready);
    let serving = pin!(wait_until_serving(runtime, &*process, spec.kind));
    match timeout(limit, select(ended, serving)).await {
        Ok(Either::Right(_)) => {
            // The start has succeeded. From here on, the restart type decides what follows an end
            // of the child.
            report.note_stop(&*started.process, ChildStop::No);
            Ok(started)
        }
        Ok(Either::Left((reason, _))) => {
            // The supervisor receives no exit of this child, because the error of the start reports
            // the end.
            runtime.kernel.give_up_start(report.supervisor, started.process.pid());
            Err(StartError::Failed(reason))
        }
        Err(_) => {
            report.note_stop(&*started.process, ChildStop::StartFailed);
            stop(report, StopRequest::of(spec, &started.process), Instant::now()).await;
            Err(StartError::NotReady(limit))
        }
    }
}

/// Waits until the health that this process reports is serving. A supervisor that reports no health
/// is serving as soon as it has started, because its start waits until its children are ready.
async fn wait_until_serving(runtime: &Runtime, process: &dyn AnyProcess, kind: ChildType) {
    let serves = || {
        let health = process.with(|locked| locked.core().reported_health());
        health.map_or(kind == ChildType::Supervisor, |health| health.is_serving())
    };
    wait_until(&runtime.kernel.health_changes, serves).await;
}
