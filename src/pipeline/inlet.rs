//! The input of one stage: the queue between the workers of the stage before, the *writers*, and
//! its own workers, the *readers*.
//!
//! **Guarantees**
//! 1. At most `max_demand` items are queued or held. A writer reserves demand *before* it has an item
//!    to pass on, and the demand returns when a reader has finished or lost the item.
//! 2. An item that was accepted is taken by one reader at a time, in the order of its lane.
//! 3. A crash of a writer or a reader affects no other item: the queue belongs to no process.
//! 4. Items that are left when the pipeline has ended are counted as lost.
//!
//! **Steps** of one item: a writer [reserves](Inlet::reserve) demand, [pushes](Inlet::push) the item;
//! a reader [takes](Inlet::next) it, and [finishes](crate::pipeline::held) it.
//!
//! **The other side ends** between two steps:
//!
//! | | |
//! |---|---|
//! | a reader, while a writer waits for demand | what it held is lost or put back; the next reader goes on |
//! | all readers, and the writer was asked to stop | the writer stops waiting, and its item is lost |
//! | a writer, after it has reserved | the demand returns |
//! | a writer, after its push | nothing: the item is queued |
//! | all writers, after their last item | the readers take what is queued, then end |
//! | all writers, and the readers were asked to stop | the same: so a stop drains from the producer down |
//! | a reader was asked to stop, and a writer runs | the reader ends after the item that it holds. If the pipeline stops, it goes on until no writer runs: the writer [replaces](crate::pipeline::replacements) one that was killed |
//!
//! **Invariants**
//! 1. `ready` has at least one permit for each queued item. A permit without an item is skipped.
//! 2. The lanes are closed once all writers have finished. An item that is put back afterwards
//!    still finds a reader: the reader that put the item back has not ended normally, so it is
//!    restarted. If the pipeline stops, the reader goes on with the queue without a restart, or is
//!    replaced if it was killed.

use std::collections::VecDeque;
use std::pin::pin;
use std::sync::Arc;

use futures_util::future::{Either, select};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio_util::sync::CancellationToken;

use crate::base::user_panics::drop_each;
use crate::base::{PlainMutex, consume_budget};
use crate::pipeline::counts::Counter;
use crate::pipeline::drain::Drain;
use crate::pipeline::turns::Turns;

/// The function that chooses a lane: its result modulo the number of lanes.
pub(super) type LaneOf<T> = Arc<dyn Fn(&T) -> u64 + Send + Sync>;

pub(super) struct Inlet<T> {
    demand: Arc<Semaphore>,
    lanes: Vec<Lane<T>>,
    lane_of: Option<LaneOf<T>>,
    /// `Some` if several readers share a lane and keep its order.
    pub(super) turns: Option<Turns>,
    /// How an item is copied for its redelivery.
    pub(super) copy: Option<fn(&T) -> T>,
    writers: watch::Sender<Writers>,
    /// The number of readers that run.
    readers: watch::Sender<usize>,
    pub(super) counter: Arc<Counter>,
    /// The stop of the pipeline.
    pub(super) drain: Drain,
}

/// A queue of items. All readers share one, or each has its own.
struct Lane<T> {
    queue: PlainMutex<Queue<T>>,
    ready: Semaphore,
}

struct Queue<T> {
    entries: VecDeque<Entry<T>>,
    /// The number of items taken so far.
    taken: u64,
}

#[derive(Debug, Clone, Copy)]
struct Writers {
    running: usize,
    /// The number of writers that may still pass on items, now or after a restart.
    unfinished: usize,
}

/// A queued item, with its share of the demand.
pub(super) struct Entry<T> {
    pub(super) item: T,
    pub(super) demand: OwnedSemaphorePermit,
    pub(super) redelivered: bool,
}

/// What an inlet is made of.
pub(super) struct InletParts<T> {
    pub(super) max_demand: usize,
    pub(super) writers: usize,
    pub(super) lanes: usize,
    pub(super) lane_of: Option<LaneOf<T>>,
    pub(super) in_order: bool,
    pub(super) copy: Option<fn(&T) -> T>,
    pub(super) counter: Arc<Counter>,
    pub(super) drain: Drain,
}

impl<T> Inlet<T> {
    pub(super) fn new(parts: InletParts<T>) -> Arc<Self> {
        let lane = || Lane {
            queue: PlainMutex::new(Queue { entries: VecDeque::new(), taken: 0 }),
            ready: Semaphore::new(0),
        };
        Arc::new(Inlet {
            demand: Arc::new(Semaphore::new(parts.max_demand)),
            lanes: std::iter::repeat_with(lane).take(parts.lanes).collect(),
            lane_of: parts.lane_of,
            turns: parts.in_order.then(Turns::new),
            copy: parts.copy,
            writers: watch::Sender::new(Writers { running: 0, unfinished: parts.writers }),
            readers: watch::Sender::new(0),
            counter: parts.counter,
            drain: parts.drain,
        })
    }

    /// Reserves demand for one item. Returns `None` if the writer was asked to stop, and no reader
    /// runs that could finish an item.
    ///
    /// Cancel safe: a reservation that is dropped returns its demand.
    pub(super) async fn reserve(&self, stop: &CancellationToken) -> Option<OwnedSemaphorePermit> {
        let reserved = pin!(self.demand.clone().acquire_owned());
        match select(reserved, pin!(self.abandoned(stop))).await {
            Either::Left((permit, _)) => permit.ok(),
            Either::Right(((), _)) => None,
        }
    }

