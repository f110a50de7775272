//! Dynamic supervisors: many children of a kind, that come and go, known by their pids.

pub(crate) mod spec;
mod given_up;
mod child;
mod asked;
pub(crate) mod nursery;
mod known;
mod find;
mod leftovers;
mod births;
mod ends;
mod stops;
mod called_off;
mod queries;
mod dynamic_ref;
mod start;

pub use dynamic_ref::DynamicSupervisorRef;
pub use spec::{DynamicSupervisor, Exhausted};
