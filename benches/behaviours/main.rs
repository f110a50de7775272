//! The cost of state machines, events, pools and pipelines, beside the servers, semaphores and
//! channels that they replace.

#[path = "../support/mod.rs"]
mod support;

mod machines;

use support::Bench;

fn main() {
    let bench = Bench::new("behaviours");
    machines::rows(&bench);
}
