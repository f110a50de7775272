//! The items of a batch that is not passed on yet.
//!
//! **Guarantee**: a batch that is dropped leaves its items in their order, before all others. Each
//! item is put back at the head of the queue, so the last one is put back first.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;

use crate::pipeline::held::Held;
use crate::pipeline::inlet::Inlet;

pub(super) struct Batch<T>(Vec<Held<T>>);

impl<T> Batch<T> {
    /// Collects a batch: until it has its size, its time is over, or no further item will come.
    ///
    /// Cancel safe: the items that were collected are put back.
    pub(super) async fn collect(
        first: Held<T>,
        own: &Arc<Inlet<T>>,
        stop: &CancellationToken,
        (size, within): (usize, Duration),
    ) -> Self {
        let mut batch = Batch(vec![first]);
        let due = Instant::now().checked_add(within);
        while batch.0.len() < size {
            let next = Held::take(own, 0, stop);
            let next = match due {
                Some(due) => timeout_at(due, next).await,
                None => Ok(next.await),
            };
            let Ok(Some(held)) = next else { break };
            batch.0.push(held);
        }
        batch
    }

    /// Passes on the items by `pass_on`, and notes that they are finished.
    pub(super) fn finish(mut self, pass_on: impl FnOnce(Vec<T>)) {
        let mut items = Vec::with_capacity(self.0.len());
        items.extend(self.0.iter_mut().map(Held::take_whole));
        pass_on(items);
        std::mem::take(&mut self.0).into_iter().for_each(Held::finish);
    }
}

impl<T> Drop for Batch<T> {
    fn drop(&mut self) {
        while let Some(last) = self.0.pop() {
            drop(last);
        }
    }
}
