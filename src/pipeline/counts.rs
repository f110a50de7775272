//! What the stages of a pipeline count. The counts outlive the incarnations of the pipeline.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::base::{SharedStr, ignore_panic};

/// The counts of all stages of a pipeline, as a handle that is cheap to clone:
/// [`PipelineSpec::counts`](crate::PipelineSpec::counts) returns it, and has an example. A restart
/// of the pipeline does not reset them.
#[derive(Clone)]
pub struct PipelineCounts {
    stages: Arc<[Arc<Counter>]>,
}

/// The counts of one stage of a pipeline, all since the pipeline was specified.
/// [`PipelineSpec::counts`](crate::PipelineSpec::counts) has an example.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct StageCounts {
    /// The id of the stage.
    pub stage: SharedStr,
    /// The number of items that the stage has accepted.
    pub accepted: u64,
    /// The number of items that the stage has finished: it has passed on what it made of them.
    pub finished: u64,
    /// The number of items that were lost: the stage ended while its function ran, or the pipeline
    /// ended while they were queued.
    pub lost: u64,
    /// The number of items that the stage's function received again after a crash.
    pub redelivered: u64,
    /// The number of items that the stage may have at once, queued and in its functions.
    pub max_demand: usize,
}

impl StageCounts {
    /// The number of items that are in the stage now, queued and in its functions. While items move,
    /// the number may be off by those that move. It is at most [`max_demand`](Self::max_demand).
    /// [`PipelineSpec::counts`](crate::PipelineSpec::counts) has an example.
    pub fn in_stage(&self) -> u64 {
        let left = self.finished + self.lost;
        self.accepted.saturating_sub(left).min(self.max_demand as u64)
    }
}

impl PipelineCounts {
    pub(super) fn new(stages: Vec<Arc<Counter>>) -> Self {
        PipelineCounts { stages: stages.into() }
    }

    /// Returns the counts of each stage, in the order of the pipeline. The producer is not a stage:
    /// the items that it has passed on are those that the first stage has accepted.
    /// [`PipelineSpec::counts`](crate::PipelineSpec::counts) has an example.
    pub fn stages(&self) -> Vec<StageCounts> {
        self.stages.iter().map(|counter| counter.read()).collect()
    }

    /// Returns the counts of the first stage with this id, or `None` if there is no such stage.
    /// [`PipelineSpec::counts`](crate::PipelineSpec::counts) has an example.
    pub fn stage(&self, id: &str) -> Option<StageCounts> {
        self.stages.iter().find(|counter| &*counter.stage == id).map(|counter| counter.read())
    }
}

impl fmt::Debug for PipelineCounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.stages()).finish()
    }
}

/// The counts of one stage.
pub(super) struct Counter {
    pub(super) stage: SharedStr,
    max_demand: usize,
    accepted: AtomicU64,
    finished: AtomicU64,
    lost: AtomicU64,
    redelivered: AtomicU64,
}

impl Counter {
    pub(super) fn new(stage: SharedStr, max_demand: usize) -> Arc<Self> {
        let zero = AtomicU64::default;
        let (accepted, finished, lost, redelivered) = (zero(), zero(), zero(), zero());
        Arc::new(Counter { stage, max_demand, accepted, finished, lost, redelivered })
    }

    pub(super) fn accepted(&self) {
        self.accepted.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn finished(&self) {
        self.finished.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn redelivered(&self) {
        self.redelivered.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts lost items, and logs them.
    pub(super) fn lost(&self, items: u64) {
        if items == 0 {
            return;
        }
        self.lost.fetch_add(items, Ordering::Relaxed);
        let stage = &*self.stage;
        ignore_panic(|| tracing::warn!(target: "regrow::pipeline", stage, items, "items lost"));
    }

    fn read(&self) -> StageCounts {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        StageCounts {
            stage: self.stage.clone(),
            accepted: read(&self.accepted),
            finished: read(&self.finished),
            lost: read(&self.lost),
            redelivered: read(&self.redelivered),
            max_demand: self.max_demand,
        }
    }
}
