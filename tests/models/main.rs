//! The real kernel and real supervisors against models of the specification, command by command.

#[path = "../support/injected_panics.rs"]
mod injected_panics;
#[path = "../support/rng.rs"]
mod rng;

mod model_a;
mod model_b;
