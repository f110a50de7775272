//! Models of what is promised, compared command by command with what is there.

#[path = "../support/injected_panics.rs"]
mod injected_panics;
#[path = "../support/rng.rs"]
mod rng;

mod model_a;
mod model_b;
