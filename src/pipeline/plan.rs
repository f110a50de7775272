//! The children of one incarnation of a pipeline.
//!
//! The children are listed from the consumer to the producer. A supervisor starts its children in
//! this order, so each stage runs before an item reaches it, and stops them in the opposite order:
//! the producer first, and each stage when the stages before it have ended. The child that begins the
//! [time limit](crate::pipeline::drain) of a stop is the last one, and so the first to be stopped.

use std::sync::Arc;

use crate::child::{ChildSpec, Restart, TaskContext};
use crate::exit::Result;
use crate::pipeline::counts::Counter;
use crate::pipeline::drain::Drain;
use crate::pipeline::inlet::{Inlet, InletParts};
use crate::pipeline::stage_settings::StageSettings;

/// Adds the children of a pipeline whose last stage passes its items on to the inlet.
pub(super) type Connect<T> = Arc<dyn Fn(&mut Plan, Arc<Inlet<T>>) + Send + Sync>;

/// What the workers of one stage share.
pub(super) struct Stage<'a, T> {
    pub(super) id: &'a str,
    pub(super) workers: usize,
    pub(super) inlet: &'a Arc<Inlet<T>>,
    /// The lane of each worker.
    pub(super) lane: fn(usize) -> usize,
}

/// The children of one incarnation.
pub(super) struct Plan {
    pub(super) children: Vec<ChildSpec>,
    pub(super) drain: Drain,
}

impl Plan {
    /// Adds the workers of a stage. Each runs what `body` returns for its number. If the stage is the
    /// last one, the pipeline ends when all its workers have ended normally.
    pub(super) fn add<F, Fut>(&mut self, id: &str, workers: usize, is_last: bool, body: F)
    where
        F: Fn(TaskContext, usize) -> Fut + Clone + Send + Sync + 'static,
        Fut: Future<Output = Result> + Send + 'static,
    {
        for number in 0..workers {
            let id = match workers {
                1 => id.to_owned(),
                _ => format!("{id} {}", number + 1),
            };
            let (body, drain) = (body.clone(), self.drain.clone());
            let child = ChildSpec::task(id, move |ctx| drain.run(body(ctx, number)))
                .restart(Restart::Transient)
                .shutdown(self.drain.shutdown())
                .significant(is_last);
            self.children.push(child);
        }
    }
}

/// Makes the inlet of a stage with these settings, between `writers` workers and its own.
pub(super) fn inlet<T>(
    settings: &StageSettings<T>,
    writers: usize,
    counter: &Arc<Counter>,
    drain: &Drain,
) -> Arc<Inlet<T>> {
    let has_lanes = settings.lane_of.is_some();
    Inlet::new(InletParts {
        max_demand: settings.max_demand,
        writers,
        lanes: if has_lanes { settings.concurrency } else { 1 },
        lane_of: settings.lane_of.clone(),
        in_order: !has_lanes && settings.concurrency > 1 && !settings.unordered,
        copy: settings.copy,
        counter: counter.clone(),
        drain: drain.clone(),
    })
}
