//! A finished pipeline, as a value: the settings of all of it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::base::{CaughtDrop, SharedStr};
use crate::child::{ChildSpec, Restart};
use crate::pipeline::counts::PipelineCounts;
use crate::pipeline::drain::Drain;
use crate::pipeline::plan::Plan;
use crate::restart::Backoff;
use crate::runtime::{Runtime, StartError};
use crate::supervisor::{AutoShutdown, Supervisor, SupervisorRef, SupervisorSpec};

/// The time that a pipeline has to drain when it is stopped, by default.
const DRAIN: Duration = Duration::from_secs(5);

/// Adds the children of one incarnation to a plan.
pub(super) type Build = CaughtDrop<Arc<dyn Fn(&mut Plan) + Send + Sync>>;

/// A pipeline with its consumer, as a child that is not started yet. [`Pipeline`](crate::Pipeline)
/// describes it and has an example.
///
/// The pipeline is a supervisor whose children are the workers of its stages. As a child it is
/// [transient](Restart::Transient): once its source has ended and all items are finished, the
/// pipeline ends, and is not restarted. Convert it into a [`ChildSpec`] to change that.
///
/// | setting | default |
/// |---|---|
/// | [`intensity`](Self::intensity) | 3 restarts of workers in any 5 s |
/// | [`backoff`](Self::backoff) | none: restarts don't wait |
/// | [`drain_within`](Self::drain_within) | 5 s for all stages together |
#[derive(Clone)]
#[must_use = "it does nothing until a supervisor is given it, or it is started"]
pub struct PipelineSpec {
    id: SharedStr,
    build: Build,
    counts: PipelineCounts,
    intensity: Option<(u32, Duration)>,
    backoff: Option<Backoff>,
    drain: Duration,
}

impl PipelineSpec {
    pub(super) fn new(id: SharedStr, build: Build, counts: PipelineCounts) -> Self {
        PipelineSpec { id, build, counts, intensity: None, backoff: None, drain: DRAIN }
    }

    /// Sets how many restarts of workers the pipeline allows within any window of `period`. After one
    /// more crash the pipeline ends, its items are lost and counted, and its supervisor starts it
    /// anew. [`SupervisorSpec::intensity`] describes the budget, and has an example.
    pub fn intensity(mut self, restarts: u32, period: Duration) -> Self {
        self.intensity = Some((restarts, period));
        self
    }

    /// Sets the delay before each restart of a worker. [`SupervisorSpec::backoff`] describes it.
    /// [`Backoff`] has an example.
    pub fn backoff(mut self, backoff: Backoff) -> Self {
        self.backoff = Some(backoff);
        self
    }

    /// Sets how long a stop of the pipeline may take. The producer stops at once. Then each stage
    /// handles the items that it has, one stage after the other. Items that are not handled within
    /// the limit are lost and counted. With [`Duration::MAX`] there is no limit. By default, the
    /// limit is 5 s.
    /// [`Pipeline`](crate::Pipeline) describes the stop.
    pub fn drain_within(mut self, limit: Duration) -> Self {
        self.drain = limit;
        self
    }

    /// Returns the counts of the stages, which remain readable when the pipeline has ended.
    ///
    /// ```
    /// use futures_util::stream;
    /// use regrow::{Pipeline, Runtime};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time()
    /// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// let pipeline = Pipeline::from_stream("import", || stream::iter(0..10))
    ///     .map("halve", |n| async move { Ok(10 / (n - 4)) }) // panics at 4
    ///     .for_each("print", |n| async move { Ok(println!("{n}")) });
    /// let counts = pipeline.counts();
    /// pipeline.start(&rt).await?.ended().await;
    ///
    /// let halve = counts.stage("halve").unwrap();
    /// assert_eq!((halve.accepted, halve.finished, halve.lost), (10, 9, 1));
    /// assert_eq!((halve.redelivered, halve.in_stage()), (0, 0));
    /// assert_eq!(counts.stages()[1].finished, 9);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })).unwrap();
    /// ```
    pub fn counts(&self) -> PipelineCounts {
        self.counts.clone()
    }

    /// Starts the pipeline without a supervisor above it. The handle is that of the pipeline's own
    /// supervisor. [`Pipeline`](crate::Pipeline) has an example.
    ///
    /// # Errors
    ///
    /// As [`SupervisorSpec::start`]; [`StartError::DuplicateId`] if two stages have the same id, or one
    /// has the id of another child of the pipeline: `producer`, `drain` or `replacements`.
    ///
    /// # Cancel safety
    ///
    /// As [`SupervisorSpec::start`].
    pub async fn start(self, runtime: &Runtime) -> Result<SupervisorRef, StartError> {
        self.supervisor().start(runtime).await
    }

    fn supervisor(self) -> SupervisorSpec {
        let id = self.id.clone();
        let init = move |_| async move {
            let mut plan = Plan::new(Drain::new(self.drain));
            (self.build)(&mut plan);
            let mut tree = Supervisor::one_for_one().auto_shutdown(AutoShutdown::AllSignificant);
            if let Some((restarts, period)) = self.intensity {
                tree = tree.intensity(restarts, period);
            }
            if let Some(backoff) = self.backoff {
                tree = tree.backoff(backoff);
            }
            Ok(plan.into_children().into_iter().fold(tree, SupervisorSpec::child))
        };
        Supervisor::with_init(init).with_id(&*id)
    }
}

impl From<PipelineSpec> for ChildSpec {
    fn from(pipeline: PipelineSpec) -> Self {
        ChildSpec::from(pipeline.supervisor()).restart(Restart::Transient)
    }
}

impl fmt::Debug for PipelineSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PipelineSpec")
            .field("id", &self.id)
            .field("drain_within", &self.drain)
            .finish_non_exhaustive()
    }
}
