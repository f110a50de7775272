//! Dynamic supervisors.

#[path = "../support/mod.rs"]
mod support;

mod dynamic;
mod dynamic_exits;
mod dynamic_cancelled_starts;
mod dynamic_given_up;
mod half_started;
