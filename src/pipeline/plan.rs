//! The children of one incarnation of a pipeline.
//!
//! The children are listed from the consumer to the producer. A supervisor starts its children in
//! this order, so each stage runs before an item reaches it, and stops them in the opposite order:
//! the producer first, and each stage when the stages before it have ended. The child that begins the
//! [time limit](crate::pipeline::drain) of a stop is the last one, and so the first to be stopped. The
//! child that [replaces](crate::pipeline::replacements) workers during a stop is the first one, and so
//! the last to be stopped.

use std::sync::Arc;

use futures_util::FutureExt;
use tokio_util::sync::CancellationToken;

use crate::child::{ChildSpec, Restart, TaskContext};
use crate::exit::Result;
use crate::pipeline::counts::Counter;
use crate::pipeline::drain::Drain;
use crate::pipeline::inlet::{Inlet, InletParts};
use crate::pipeline::replacements::Replacements;
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
    children: Vec<ChildSpec>,
    pub(super) drain: Drain,
    replacements: Arc<Replacements>,
}

impl Plan {
    pub(super) fn new(drain: Drain) -> Self {
        let replacements = Replacements::new();
        Plan { children: vec![replacements.child(&drain)], drain, replacements }
    }

    /// Returns the children of the finished plan.
    pub(super) fn into_children(mut self) -> Vec<ChildSpec> {
        self.children.push(self.drain.child());
        self.children
    }

    /// Adds the producer.
    pub(super) fn add_producer<F, Fut>(&mut self, body: F)
    where
        F: FnOnce(TaskContext) -> Fut + Clone + Send + Sync + 'static,
        Fut: Future<Output = Result> + Send + 'static,
    {
        let drain = self.drain.clone();
        self.add_child(ChildSpec::task("producer", move |ctx| drain.run(body(ctx))));
    }

    fn add_child(&mut self, child: ChildSpec) {
        self.children.push(child.restart(Restart::Transient).shutdown(self.drain.shutdown()));
    }

    /// Adds the workers of a stage. Each runs the future that `body` returns for its number, and which
    /// counts as a reader and a writer from its making on. If the stage is the last one, the
    /// pipeline ends when all its workers have ended normally.
    pub(super) fn add<F, Fut>(&mut self, id: &str, workers: usize, is_last: bool, body: F)
    where
        F: Fn(CancellationToken, usize) -> Fut + Clone + Send + Sync + 'static,
        Fut: Future<Output = Result> + Send + 'static,
    {
        for number in 0..workers {
            let id = match workers {
                1 => id.to_owned(),
                _ => format!("{id} {}", number + 1),
            };
            let (body, drain) = (body.clone(), self.drain.clone());
            let replacements = self.replacements.clone();
            let child = ChildSpec::task(id, move |ctx| {
                let work = move |stop| body(stop, number).boxed();
                replacements.run_replaceable(ctx, drain, work)
            });
            self.add_child(child.significant(is_last));
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
