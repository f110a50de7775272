//! One call of a child's start function, and what is left of it.
//!
//! 1. Each process that the function starts is in the tables, linked to the supervisor, and
//!    listed in the start context, before anything is awaited.
//! 2. When the attempt has failed, or panics, all of them have ended: their names are free, and
//!    no exit of theirs comes to the supervisor. When it has succeeded, that is true of all but
//!    the child.
//! 3. An attempt that is dropped kills all of them. A supervisor that goes on finds them by their
//!    links, and waits for them; one that ends leaves them to whoever waits for its children.
//!
//! How each is stopped: one that runs, as the child's specification says; one that is ending
//! already, because it ended by itself, or because the dropped start of a server killed it, is
//! only waited for.

use std::panic::{AssertUnwindSafe, resume_unwind};
use std::pin::pin;
use std::sync::Arc;

use futures_util::FutureExt;
use tokio::time::Instant;

use crate::base::pid::Pid;
use crate::base::sync::atomic::Ordering;
use crate::child::{Spec, StartChild, StartContext, Started};
use crate::exit::crash::{Caught, Crash};
use crate::exit::reason::Result;
use crate::process::{AnyProcess, ChildStop, flag};
use crate::runtime::deadline::within;
use crate::runtime::errors::call_error::StartError;
use crate::supervisor::report::Report;
use crate::supervisor::stop::{StopRequest, stop};

/// Runs the start function within its time.
pub(crate) async fn attempt(
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
        // What isn't done by now is dropped here, before anything is waited for.
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
            // Taken here, where the panic was caught: a wait may go on elsewhere.
            let crash = Crash::from_panic(payload);
            stop_all_but(report, spec, ctx, None).await;
            resume_unwind(Box::new(Caught(crash)))
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

/// Stops what the start began, the last first, each to its very end. Each stays listed until
/// then: if this is dropped, it is killed.
async fn stop_all_but(report: &Report, spec: &Spec, ctx: &mut StartContext, kept: Option<Pid>) {
    let how = if kept.is_some() { ChildStop::ForGood } else { ChildStop::Starting };
    while let Some(process) = ctx.started_processes.last_except(kept) {
        report.stops(&*process, how);
        if process.flags().load(Ordering::Acquire) & flag::EXIT_PENDING == 0 {
            if kept.is_some() {
                report.surplus(&spec.id, process.pid());
            }
            stop(report, StopRequest::of(spec, &process), Instant::now()).await;
        } else {
            over(report, spec, &process).await;
        }
        ctx.started_processes.remove(process.pid());
    }
}

/// Waits for the end of one that is ending. Its exit does not come, or is taken back.
async fn over(report: &Report, spec: &Spec, process: &Arc<dyn AnyProcess>) {
    report.runtime.kernel.give_up_start(report.supervisor, process.pid());
    StopRequest::of(spec, process).killed(report).await;
}
