//! Idle processes that have received nothing or one empty message, and idle servers.

use crate::sides::{allocated_by, resident_of};
use crate::support::{Bench, Row, Target, resident};

pub(crate) fn rows(bench: &Bench) {
    let row = |text, target, size| Row { text, unit: "bytes", target, size };
    let idle = |text, size| row(text, Target::Ratio(0.36), size);
    let (raw, process) = (|n| allocated_by("task", n), |n| allocated_by("process", n));
    bench.compare(&idle("an idle process, one of 10,000", 10_000), raw, process);
    bench.compare(&idle("an idle process, one of 100,000", 100_000), raw, process);
    bench.compare(&idle("an idle process, one of 1,000,000", 1_000_000), raw, process);
    let used = row("after one message, one of 100,000", Target::Ratio(0.45), 100_000);
    let (raw_used, used_process) = (|n| allocated_by("task+", n), |n| allocated_by("process+", n));
    bench.compare(&used, raw_used, used_process);
    let server = row("an idle server, one of 100,000", Target::None, 100_000);
    bench.compare(&server, raw, |n| allocated_by("server", n));
    if resident().is_some() {
        let (raw, process) = (|n| resident_of("task", n), |n| resident_of("process", n));
        let first = idle("an idle process, resident, one of 100,000", 100_000);
        bench.compare(&first, raw, process);
        let server = row("an idle server, resident, one of 100,000", Target::None, 100_000);
        bench.compare(&server, raw, |n| resident_of("server", n));
    }
}
