//! The pids that a runtime hands out.
//!
//! All runtimes of a program draw their pids from one row of numbers, in blocks. So a pid belongs to
//! one runtime of the program, and no other runtime has it in its table: the look-up that every
//! operation on a pid begins with finds nothing, at no extra cost. The runtimes of chaos runs are an
//! exception: each begins with 1.
//!
//! Invariants:
//! 1. A runtime hands out its pids in increasing order, since the number of a block is greater than
//!    all that were drawn before.
//! 2. No block is drawn twice. If two threads find at once that the block of their runtime is used up,
//!    both draw one, and the second block stays unused.

use crate::base::pid::Pid;
use crate::base::random::is_thread_seeded;
use crate::base::sync::atomic::{AtomicU64, Ordering};

/// The number of pids in a block. The first pid of a block is a multiple of this, plus 1, so the first
/// runtime of a program begins with 1, and [`Pid::OUTSIDE`] is in no block.
const BLOCK: u64 = 1_024;

/// The number of blocks: a pid has 48 bits for its number.
const BLOCKS: u64 = (1 << Pid::NUMBER_BITS) / BLOCK - 1;

/// The number of blocks that were drawn. No protocol that a model checker explores depends on it.
static DRAWN: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);

/// Hands out the pids of one runtime.
#[derive(Debug, Default)]
pub(crate) struct PidSource {
    /// The last pid; 0 if there was none.
    last: AtomicU64,
    /// Whether the pids of this runtime begin with 1, whatever other runtimes the program has. A model
    /// checker, and the replay of a chaos run, need the same pids in each run.
    is_repeatable: bool,
}

impl PidSource {
    pub(crate) fn new() -> Self {
        let is_checked = cfg!(any(regrow_loom, regrow_shuttle));
        PidSource { last: AtomicU64::new(0), is_repeatable: is_checked || is_thread_seeded() }
    }

    /// Returns a pid that this source has never returned before, and that no other source of the program
    /// returns, unless one of the two is repeatable.
    #[inline]
    pub(crate) fn next(&self) -> Pid {
        if self.is_repeatable {
            return Pid::from_raw(self.last.fetch_add(1, Ordering::Relaxed) + 1);
        }
        let mut last = self.last.load(Ordering::Relaxed);
        loop {
            let next = if last.is_multiple_of(BLOCK) { first_of_block() } else { last + 1 };
            let order = Ordering::Relaxed;
            match self.last.compare_exchange(last, next, order, order) {
                Ok(_) => return Pid::from_raw(next),
                Err(later) => last = later,
            }
        }
    }

    /// Returns the last pid, or [`Pid::OUTSIDE`] if there was none. All later pids are greater.
    pub(crate) fn last(&self) -> Pid {
        Pid::from_raw(self.last.load(Ordering::Relaxed))
    }
}

/// Draws a block, and returns its first pid.
#[cold]
#[inline(never)]
fn first_of_block() -> u64 {
    let block = DRAWN.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    assert!(block < BLOCKS, "the program has used up its 2^48 pids");
    block * BLOCK + 1
}

#[cfg(test)]
mod tests {
    use super::{BLOCK, PidSource};
    use std::collections::HashSet;
    use std::thread::scope;

    #[test]
    fn sources_hand_out_increasing_pids_and_never_the_same() {
        let sources = [PidSource::new(), PidSource::new()];
        let draw = |source: &PidSource| {
            let drawn: Vec<_> = (0..5 * BLOCK).map(|_| source.next()).collect();
            assert!(drawn.is_sorted_by(|one, next| one < next));
            assert!(drawn.iter().all(|pid| *pid <= source.last() && !pid.is_foreign()));
            drawn
        };
        let drawn: Vec<_> = scope(|scope| {
            let thread = |at: usize| {
                scope.spawn({
                    let (source, draw) = (&sources[at], &draw);
                    move || draw(source)
                })
            };
            let threads = [0, 1, 0, 1].map(thread);
            threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
        });
        let all: HashSet<_> = drawn.iter().collect();
        assert_eq!(all.len(), drawn.len());
    }
}
