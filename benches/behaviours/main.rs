//! The cost of state machines, events, pools and pipelines, beside the servers, semaphores and
//! channels that they replace.

#[path = "../support/mod.rs"]
mod support;

mod agents;

use support::{Bench, Table};

fn main() {
    let bench = Bench::new("behaviours");
    if bench.shows(Table::Demanding) {
        agents::rows(&bench);
    }
mod events;
mod policies;
mod pools;
mod limits;
mod pipelines;
mod machines;

use support::Bench;

fn main() {
    let bench = Bench::new("behaviours");
    events::rows(&bench);
    policies::rows(&bench);
    pools::rows(&bench);
    pipelines::rows(&bench);
    limits::rows(&bench);
    machines::rows(&bench);
}
