//! How a pipeline is put together, from its producer to its consumer.

use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use futures_util::Stream;

use crate::base::{CaughtDrop, SharedStr};
use crate::child::TaskContext;
use crate::exit::Result;
use crate::pipeline::counts::{Counter, PipelineCounts};
use crate::pipeline::inlet::Inlet;
use crate::pipeline::plan::{Connect, Plan, inlet};
use crate::pipeline::settings::StageSettings;
use crate::pipeline::spec::PipelineSpec;
use crate::pipeline::worker::{run_batches, run_consumer, run_stage};
use crate::pipeline::{plan, producer};

/// A pipeline whose consumer is still to come: a producer, and stages after it. Its last stage
/// passes on items of type `T`.
///
/// Items flow by demand: each stage asks the stage before it for as many items as it may have, and
/// the producer asks its source only for what the first stage has demanded. So a slow stage slows
/// the source down, and memory is bounded: a stage has at most [`max_demand`](Self::max_demand)
/// items, queued and in its functions. Elixir: `GenStage`, `Flow` and `Broadway`.
///
/// Each worker of a stage is a child of the pipeline's own supervisor. The whole is one child, a
/// [`PipelineSpec`], which [`for_each`](Self::for_each) returns.
///
/// # Settings apply to the next stage
///
/// | setting, before `map` and its siblings | default |
/// |---|---|
/// | [`concurrency`](Self::concurrency) | 1 worker |
/// | [`max_demand`](Self::max_demand) | 64 items |
/// | [`unordered`](Self::unordered) | several workers keep the order of their input |
/// | [`partition_by`](Self::partition_by) | any worker takes any item |
/// | [`at_least_once`](Self::at_least_once) | an item is handled at most once |
///
/// # A crash
///
/// A panic of a stage's function, or an `Err` that it returns, ends one worker, which the
/// pipeline's supervisor restarts. The item of this worker is lost and
/// [counted](PipelineSpec::counts), or is redelivered once, if the stage is
/// [`at_least_once`](Self::at_least_once). All other items are unaffected, also those that are
/// queued before the crashed stage. Once the workers have crashed more often than the
/// [budget](PipelineSpec::intensity) allows, the pipeline ends, and what it has is lost and counted;
/// its supervisor starts the pipeline anew.
///
/// # The end, and a stop
///
/// When the source has ended, each stage ends as soon as it has finished all its items, and then the
/// pipeline ends with [`Shutdown`](crate::ExitReason::Shutdown). When the pipeline is stopped,
/// the producer stops first; then each stage, from the first to the last, handles what it has and
/// ends. Within [`drain_within`](PipelineSpec::drain_within) no item is lost.
///
/// # To acknowledge items to their source
///
/// A queue such as SQS or Kafka has to know which items are done. Put the receipt into the item: the
/// consumer acknowledges it. An item that is lost is dropped, so a receipt whose `Drop` rejects what
/// was not acknowledged reports each outcome exactly once. (Broadway: the acknowledger.)
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use futures_util::stream;
/// use regrow::{ExitReason, Pipeline, Runtime};
/// use tokio::sync::mpsc::unbounded_channel;
///
/// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true)
/// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
/// let rt = Runtime::new();
/// let (sender, mut stored) = unbounded_channel();
/// let pipeline = Pipeline::from_stream("import", || stream::iter(["1", "2", "x", "4", "5"]))
///     .concurrency(4)
///     .filter_map("parse", |text| async move { Ok(text.parse::<u32>().ok()) })
///     .batch(3, Duration::from_secs(1))
///     .for_each("store", move |batch| {
///         let sender = sender.clone();
///         async move { Ok(sender.send(batch)?) }
///     });
/// let running = pipeline.start(&rt).await?;
/// assert_eq!(running.ended().await, ExitReason::Shutdown); // the source has ended
/// assert_eq!(stored.recv().await, Some(vec![1, 2, 4]));
/// assert_eq!(stored.recv().await, Some(vec![5]));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })).unwrap();
/// ```
///
/// # When not to use it
///
/// For a list of jobs whose results one function wants, use a [`TaskStream`](crate::TaskStream). For
/// requests with answers, call a server. For work that must survive the end of the program, use a
/// queue on disk, and let the pipeline acknowledge to it.
#[must_use = "it does nothing until it has a consumer and is started"]
pub struct Pipeline<T: 'static> {
    id: SharedStr,
    /// The settings of the next stage.
    settings: StageSettings<T>,
    /// The number of workers that pass on items to the next stage.
    workers: usize,
    counters: Vec<Arc<Counter>>,
    connect: CaughtDrop<Connect<T>>,
}

