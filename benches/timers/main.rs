//! The cost of timers.

#[path = "../support/mod.rs"]
mod support;

mod demanding;
mod simple;

use support::{Bench, Table};

fn main() {
    let bench = Bench::new("timers");
    if bench.shows(Table::Demanding) {
        demanding::rows(&bench);
    }
    if bench.shows(Table::Simple) {
        simple::rows(&bench);
    }
}
