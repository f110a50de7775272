//! Calls a child's start function once, and ends every process that the call started except the
//! child.
//!
//! **Guarantee.** When the attempt has succeeded, the child is the only process of the attempt that
//! runs. When the attempt has failed, no process of the attempt runs.
//!
//! **Steps**
//!
//! 1. Run the start function, within the child's `init_timeout`. Each process that the function
//!    starts is listed in the start context.
//! 2. If the function returned a process of this start, that process is the child. Otherwise the
//!    attempt has failed.
//! 3. Stop all processes of the start except the child, the last one first. The next process is
//!    stopped when the one before has ended. A process that runs is stopped as the child's
//!    specification says. For a process that is ending already, this step only waits for the end.
//!    Such a process ends by itself, or was killed by the drop of an unfinished server start.
//!
//! **Invariants**
//!
//! 1. Each process that the function starts is in the process table, linked to the supervisor, and
//!    listed in the start context, before anything is awaited.
//! 2. When the attempt returns an error or panics, all its processes have ended: their names are
//!    free, and the supervisor receives no exit of them. When the attempt succeeds, this holds for
//!    all its processes except the child.
//! 3. An attempt that is dropped kills all its processes. If the supervisor continues, it finds
//!    these processes by their links and waits for them. If the supervisor ends, these processes
//!    are its [orphans](crate::supervisor::orphans), and the supervisor above waits for them.

use std::panic::{AssertUnwindSafe, resume_unwind};
use std::pin::pin;

use futures_util::FutureExt;
use tokio::time::Instant;

use crate::base::Pid;
use crate::base::sync::atomic::Ordering;
use crate::child::start::Start;
use crate::child::{Spec, StartContext, Started};
use crate::exit::crash::CaughtPanic;
use crate::exit::{Crash, Result};
use crate::process::{ChildStop, flag};
use crate::runtime::{StartError, within};
use crate::supervisor::{Report, StopRequest, await_killed, stop};

/// Runs the start function within the child's `init_timeout`, then stops the other processes of the
/// start.
pub(crate) async fn run_start(
    report: &Report,
    spec: &Spec,
    ctx: &mut StartContext,
    start: &Start,
) -> Result<Started, StartError> {
    let called = {
        let called = pin!(AssertUnwindSafe(start.call(ctx, report.acks.as_ref())).catch_unwind());
        match spec.init_timeout {
            None => called.await,
            Some(limit) => within(&report.runtime.kernel, limit, called)
                .await
                .unwrap_or(Ok(Err(StartError::InitTimeout(limit)))),
        }
        // Invariant 2: an unfinished start function is dropped here, so it starts no further
        // process while its processes are stopped.
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
            // The crash is made before the await below. The details of the panic are thread-local,
            // and after an await the task may run on another thread.
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

/// Stops all processes of the start except `kept`, the last one first. Each process stays listed
/// until it has ended, so that it is killed if this future is dropped (invariant 3).
async fn stop_all_but(report: &Report, spec: &Spec, ctx: &mut StartContext, kept: Option<Pid>) {
    let how = if kept.is_some() { ChildStop::ForGood } else { ChildStop::StartFailed };
    while let Some(process) = ctx.started_processes.last_except(kept) {
        let pid = process.pid();
        report.note_stop(&*process, how);
        if process.flags().load(Ordering::Acquire) & flag::EXIT_PENDING == 0 {
            if kept.is_some() {
                report.extra_process(&spec.id, pid);
            }
            stop(report, StopRequest::of(spec, &process), Instant::now()).await;
        } else {
            // The supervisor must not receive the exit of a process that is ending already. An exit
            // that is in the mailbox is removed.
            report.runtime.kernel.give_up_start(report.supervisor, pid);
            await_killed(report, &spec.id, &process).await;
        }
        ctx.started_processes.remove(pid);
    }
}
