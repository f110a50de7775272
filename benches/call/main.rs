//! The cost of a call and its reply.

#[path = "../support/mod.rs"]
mod support;

mod demanding;
mod simple;

use support::{Bench, Table};

fn main() {
    let bench = Bench::new("call");
    if bench.shows(Table::Demanding) {
        demanding::rows(&bench);
    }
    if bench.shows(Table::Simple) {
        simple::rows(&bench);
    }
}