impl<T: Send + 'static> Pipeline<T> {
    /// Begins a pipeline whose items come from a stream. `source` makes the stream, at the start and
    /// at each restart of the producer, inside the producer's process. The stream is polled only
    /// while the first stage has demand, and is dropped when the pipeline is stopped.
    /// [`Pipeline`] has an example.
    ///
    /// A stream that panics is made anew. To continue where the last one ended, let `source` look up
    /// the position; to share one receiver, keep it in a [`Keep`](crate::Keep).
    pub fn from_stream<S>(
        id: impl Into<String>,
        source: impl Fn() -> S + Send + Sync + 'static,
    ) -> Self
    where
        S: Stream<Item = T> + Send + 'static,
    {
        let source = Arc::new(source);
        Pipeline::produced(id.into(), move |ctx, next| {
            let source = source.clone();
            producer::run_stream(ctx, next, move || source())
        })
    }

    /// Begins a pipeline whose items come from a function, which is called with the demand: the number
    /// of items that the first stage takes now, at least 1. The function waits until it has an item,
    /// and returns at most as many items as demanded. An empty list ends the pipeline. What exceeds the
    /// demand waits in the producer. The call is dropped at its await when the pipeline is stopped. An
    /// `Err` is a crash of the producer. OTP, that is, `GenStage`: `handle_demand/2`.
    ///
    /// ```
    /// use std::sync::atomic::{AtomicUsize, Ordering};
    /// use regrow::{Pipeline, Runtime};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time()
    /// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// let next = AtomicUsize::new(0);
    /// let pipeline = Pipeline::from_demand("numbers", move |demand| {
    ///     let first = next.fetch_add(demand, Ordering::Relaxed);
    ///     async move { Ok((first..first + demand).take_while(|n| *n < 100).collect()) }
    /// })
    /// .max_demand(8)
    /// .for_each("print", |n| async move { Ok(println!("{n}")) });
    /// let counts = pipeline.counts();
    /// pipeline.start(&rt).await?.ended().await;
    /// assert_eq!(counts.stage("print").unwrap().finished, 100);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })).unwrap();
    /// ```
    pub fn from_demand<F, Fut>(id: impl Into<String>, source: F) -> Self
    where
        F: Fn(usize) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Vec<T>>> + Send + 'static,
    {
        let source = Arc::new(source);
        Pipeline::produced(id.into(), move |ctx, next| {
            let source = source.clone();
            producer::run_demand(ctx, next, move |demand| source(demand))
        })
    }

    fn produced<F, Fut>(id: String, produce: F) -> Self
    where
        F: Fn(TaskContext, Arc<Inlet<T>>) -> Fut + Clone + Send + Sync + 'static,
        Fut: Future<Output = Result> + Send + 'static,
    {
        let connect: Connect<T> = Arc::new(move |plan, next| {
            let produce = produce.clone();
            plan.add("producer", 1, false, move |ctx, _| produce(ctx, next.clone()));
        });
        Pipeline {
            id: id.into(),
            settings: StageSettings::new(),
            workers: 1,
            counters: Vec::new(),
            connect: CaughtDrop::new(connect),
        }
    }

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

    /// Makes the next stage keep a copy of each item that its function has, and handle the copy if the
    /// worker ends before it has passed on the result, for whatever reason. An item is redelivered once:
    /// if the second attempt fails as well, the item is lost and counted, so one bad item
    /// does not exhaust the budget of restarts. By default the item is lost at the first crash.
    ///
    /// * The function may see an item twice, and a part of the result of the first attempt may
    ///   have been passed on: the effect must be idempotent.
    /// * A redelivered item has lost its place in the order, except with one worker or
    ///   [`partition_by`](Self::partition_by).
    /// * If the pipeline itself ends, all it has is lost. [`Pipeline`] says how a source that keeps
    ///   items gets to know.
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

    /// Adds a stage that makes one item of each item. An `Err` is a crash of the worker: it is
    /// restarted, and the item is lost or redelivered. To go on after an error, pass it on as a
    /// value, or leave the item out by [`filter_map`](Self::filter_map). The function runs in the
    /// worker's process, and is dropped at its await only if the worker is killed.
    /// [`PipelineSpec::counts`] has an example.
    pub fn map<U, F, Fut>(self, id: impl Into<String>, each: F) -> Pipeline<U>
    where
        U: Send + 'static,
        F: Fn(T) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<U>> + Send + 'static,
    {
        self.flat_map(id, move |item| {
            let made = each(item);
            async move { made.await.map(Some) }
        })
    }

    /// Adds a stage that makes one item or none of each item. Otherwise as [`map`](Self::map).
    /// [`Pipeline`] has an example.
    pub fn filter_map<U, F, Fut>(self, id: impl Into<String>, each: F) -> Pipeline<U>
    where
        U: Send + 'static,
        F: Fn(T) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Option<U>>> + Send + 'static,
    {
        self.flat_map(id, each)
    }

    /// Adds a stage that makes any number of items of each item. Each result waits for demand of its
    /// own, in the worker that made it. Otherwise as [`map`](Self::map).
    ///
    /// ```
    /// use futures_util::stream;
    /// use regrow::{Pipeline, Runtime};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time()
    /// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// let pipeline = Pipeline::from_stream("texts", || stream::iter(["a b c", "d"]))
    ///     .flat_map("words", |text| async move { Ok(text.split(' ')) })
    ///     .for_each("print", |word| async move { Ok(println!("{word}")) });
    /// let counts = pipeline.counts();
    /// pipeline.start(&rt).await?.ended().await;
    /// assert_eq!(counts.stage("print").unwrap().finished, 4);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })).unwrap();
    /// ```
    pub fn flat_map<U, F, Fut, Outs>(self, id: impl Into<String>, each: F) -> Pipeline<U>
    where
        U: Send + 'static,
        F: Fn(T) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Outs>> + Send + 'static,
        Outs: IntoIterator<Item = U, IntoIter: Send> + Send + 'static,
    {
        let each = Arc::new(each);
        self.then(id.into(), move |plan, stage, next| {
            let (each, own, lane) = (each.clone(), stage.inlet.clone(), stage.lane);
            plan.add(stage.id, stage.workers, false, move |ctx, worker| {
                let each = each.clone();
                run_stage(ctx, (own.clone(), lane(worker)), next.clone(), move |item| each(item))
            });
        })
    }

    /// Adds a stage that collects items into batches: a batch is passed on when it has `size` items,
    /// or when `within` has passed since its first item, or when no further item will come. A batch is
    /// never empty. The stage has one worker and the id `batch`; its demand is at least `size`.
    /// Broadway: a batcher with `batch_size` and `batch_timeout`. [`Pipeline`] has an example.
    ///
    /// # Panics
    ///
    /// If `size` is 0.
    pub fn batch(mut self, size: usize, within: Duration) -> Pipeline<Vec<T>> {
        assert!(size > 0, "a batch without items would never be passed on");
        self = self.concurrency(1);
        self.settings.max_demand = self.settings.max_demand.max(size);
        self.settings.lane_of = None;
        let batches = self.counters.iter().filter(|stage| stage.stage.starts_with("batch"));
        let id = match batches.count() {
            0 => "batch".to_owned(),
            before => format!("batch {}", before + 1),
        };
        self.then(id, move |plan, stage, next| {
            let own = stage.inlet.clone();
            plan.add(stage.id, 1, false, move |ctx, _| {
                run_batches(ctx, own.clone(), next.clone(), (size, within))
            });
        })
    }

    /// Adds the consumer, the last stage, and so finishes the pipeline. An `Err` is a crash of the
    /// worker, as for [`map`](Self::map). [`Pipeline`] has an example.
    pub fn for_each<F, Fut>(mut self, id: impl Into<String>, each: F) -> PipelineSpec
    where
        F: Fn(T) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result> + Send + 'static,
    {
        let counter = Counter::new(id.into().into(), self.settings.max_demand);
        self.counters.push(counter.clone());
        let (each, settings, connect) = (Arc::new(each), self.settings, self.connect);
        let build = move |plan: &mut Plan| {
            let own = inlet(&settings, self.workers, &counter);
            let (each, shared, lane) = (each.clone(), own.clone(), settings.lanes());
            plan.add(&counter.stage, settings.concurrency, true, move |ctx, worker| {
                let each = each.clone();
                run_consumer(ctx, (shared.clone(), lane(worker)), move |item| each(item))
            });
            connect(plan, own);
        };
        let counts = PipelineCounts::new(self.counters);
        PipelineSpec::new(self.id, CaughtDrop::new(Arc::new(build) as Arc<_>), counts)
    }

    /// Adds a stage whose workers `add` adds to the plan of each incarnation.
    fn then<U: Send + 'static>(
        mut self,
        id: String,
        add: impl Fn(&mut Plan, &plan::Stage<'_, T>, Arc<Inlet<U>>) + Send + Sync + 'static,
    ) -> Pipeline<U> {
        let counter = Counter::new(id.into(), self.settings.max_demand);
        self.counters.push(counter.clone());
        let (settings, writers, before) = (self.settings, self.workers, self.connect);
        let workers = settings.concurrency;
        let connect: Connect<U> = Arc::new(move |plan, next| {
            let own = inlet(&settings, writers, &counter);
            let (id, lane) = (&*counter.stage, settings.lanes());
            add(plan, &plan::Stage { id, workers, inlet: &own, lane }, next);
            before(plan, own);
        });
        Pipeline {
            id: self.id,
            settings: StageSettings::new(),
            workers,
            counters: self.counters,
            connect: CaughtDrop::new(connect),
        }
    }
}

impl<T: 'static> fmt::Debug for Pipeline<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stages = self.counters.iter().map(|counter| &counter.stage).collect::<Vec<_>>();
        f.debug_struct("Pipeline").field("id", &self.id).field("stages", &stages).finish()
    }
}
