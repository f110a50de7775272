//! One call of a child's start function, and the end of every other process that the call started.
//!
//! **Guarantee.** When the attempt has succeeded, the child is the only process of it that runs;
//! when it has failed, none runs.
//!
//! **Steps**
//!
//! 1. Run the start function, within the child's `init_timeout`. Each process that it starts is put
//!    into the start context.
//! 2. If it returned a process of this very start, that is the child. Anything else is a failure.
//! 3. Stop all processes of the start but the child, the last one first, each to its very end. A
//!    process that runs is stopped as the child's specification says. A process that is ending
//!    already, because it ended by itself or because the dropped start of a server killed it, is
//!    only waited for.
//!
//! **Invariants**
//!
//! 1. Each process that the function starts is in the process table, linked to the supervisor, and
//!    listed in the start context, before anything is awaited.
//! 2. When the attempt returns an error or panics, all of these have ended: their names are free,
//!    and the supervisor receives no exit of theirs. When it succeeds, that holds for all but the
//!    child.
//! 3. An attempt that is dropped kills all of them. If the supervisor goes on, it finds them by
//!    their links, and waits for them; if it ends, they are waited for as its
//!    [orphans](crate::supervisor::orphans).

use std::panic::{AssertUnwindSafe, resume_unwind};
use std::pin::pin;
use std::sync::Arc;

use futures_util::FutureExt;
use tokio::time::Instant;

use crate::base::pid::Pid;
use crate::base::sync::atomic::Ordering;
use crate::child::{Spec, StartChild, StartContext, Started};
use crate::exit::crash::{CaughtPanic, Crash};
use crate::exit::reason::Result;
use crate::process::{AnyProcess, ChildStop, flag};
use crate::runtime::deadline::within;
use crate::runtime::errors::start_error::StartError;
use crate::supervisor::report::Report;
use crate::supervisor::stop::{StopRequest, stop};

/// Runs the start function within its time.
pub(crate) async fn run_start(
    report: &Report,
    spec: &Spec,
    ctx: &mut StartContext,
    start: &dyn StartChild,
) -> Result<Started, StartError> {
    let called = {
        let called = pin!(AssertUnwindSafe(async { start.start(ctx).await }).catch_unwind());
        match spec.init_timeout {
            None => called.await,
            Some(limit) => within(&report.runtime.kernel, limit, called)
                .await
                .unwrap_or(Ok(Err(StartError::InitTimeout(limit)))),
        }
        // Invariant 2: an unfinished start function is dropped here, so it starts nothing while the
        // processes that it started are stopped.
    };
    match called {
        Ok(Ok(started)) if started.start_id == ctx.start_id() => {
            stop_all_but(report, spec, ctx, Some(started.pid())).await;
            Ok(started)
        }
        Ok(result) => {
            stop_all_but(report, spec, ctx, None).await;
            Err(result.err().unwrap_or_else(|| not_of_this_start(spec)))
        }
        Err(payload) => {
            // Made before the await below: after an await the task may run on another thread, and
            // the details of the panic belong to this one.
            let crash = Crash::from_panic(payload);
            stop_all_but(report, spec, ctx, None).await;
            resume_unwind(Box::new(CaughtPanic(crash)))
        }
    }
}

fn not_of_this_start(spec: &Spec) -> StartError {
    StartError::Invalid(format!(
        "the start of child {:?} returned a process that it did not start: return the `Started` \
         that the `StartContext` of the same call gave",
        spec.id
    ))
}

/// Stops all processes of the start but `kept`, the last one first. Each stays listed until it has
/// ended, so it is killed if this future is dropped (invariant 3).
async fn stop_all_but(report: &Report, spec: &Spec, ctx: &mut StartContext, kept: Option<Pid>) {
    let how = if kept.is_some() { ChildStop::ForGood } else { ChildStop::Starting };
    while let Some(process) = ctx.started_processes.last_except(kept) {
        report.note_stop(&*process, how);
        if process.flags().load(Ordering::Acquire) & flag::EXIT_PENDING == 0 {
            if kept.is_some() {
                report.extra_process(&spec.id, process.pid());
            }
            stop(report, StopRequest::of(spec, &process), Instant::now()).await;
        } else {
            await_end_of(report, spec, &process).await;
        }
        ctx.started_processes.remove(process.pid());
    }
}

/// Waits for the end of a process that is ending already. The supervisor doesn't receive its exit;
/// one that is in the mailbox is taken out.
async fn await_end_of(report: &Report, spec: &Spec, process: &Arc<dyn AnyProcess>) {
    report.runtime.kernel.give_up_start(report.supervisor, process.pid());
    StopRequest::of(spec, process).await_killed(report).await;
}
