//! Dynamic supervisors: children are started and stopped at any time and are known by their pids.
//!
//! [`server`] describes the states of a child and the invariants.

pub(crate) mod spec;
mod index;
mod child;
mod pending_stops;
pub(crate) mod server;
mod children;
mod given_up;
mod get_or_start;
mod orphans;
mod start_child;
mod child_ended;
mod stop_child;
mod stop_all;
mod cancelled_restart;
mod queries;
mod dynamic_ref;
mod start;

pub use dynamic_ref::DynamicSupervisorRef;
pub use spec::{DynamicSupervisor, Exhausted};
