//! The memory of a process: the bytes that it allocates, and the bytes that are resident.
//!
//! A global allocator counts the *allocated* bytes, so the figures are exact and the same in each
//! run. The counting allocator is a crate because this crate forbids `unsafe`.
//!
//! The operating system counts the *resident* bytes (`/proc/self/statm`, so these rows are printed on
//! Linux only). They are more, since an allocator rounds sizes up and has data of its own. Freed
//! memory is reused, so each figure is measured in a new process of this program.
//!
//! Raw: a task that waits on the receiver of an mpsc channel, with its sender kept. Beside a server,
//! raw is a task that serves requests with oneshots and has a state of the same size.

#[path = "../support/mod.rs"]
mod support;

mod demanding;
mod observation;
mod sides;
mod simple;

use peak_alloc::PeakAlloc;
use support::{Bench, Table};

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

fn main() {
    if let Some((side, size)) = support::ordered() {
        return sides::measure_resident(&side, size);
    }
    let bench = Bench::new("memory");
    if bench.shows(Table::Demanding) {
        demanding::rows(&bench);
        observation::rows(&bench);
    }
    if bench.shows(Table::Simple) {
        simple::rows(&bench);
    }
}

fn allocated() -> usize {
    ALLOCATOR.current_usage()
}
