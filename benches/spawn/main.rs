//! The cost of a process from its spawn until it is reaped.

#[path = "../support/mod.rs"]
mod support;

mod demanding;
mod simple;

use support::{Bench, Table};

fn main() {
    let bench = Bench::new("spawn");
    if bench.shows(Table::Demanding) {
        demanding::rows(&bench);
    }
    if bench.shows(Table::Simple) {
        simple::rows(&bench);
    }
}
