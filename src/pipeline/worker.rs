//! The workers of stages: each takes items, runs the stage's function, and passes the results on.
//!
//! Each function returns the future of a worker. The worker counts as a reader of its inlet, and as a
//! writer of the next one, from the call of the function on, before the future is polled.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::exit::Result;
use crate::pipeline::attempt::{Next, attempt};
use crate::pipeline::batch::Batch;
use crate::pipeline::held::Held;
use crate::pipeline::inlet::Inlet;

/// Runs a worker of a stage that passes on what its function returns for each item.
pub(super) fn run_stage<T, U, Fut, Outs>(
    stop: CancellationToken,
    (own, lane): (Arc<Inlet<T>>, usize),
    next: Arc<Inlet<U>>,
    each: impl Fn(T) -> Fut,
) -> impl Future<Output = Result>
where
    Fut: Future<Output = Result<Outs>>,
    Outs: IntoIterator<Item = U>,
{
    let (reads, writes) = (own.reader(), next.writer());
    async move {
        let _reads = reads;
        while let Some(held) = Held::take(&own, lane, &stop).await {
            if attempt(&own, handle(held, &each, &next, &stop)).await? == Next::End {
                return Ok(());
            }
        }
        if !stop.is_cancelled() {
            writes.finish();
        }
        Ok(())
    }
}

/// Handles one item, and passes on the results.
async fn handle<T, U, Fut, Outs>(
    mut held: Held<T>,
    each: &impl Fn(T) -> Fut,
    next: &Arc<Inlet<U>>,
    stop: &CancellationToken,
) -> Result<Next>
where
    Fut: Future<Output = Result<Outs>>,
    Outs: IntoIterator<Item = U>,
{
    let results = each(held.open()).await?;
    held.turn().await;
    for result in results {
        let Some(demand) = next.reserve(stop).await else { return Ok(Next::End) };
        next.push(result, demand);
    }
    held.finish();
    Ok(Next::Item)
}

/// Runs a worker of the last stage.
pub(super) fn run_consumer<T, Fut>(
    stop: CancellationToken,
    (own, lane): (Arc<Inlet<T>>, usize),
    each: impl Fn(T) -> Fut,
) -> impl Future<Output = Result>
where
    Fut: Future<Output = Result>,
{
    let reads = own.reader();
    async move {
        let _reads = reads;
        while let Some(mut held) = Held::take(&own, lane, &stop).await {
            let each = &each;
            let handling = async move {
                each(held.open()).await?;
                held.finish();
                Ok(Next::Item)
            };
            attempt(&own, handling).await?;
        }
        Ok(())
    }
}

/// Runs the only worker of a stage that collects items into batches.
pub(super) fn run_batches<T>(
    stop: CancellationToken,
    own: Arc<Inlet<T>>,
    next: Arc<Inlet<Vec<T>>>,
    (size, within): (usize, Duration),
) -> impl Future<Output = Result> {
    let (reads, writes) = (own.reader(), next.writer());
    async move {
        let _reads = reads;
        while let Some(first) = Held::take(&own, 0, &stop).await {
            let batch = Batch::collect(first, &own, &stop, (size, within)).await;
            let Some(demand) = next.reserve(&stop).await else { return Ok(()) };
            // The function that chooses the lane of a batch may panic.
            let next = &next;
            let passing_on = async move {
                batch.finish(|items| next.push(items, demand));
                Ok(Next::Item)
            };
            attempt(&own, passing_on).await?;
        }
        if !stop.is_cancelled() {
            writes.finish();
        }
        Ok(())
    }
}
