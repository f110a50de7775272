//! Dynamic supervisors: children that come and go.

#[path = "../support/mod.rs"]
mod support;

mod dynamic;
mod dynamic_cancelled_starts;
mod dynamic_given_up;
