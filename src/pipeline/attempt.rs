//! Decides what a failure of a stage's function ends: its worker, or only the attempt to handle one
//! item.
//!
//! **Guarantee**: a failure costs the item of its worker, and no other item. While the pipeline
//! runs, the worker ends, and the supervisor restarts it. A supervisor that stops restarts no
//! child. So once the stop has begun, the worker does not end: it goes on with the next item, as
//! its successor would.
//!
//! **The stop begins after a worker has ended and before its restart**: the worker is not
//! restarted. If no other worker takes its items, the items that are queued for it are lost, and
//! are counted when the pipeline ends.

use std::panic::{AssertUnwindSafe, resume_unwind};

use futures_util::FutureExt;

use crate::base::ignore_panic;
use crate::exit::{Crash, ExitReason, Result};
use crate::pipeline::inlet::Inlet;

/// What a worker does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    Item,
    /// The worker cannot pass on its results, and ends.
    End,
}

/// Handles one item. The future owns the item, so a failure has dropped it when this returns.
pub(super) async fn attempt<T>(
    own: &Inlet<T>,
    handling: impl Future<Output = Result<Next>>,
) -> Result<Next> {
    let reason = match AssertUnwindSafe(handling).catch_unwind().await {
        Ok(Ok(next)) => return Ok(next),
        Ok(Err(reason)) if !own.drain.has_begun() => return Err(reason),
        Ok(Err(reason)) => reason,
        Err(payload) if !own.drain.has_begun() => resume_unwind(payload),
        Err(payload) => ExitReason::Crashed(Crash::from_panic(payload)),
    };
    let stage = &*own.counter.stage;
    ignore_panic(|| {
        tracing::warn!(
            target: "regrow::pipeline",
            stage,
            %reason,
            "an item failed while the pipeline stops; the worker goes on"
        );
    });
    ignore_panic(|| drop(reason));
    Ok(Next::Item)
}
