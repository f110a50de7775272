//! An item that a worker has taken and not finished.
//!
//! **Guarantee**: exactly one of these happens to each item that was taken, also if its worker
//! panics, fails or is killed: the item is finished, or it is lost and counted, or it is put back.
//! The drop of the guard loses or puts back an item that is not finished.
//!
//! **The worker ends**
//!
//! | while | the item |
//! |---|---|
//! | the item is taken, and its function was not called | is put back |
//! | the function runs, or its result waits for demand | is lost; with redelivery it is put back, once |
//! | a part of the result was passed on | as above: with redelivery that part is passed on again |
//! | the item is finished | is the next stage's |

use std::sync::Arc;

use tokio::sync::OwnedSemaphorePermit;
use tokio_util::sync::CancellationToken;

use crate::base::ignore_panic;
use crate::pipeline::inlet::{Entry, Inlet};

/// An item that was taken.
pub(super) struct Held<T> {
    inlet: Arc<Inlet<T>>,
    lane: usize,
    /// The number of items that were taken from the lane before.
    pub(super) number: u64,
    /// The item before its function receives it, afterwards its copy for the redelivery.
    item: Option<T>,
    /// `None` once the item is finished.
    demand: Option<OwnedSemaphorePermit>,
    redelivered: bool,
    opened: bool,
}

impl<T> Held<T> {
    /// Takes the next item of a lane, as [`Inlet::next`] says.
    ///
    /// Cancel safe: an item is taken in the poll that returns it.
    pub(super) async fn take(
        inlet: &Arc<Inlet<T>>,
        lane: usize,
        stop: &CancellationToken,
    ) -> Option<Self> {
        let (number, Entry { item, demand, redelivered }) = inlet.next(lane, stop).await?;
        let (inlet, item, demand) = (inlet.clone(), Some(item), Some(demand));
        Some(Held { inlet, lane, number, item, demand, redelivered, opened: false })
    }

    /// Takes out the item for its function, and keeps a copy if the stage redelivers and has not
    /// redelivered this item.
    pub(super) fn open(&mut self) -> T {
        let item = self.item.take().expect("a held item is opened once");
        self.opened = true;
        match self.inlet.copy {
            Some(copy) if !self.redelivered => {
                let kept = copy(&item);
                self.item = Some(kept);
            }
            Some(_) => self.inlet.counter.redelivered(),
            None => {}
        }
        item
    }

    /// Takes out the item, to pass it on as it is.
    pub(super) fn take_whole(&mut self) -> T {
        self.opened = true;
        self.item.take().expect("a held item is passed on once")
    }

    /// Waits until the items that were taken before have ended, if the stage keeps their order.
    pub(super) fn turn(&self) -> impl Future<Output = ()> + '_ {
        let turn = self.inlet.turns.as_ref().map(|turns| turns.wait(self.number));
        async move {
            if let Some(turn) = turn {
                turn.await;
            }
        }
    }

    /// Notes that what the stage made of the item is passed on.
    pub(super) fn finish(mut self) {
        self.inlet.counter.finished();
        let (copy, demand) = (self.item.take(), self.demand.take());
        drop(demand);
        ignore_panic(|| drop(copy));
    }
}

impl<T> Drop for Held<T> {
    fn drop(&mut self) {
        if let Some(turns) = &self.inlet.turns {
            turns.end(self.number);
        }
        let Some(demand) = self.demand.take() else { return };
        match self.item.take() {
            Some(item) => {
                let redelivered = self.redelivered || self.opened;
                self.inlet.put_back(self.lane, Entry { item, demand, redelivered });
            }
            None => {
                self.inlet.counter.lost(1);
                drop(demand);
            }
        }
    }
}
