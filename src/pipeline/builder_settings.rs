//! The methods of the builder that set up the next stage of a pipeline.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use crate::pipeline::builder::Pipeline;

impl<T: Send + 'static> Pipeline<T> {
    /// Sets the number of workers of the next stage, each a process of its own. [`batch`](Self::batch)
    /// has always one. The default is 1. [`Pipeline`] has an example.
    ///
    /// # Panics
    ///
    /// If `workers` is 0.
    pub fn concurrency(mut self, workers: usize) -> Self {
        assert!(workers > 0, "a stage without workers would finish no item");
        self.settings.concurrency = workers;
        self
    }

    /// Sets how many items the next stage may have at once: queued before it, and in its functions.
    /// For a stage after [`batch`](Self::batch), an item is a batch. A stage of batches has at least
    /// the size of a batch. The default is 64. `GenStage`: `max_demand`.
    /// [`from_demand`](Self::from_demand) has an example.
    ///
    /// # Panics
    ///
    /// If `items` is 0, or more than a semaphore of tokio can count.
    pub fn max_demand(mut self, items: usize) -> Self {
        assert!(items > 0, "a stage that demands nothing would get no item");
        assert!(items <= tokio::sync::Semaphore::MAX_PERMITS, "the demand is too large");
        self.settings.max_demand = items;
        self
    }

    /// Lets the workers of the next stage pass on each result as soon as they have it. By default
    /// several workers keep the order of their input: a worker that is done before its turn waits.
    /// Has no effect with one worker, or together with [`partition_by`](Self::partition_by).
    /// [`partition_by`](Self::partition_by) has an example of an order.
    pub fn unordered(mut self) -> Self {
        self.settings.unordered = true;
        self
    }

    /// Sends all items with the same key to the same worker of the next stage, so items of one key
    /// are handled one after the other, in order. Items of different keys have no order. All
    /// workers share the demand of the stage: if one key is slow and the demand is used up by its
    /// items, the other workers wait. `GenStage`: `PartitionDispatcher`; Broadway: `partition_by`.
    ///
    /// ```
    /// use futures_util::stream;
    /// use regrow::{Pipeline, Runtime};
    /// use tokio::sync::mpsc::unbounded_channel;
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time()
    /// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// let (sender, mut receiver) = unbounded_channel();
    /// let orders = [("ann", 1), ("bob", 1), ("ann", 2), ("ann", 3)];
    /// let pipeline = Pipeline::from_stream("orders", move || stream::iter(orders))
    ///     .concurrency(4)
    ///     .partition_by(|(customer, _)| *customer)
    ///     .for_each("book", move |order| {
    ///         let sender = sender.clone();
    ///         async move { Ok(sender.send(order)?) }
    ///     });
    /// pipeline.start(&rt).await?.ended().await;
    /// let mut ann = Vec::new();
    /// while let Some((customer, number)) = receiver.recv().await {
    ///     ann.extend((customer == "ann").then_some(number));
    /// }
    /// assert_eq!(ann, [1, 2, 3]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })).unwrap();
    /// ```
    pub fn partition_by<K: Hash>(mut self, key: impl Fn(&T) -> K + Send + Sync + 'static) -> Self {
        self.settings.lane_of = Some(Arc::new(move |item| {
            let mut hasher = DefaultHasher::new();
            key(item).hash(&mut hasher);
            hasher.finish()
        }));
        self
    }

    /// Makes the next stage keep a copy of each item while its function has the item. If the worker
    /// ends, for whatever reason, before it has passed on the result, the stage handles the copy.
    /// An item is redelivered once: if the second attempt fails as well, the item is lost and
    /// counted. So one bad item does not exhaust the budget of restarts. By default an item is lost
    /// at the first crash.
    ///
    /// * The function may see an item twice, and a part of the result of the first attempt may
    ///   have been passed on: the effect must be idempotent.
    /// * A redelivered item has lost its place in the order, except with one worker or
    ///   [`partition_by`](Self::partition_by).
    /// * If the pipeline itself ends, all items that it has are lost. [`Pipeline`] describes how a
    ///   source that keeps its items learns the outcome of each item.
    ///
    /// ```
    /// use std::sync::atomic::{AtomicBool, Ordering};
    /// use futures_util::stream;
    /// use regrow::{Pipeline, Runtime};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time()
    /// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// let is_down = AtomicBool::new(true);
    /// let pipeline = Pipeline::from_stream("mails", || stream::iter(["a", "b"]))
    ///     .at_least_once()
    ///     .for_each("send", move |_| {
    ///         let fails = is_down.swap(false, Ordering::Relaxed);
    ///         async move { if fails { Err("connection reset")? } else { Ok(()) } }
    ///     });
    /// let counts = pipeline.counts();
    /// pipeline.start(&rt).await?.ended().await;
    /// let send = counts.stage("send").unwrap();
    /// assert_eq!((send.finished, send.redelivered, send.lost), (2, 1, 0));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })).unwrap();
    /// ```
    pub fn at_least_once(mut self) -> Self
    where
        T: Clone,
    {
        self.settings.copy = Some(T::clone);
        self
    }
}
