//! The workers of stages: each takes items, runs the stage's function, and passes the results on.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;

use crate::child::TaskContext;
use crate::exit::Result;
use crate::pipeline::held::Held;
use crate::pipeline::inlet::Inlet;

/// Runs a worker of a stage that passes on what its function returns for each item.
pub(super) async fn run_stage<T, U, Fut, Outs>(
    mut ctx: TaskContext,
    (own, lane): (Arc<Inlet<T>>, usize),
    next: Arc<Inlet<U>>,
    each: impl Fn(T) -> Fut,
) -> Result
where
    Fut: Future<Output = Result<Outs>>,
    Outs: IntoIterator<Item = U>,
{
    let stop = ctx.cancellation_token();
    let (_reads, writes) = (own.reader(), next.writer());
    while let Some(mut held) = Held::take(&own, lane, &stop).await {
        let results = each(held.open()).await?;
        held.turn().await;
        for result in results {
            let Some(demand) = next.reserve(&stop).await else { return Ok(()) };
            next.push(result, demand);
        }
        held.finish();
    }
    if !stop.is_cancelled() {
        writes.finish();
    }
    Ok(())
}

/// Runs a worker of the last stage.
pub(super) async fn run_consumer<T, Fut>(
    mut ctx: TaskContext,
    (own, lane): (Arc<Inlet<T>>, usize),
    each: impl Fn(T) -> Fut,
) -> Result
where
    Fut: Future<Output = Result>,
{
    let stop = ctx.cancellation_token();
    let _reads = own.reader();
    while let Some(mut held) = Held::take(&own, lane, &stop).await {
        each(held.open()).await?;
        held.finish();
    }
    Ok(())
}

/// Runs the only worker of a stage that collects items into batches.
pub(super) async fn run_batches<T>(
    mut ctx: TaskContext,
    own: Arc<Inlet<T>>,
    next: Arc<Inlet<Vec<T>>>,
    (size, within): (usize, Duration),
) -> Result {
    let stop = ctx.cancellation_token();
    let (_reads, writes) = (own.reader(), next.writer());
    while let Some(first) = Held::take(&own, 0, &stop).await {
        let batch = collect(first, &own, &stop, (size, within)).await;
        let Some(demand) = next.reserve(&stop).await else { return Ok(()) };
        let (mut items, mut opened) = (Vec::with_capacity(batch.len()), batch);
        items.extend(opened.iter_mut().map(Held::take_whole));
        next.push(items, demand);
        opened.into_iter().for_each(Held::finish);
    }
    if !stop.is_cancelled() {
        writes.finish();
    }
    Ok(())
}

/// Collects a batch: until it has its size, its time is over, or no further item will come.
async fn collect<T>(
    first: Held<T>,
    own: &Arc<Inlet<T>>,
    stop: &CancellationToken,
    (size, within): (usize, Duration),
) -> Vec<Held<T>> {
    let mut batch = vec![first];
    let due = Instant::now().checked_add(within);
    while batch.len() < size {
        let next = Held::take(own, 0, stop);
        let next = match due {
            Some(due) => timeout_at(due, next).await,
            None => Ok(next.await),
        };
        let Ok(Some(held)) = next else { break };
        batch.push(held);
    }
    batch
}
