//! Reads the counters of children in slices: a runtime counts up to 10,000 paths apart.

use crate::kernel::Kernel;
use crate::observation::slices::SLICE;
use crate::observe::ChildCounters;

/// How many counters are read in one slice. Of one counter, a name is shared and two numbers are copied.
const COUNTERS: usize = 4 * SLICE;

/// Adds the counters of the children after those that were read, in the order of their paths. Returns
/// whether there may be more.
pub(super) fn add_slice(kernel: &Kernel, read: &mut Vec<ChildCounters>) -> bool {
    let next = kernel.counters.children(read.last().map(|last| &last.path), COUNTERS);
    let is_full = next.len() == COUNTERS;
    read.extend(next);
    is_full
}
