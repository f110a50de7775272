//! What Linux counts for this process: resident bytes, processor time. Elsewhere there is nothing.

use std::process::Command;

/// The environment variable that names what a new process of this program measures.
const ORDER: &str = "REGROW_BENCH_ORDER";

/// The size of a page, in which Linux counts resident memory. It is 4 KiB on all common targets of
/// Linux; where it is larger, both sides of a row are too small by the same factor.
const PAGE: usize = 4096;

/// The resident bytes of this process.
pub(crate) fn resident() -> Option<usize> {
    let pages = std::fs::read_to_string("/proc/self/statm").ok()?;
    let resident: usize = pages.split_whitespace().nth(1)?.parse().ok()?;
    Some(resident * PAGE)
}

/// The processor time of all threads of this process that still run, in nanoseconds.
pub(crate) fn cpu_nanos() -> Option<f64> {
    let mut sum = 0.0;
    for thread in std::fs::read_dir("/proc/self/task").ok()? {
        let schedule = std::fs::read_to_string(thread.ok()?.path().join("schedstat")).ok()?;
        sum += schedule.split_whitespace().next()?.parse::<f64>().ok()?;
    }
    Some(sum)
}

/// Runs this program again to measure one side alone, and returns the number that it prints. Freed
/// memory is used again, so the resident bytes of two sides can't be measured in one process.
pub(crate) async fn in_new_process(side: &str, size: usize) -> f64 {
    let own = std::env::current_exe().expect("a bench is a file");
    let measured = Command::new(own).env(ORDER, format!("{side} {size}")).output();
    let measured = measured.expect("the program can be started");
    let number = String::from_utf8_lossy(&measured.stdout);
    number.trim().parse().expect("it prints a number")
}

/// The side and the size that [`in_new_process`] started this process for.
pub(crate) fn ordered() -> Option<(String, usize)> {
    let order = std::env::var(ORDER).ok()?;
    let (side, size) = order.split_once(' ').expect("a side and its size");
    Some((side.into(), size.parse().expect("a number")))
}
