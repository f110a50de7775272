//! The producers: a stream, or a function that receives the demand.
//!
//! A producer asks its source only for what the first stage has demanded. It is one process, which is
//! restarted with a new source after a crash of the source.

use std::pin::pin;
use std::sync::Arc;

use futures_util::{Stream, StreamExt};
use tokio::sync::OwnedSemaphorePermit;
use tokio_util::sync::CancellationToken;

use crate::child::TaskContext;
use crate::exit::Result;
use crate::pipeline::inlet::{Inlet, unless};

/// Runs a producer that takes its items from a stream.
pub(super) async fn run_stream<S: Stream>(
    mut ctx: TaskContext,
    next: Arc<Inlet<S::Item>>,
    source: impl FnOnce() -> S,
) -> Result {
    let stop = ctx.cancellation_token();
    let writes = next.writer();
    let mut source = pin!(source());
    while let Some(demand) = reserve(&next, &stop).await {
        let Some(item) = unless(stop.cancelled(), source.next()).await else { break };
        let Some(item) = item else {
            writes.finish();
            break;
        };
        next.push(item, demand);
    }
    Ok(())
}

/// Runs a producer that calls a function with the demand.
pub(super) async fn run_demand<T, Fut>(
    mut ctx: TaskContext,
    next: Arc<Inlet<T>>,
    source: impl Fn(usize) -> Fut,
) -> Result
where
    Fut: Future<Output = Result<Vec<T>>>,
{
    let stop = ctx.cancellation_token();
    let writes = next.writer();
    while let Some(mut demand) = reserve(&next, &stop).await {
        if let Some(more) = next.reserve_more() {
            demand.merge(more);
        }
        let produced = source(demand.num_permits());
        let Some(items) = unless(stop.cancelled(), produced).await else { break };
        let items = items?;
        if items.is_empty() {
            writes.finish();
            break;
        }
        for item in items {
            // What exceeds the demand waits here.
            let share = match demand.split(1) {
                Some(share) => Some(share),
                None => next.reserve(&stop).await,
            };
            let Some(share) = share else { return Ok(()) };
            next.push(item, share);
        }
    }
    Ok(())
}

/// Reserves demand for one item, or returns `None` if the producer was asked to stop.
async fn reserve<T>(next: &Inlet<T>, stop: &CancellationToken) -> Option<OwnedSemaphorePermit> {
    unless(stop.cancelled(), next.reserve(stop)).await.flatten()
}
