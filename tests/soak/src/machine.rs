//! What the operating system says about this program.

use std::fs::{read_dir, read_to_string};

/// The resident memory in KiB.
pub(crate) fn resident() -> u64 {
    let pages = read_to_string("/proc/self/statm");
    let pages = pages.ok().and_then(|text| text.split(' ').nth(1)?.parse::<u64>().ok());
    pages.unwrap_or_default() * 4
}

/// The number of open file descriptors.
pub(crate) fn descriptors() -> usize {
    // The folder that is read is one of them.
    read_dir("/proc/self/fd").map_or(0, |entries| entries.count().saturating_sub(1))
}

/// The processor time in ticks, a hundred to the second.
pub(crate) fn ticks() -> u64 {
    let stat = read_to_string("/proc/self/stat").unwrap_or_default();
    let after = stat.rsplit(") ").next().unwrap_or_default();
    after.split(' ').skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum()
}
