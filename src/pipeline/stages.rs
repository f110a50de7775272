//! The stages of a pipeline, and its consumer.

use std::sync::Arc;
use std::time::Duration;

use crate::base::CaughtDrop;
use crate::exit::Result;
use crate::pipeline::builder::Pipeline;
use crate::pipeline::counts::{Counter, PipelineCounts};
use crate::pipeline::inlet::Inlet;
use crate::pipeline::plan::{Connect, Plan, Stage, inlet};
use crate::pipeline::settings::StageSettings;
use crate::pipeline::spec::PipelineSpec;
use crate::pipeline::worker::{run_batches, run_consumer, run_stage};

impl<T: Send + 'static> Pipeline<T> {
    /// Adds a stage that makes one item from each item. An `Err` is a crash of the worker: the
    /// worker is restarted, and the item is lost or redelivered. To handle an error without a
    /// crash, pass it on as a value, or leave the item out by [`filter_map`](Self::filter_map). The
    /// function runs in the worker's process, and is dropped at its await only if the worker is
    /// killed. [`PipelineSpec::counts`] has an example.
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

    /// Adds a stage that makes any number of items from each item. Each of these items waits in the
    /// worker that made it until the next stage has demand for it. Otherwise as [`map`](Self::map).
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
            plan.add(stage.id, stage.workers, false, move |stop, worker| {
                let each = each.clone();
                run_stage(stop, (own.clone(), lane(worker)), next.clone(), move |item| each(item))
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
            plan.add(stage.id, 1, false, move |stop, _| {
                run_batches(stop, own.clone(), next.clone(), (size, within))
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
            let own = inlet(&settings, self.workers, &counter, &plan.drain);
            let (each, shared, lane) = (each.clone(), own.clone(), settings.lanes());
            plan.add(&counter.stage, settings.concurrency, true, move |stop, worker| {
                let each = each.clone();
                run_consumer(stop, (shared.clone(), lane(worker)), move |item| each(item))
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
        add: impl Fn(&mut Plan, &Stage<'_, T>, Arc<Inlet<U>>) + Send + Sync + 'static,
    ) -> Pipeline<U> {
        let counter = Counter::new(id.into(), self.settings.max_demand);
        self.counters.push(counter.clone());
        let (settings, writers, before) = (self.settings, self.workers, self.connect);
        let workers = settings.concurrency;
        let connect: Connect<U> = Arc::new(move |plan, next| {
            let own = inlet(&settings, writers, &counter, &plan.drain);
            let (id, lane) = (&*counter.stage, settings.lanes());
            add(plan, &Stage { id, workers, inlet: &own, lane }, next);
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
