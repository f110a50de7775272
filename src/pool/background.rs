//! Checks and stops workers of a pool in background tasks, so that they do not delay its server.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::time::{sleep, timeout};

use crate::base::{Pid, ignore_panic};
use crate::pool::Checkout;
use crate::pool::table::{Check, Table};
use crate::runtime::CallError;
use crate::server::GenServer;
use crate::supervisor::{ChildError, DynamicSupervisorRef};

/// The time limit of a check of an idle worker.
const CHECK_LIMIT: Duration = Duration::from_secs(5);

/// Checks each idle worker. Returns the workers that pass, and discards the others.
pub(super) async fn check_workers<S: GenServer>(table: Arc<Table<S>>, check: Check<S>) {
    for worker in table.with(|state| state.idle_workers()) {
        let Some(taken) = table.take_exactly(worker) else { continue };
        let checkout = Checkout::new(table.clone(), taken);
        let handle = checkout.clone();
        // The closure may panic, and so may its future.
        let checked = AssertUnwindSafe(async { check(handle).await }).catch_unwind();
        match timeout(CHECK_LIMIT, checked).await {
            Ok(Ok(true)) => drop(checkout),
            Ok(Err(payload)) => {
                checkout.discard();
                ignore_panic(|| drop(payload));
            }
            _ => checkout.discard(),
        }
    }
}

/// Asks the supervisor to stop a worker. Repeats the request while the supervisor does not know the
/// worker, because a worker that has just started may not be listed yet.
pub(super) async fn stop_worker<S: GenServer>(
    table: Arc<Table<S>>,
    workers: DynamicSupervisorRef,
    worker: u64,
    first: Pid,
) {
    while let Err(ChildError::NotFound(_) | ChildError::Unreachable(CallError::Restarting { .. })) =
        workers.terminate_child(first).await
    {
        if !table.with(|state| state.contains(worker)) {
            return;
        }
        sleep(Duration::from_millis(1)).await;
    }
}
