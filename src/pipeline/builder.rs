//! The builder of a pipeline, and its constructors, one for each kind of producer. The methods in
//! `next_stage` set up the next stage, and the methods in `stages` add it.

use std::fmt;
use std::sync::Arc;

use futures_util::Stream;

use crate::base::{CaughtDrop, SharedStr};
use crate::child::TaskContext;
use crate::exit::Result;
use crate::pipeline::counts::Counter;
use crate::pipeline::inlet::Inlet;
use crate::pipeline::plan::Connect;
use crate::pipeline::producer;
use crate::pipeline::settings::StageSettings;

/// A pipeline whose consumer is still to come: a producer, and stages after it. Its last stage
/// passes on items of type `T`.
///
/// Items flow by demand: each stage asks the stage before it for as many items as it may have, and
/// the producer asks its source only for what the first stage has demanded. So a slow stage slows
/// the source down, and memory is bounded: a stage has at most [`max_demand`](Self::max_demand)
/// items, queued and in its functions. Elixir: `GenStage`, `Flow` and `Broadway`.
///
/// Each worker of a stage is a child of the pipeline's own supervisor. The whole is one child, a
/// [`PipelineSpec`](crate::PipelineSpec), which [`for_each`](Self::for_each) returns.
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
/// [counted](crate::PipelineSpec::counts), or is redelivered once, if the stage is
/// [`at_least_once`](Self::at_least_once). All other items are unaffected, also those that are
/// queued before the crashed stage. If workers crash more often than the
/// [restart limit](crate::PipelineSpec::intensity) of the pipeline allows, the pipeline ends. What it has is
/// lost and counted. The supervisor above it starts it again, with a new source.
///
/// # The end, and a stop
///
/// When the source has ended, each stage ends as soon as it has finished all its items, and then the
/// pipeline ends with [`Shutdown`](crate::ExitReason::Shutdown). When the pipeline is stopped,
/// the producer stops first; then each stage, from the first to the last, handles what it has and
/// ends. Within [`drain_within`](crate::PipelineSpec::drain_within) an item is lost only by a crash of
/// the function that has it. Such a crash does not end its worker during a stop, because a supervisor
/// that stops restarts no child: the worker logs it, and goes on with the next item. A worker that is
/// killed during a stop loses its item, or redelivers it, and is replaced, as outside a stop. Only a
/// worker that waits for its restart when the stop begins is neither restarted nor replaced: if no
/// other worker takes its items, what is queued for it is lost and counted.
///
/// # To acknowledge items to their source
///
/// A queue such as SQS or Kafka has to know which items are done. Put the receipt of the source into the
/// item. The consumer acknowledges the receipt. An item that is lost is dropped, and the `Drop` of a
/// receipt that was not acknowledged rejects it, so each outcome is reported exactly once. (Broadway: the
/// acknowledger.)
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
    pub(super) id: SharedStr,
    /// The settings of the next stage.
    pub(super) settings: StageSettings<T>,
    /// The number of workers that pass on items to the next stage.
    pub(super) workers: usize,
    pub(super) counters: Vec<Arc<Counter>>,
    pub(super) connect: CaughtDrop<Connect<T>>,
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
            plan.add_producer(move |ctx| produce(ctx, next));
        });
        Pipeline {
            id: id.into(),
            settings: StageSettings::new(),
            workers: 1,
            counters: Vec::new(),
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
