//! Pipelines: items flow from a producer through stages to a consumer, as fast as the slowest of
//! them. `inlet` is the queue before each stage, with its demand; `held` is an item in a worker;
//! `plan` lists the children of one incarnation.
//!
//! **Uses** `base`, `exit`, `restart`, `runtime`, `child`, `supervisor`.
//! **Knows nothing of** servers and mailboxes: items pass from worker to worker without them.

mod counts;
mod turns;
mod drain;
mod inlet;
mod held;
mod batch;
mod settings;
mod replacements;
mod plan;
mod attempt;
mod worker;
mod producer;
mod spec;
mod builder;
mod next_stage;
mod stages;

pub use builder::Pipeline;
pub use counts::{PipelineCounts, StageCounts};
pub use spec::PipelineSpec;
