//! The cost of a message without a reply.

#[path = "../support/mod.rs"]
mod support;

mod demanding;
mod simple;

use support::{Bench, Table};

fn main() {
    let bench = Bench::new("send");
    if bench.shows(Table::Demanding) {
        demanding::rows(&bench);
    }
    if bench.shows(Table::Simple) {
        simple::rows(&bench);
    }
}
