//! The cost of supervision: restarts, starts and stops on demand, the stop of many children.

#[path = "../support/mod.rs"]
mod support;

mod by_hand;
mod demanding;
mod simple;

use support::{Bench, Table};

fn main() {
    // Printing the panic message is not measured.
    std::panic::set_hook(Box::new(|_| {}));
    let bench = Bench::new("supervision");
    if bench.shows(Table::Demanding) {
        demanding::rows(&bench);
    }
    if bench.shows(Table::Simple) {
        simple::rows(&bench);
    }
}
