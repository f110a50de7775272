//! Resident bytes, of processes and of servers, idle and after work; up to 1,000,000 of them. The
//! targets of the bytes asked for are those of the resident bytes less what an allocator adds.

use crate::sides::{allocated_by, resident_of};
use crate::support::{Bench, Row, Target, resident};

pub(crate) fn rows(bench: &Bench) {
    let row = |text, target, size| Row { text, unit: "bytes", target, size };
    let asked = row("an idle process, asked for, one of 1,000,000", Target::Cost(320.0), 1_000_000);
    bench.compare(&asked, |n| allocated_by("task", n), |n| allocated_by("process", n));
    let asked = row("an idle server, asked for, one of 100,000", Target::Cost(560.0), 100_000);
    bench.compare(&asked, |n| allocated_by("service", n), |n| allocated_by("server", n));
    if resident().is_none() {
        return;
    }
    let idle = row("an idle process, resident, one of 1,000,000", Target::Cost(420.0), 1_000_000);
    bench.compare(&idle, |n| resident_of("task", n), |n| resident_of("process", n));
    let used = row("after 8 bytes, resident, one of 100,000", Target::Cost(480.0), 100_000);
    bench.compare(&used, |n| resident_of("task+", n), |n| resident_of("process+", n));
    let idle = row("an idle server, resident, one of 100,000", Target::Cost(700.0), 100_000);
    bench.compare(&idle, |n| resident_of("service", n), |n| resident_of("server", n));
    let used = row("a server after a call, resident, one of 100,000", Target::Cost(760.0), 100_000);
    bench.compare(&used, |n| resident_of("service+", n), |n| resident_of("server+", n));

    bench.growth_header("resident bytes of each");
    let flat = |text| row(text, Target::Ratio(1.05), 0);
    bench.growth_each(&flat("an idle process"), |n| resident_of("process", n));
    let raw = row("a task with a channel, raw", Target::None, 0);
    bench.growth_each(&raw, |n| resident_of("task", n));
    bench.growth_each(&flat("an idle server"), |n| resident_of("server", n));
}