    async fn abandoned(&self, stop: &CancellationToken) {
        stop.cancelled().await;
        // An error is impossible: `self` has the sender.
        let _ = self.readers.subscribe().wait_for(|running| *running == 0).await;
    }

    /// Reserves demand for further items, without waiting: as much as there is now.
    pub(super) fn reserve_more(&self) -> Option<OwnedSemaphorePermit> {
        let free = u32::try_from(self.demand.available_permits()).unwrap_or(u32::MAX);
        self.demand.clone().try_acquire_many_owned(free).ok()
    }

    /// Queues an item for which the writer has reserved demand.
    pub(super) fn push(&self, item: T, demand: OwnedSemaphorePermit) {
        self.counter.accepted();
        let unqueued = LostIfDropped(&self.counter);
        let key = self.lane_of.as_ref().map_or(0, |lane_of| lane_of(&item));
        std::mem::forget(unqueued);
        let lane = &self.lanes[(key % self.lanes.len() as u64) as usize];
        let entry = Entry { item, demand, redelivered: false };
        lane.queue.lock().entries.push_back(entry);
        lane.ready.add_permits(1);
    }

    /// Takes the next item of a lane, with the number of items that were taken before. Returns
    /// `None` if no item is queued and none will come, and if this reader alone was asked to stop while
    /// a writer runs.
    ///
    /// Cancel safe: an item is taken in the poll that returns it.
    pub(super) async fn next(
        &self,
        lane: usize,
        stop: &CancellationToken,
    ) -> Option<(u64, Entry<T>)> {
        consume_budget().await;
        let ready = &self.lanes[lane].ready;
        loop {
            match unless(self.end_of_input(stop), ready.acquire()).await {
                Some(Ok(permit)) => permit.forget(),
                Some(Err(_closed)) => return self.pop(lane),
                None if self.writers.borrow().running > 0 => return None,
                None => {
                    if let Ok(permit) = ready.try_acquire() {
                        permit.forget();
                    }
                    return self.pop(lane);
                }
            }
            // Another reader, which was asked to stop, may have taken the item without a permit.
            if let Some(taken) = self.pop(lane) {
                return Some(taken);
            }
        }
    }

    /// Waits until the reader was asked to stop and, if the pipeline stops, until no writer runs.
    async fn end_of_input(&self, stop: &CancellationToken) {
        stop.cancelled().await;
        if self.drain.has_begun() {
            // An error is impossible: `self` has the sender.
            let _ = self.writers.subscribe().wait_for(|writers| writers.running == 0).await;
        }
    }

    fn pop(&self, lane: usize) -> Option<(u64, Entry<T>)> {
        let mut queue = self.lanes[lane].queue.lock();
        let entry = queue.entries.pop_front()?;
        let number = queue.taken;
        queue.taken += 1;
        Some((number, entry))
    }

    /// Queues an item again that was taken and not finished, before all others.
    pub(super) fn put_back(&self, lane: usize, entry: Entry<T>) {
        let lane = &self.lanes[lane];
        lane.queue.lock().entries.push_front(entry);
        lane.ready.add_permits(1);
    }

    /// Notes that a writer runs, until the guard is dropped.
    pub(super) fn writer(self: &Arc<Self>) -> Writer<T> {
        self.writers.send_modify(|writers| writers.running += 1);
        Writer(self.clone())
    }

    /// Notes that a reader runs, until the guard is dropped.
    pub(super) fn reader(self: &Arc<Self>) -> Reader<T> {
        self.readers.send_modify(|running| *running += 1);
        Reader(self.clone())
    }
}

/// The items that are left are lost.
impl<T> Drop for Inlet<T> {
    fn drop(&mut self) {
        for lane in &self.lanes {
            let left = std::mem::take(&mut lane.queue.lock().entries);
            self.counter.lost(left.len() as u64);
            drop_each(left);
        }
    }
}

/// Counts an item as lost, if the function that chooses its lane panics.
struct LostIfDropped<'a>(&'a Counter);

impl Drop for LostIfDropped<'_> {
    fn drop(&mut self) {
        self.0.lost(1);
    }
}

/// The presence of a worker that passes items on.
pub(super) struct Writer<T>(Arc<Inlet<T>>);

impl<T> Writer<T> {
    /// Notes that this worker will pass on no more items, also after a restart.
    pub(super) fn finish(&self) {
        self.0.writers.send_modify(|writers| {
            writers.unfinished = writers.unfinished.saturating_sub(1);
        });
        if self.0.writers.borrow().unfinished == 0 {
            for lane in &self.0.lanes {
                lane.ready.close();
            }
        }
    }
}

impl<T> Drop for Writer<T> {
    fn drop(&mut self) {
        self.0.writers.send_modify(|writers| writers.running -= 1);
    }
}

/// The presence of a worker that takes items.
pub(super) struct Reader<T>(Arc<Inlet<T>>);

impl<T> Drop for Reader<T> {
    fn drop(&mut self) {
        self.0.readers.send_modify(|running| *running -= 1);
    }
}

/// Waits for `work`, or returns `None` as soon as `stop` is ready, which is polled first.
pub(super) async fn unless<T>(
    stop: impl Future<Output = ()>,
    work: impl Future<Output = T>,
) -> Option<T> {
    match select(pin!(stop), pin!(work)).await {
        Either::Left(((), _)) => None,
        Either::Right((done, _)) => Some(done),
    }
}
