//! Dynamic supervisors: children that come and go.

#[path = "../support/mod.rs"]
mod support;

mod dynamic;
mod dynamic_called_off;
mod dynamic_given_up;
