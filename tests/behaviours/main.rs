//! What is built on servers and supervisors: state machines, events, agents, pools, pipelines, limits,
//! policies, services of tower.

#[path = "../support/mod.rs"]
mod support;

mod agents;
mod stash;
mod events;
mod policies;
mod pools;
mod pipelines;
mod limits;
#[cfg(feature = "tower")]
mod tower;
mod machines;
