//! The pause before workers are started again, after workers that did not prove usable.
//!
//! A *round* is the starts between two pauses. Each worker has the number of the round in which it
//! was started. Invariants:
//!
//! 1. Only the first failure in a round ends it. Ten starts that fail together are one failed round.
//! 2. The pause doubles with each round that fails after another one. Only a worker of the present
//!    round, one that was started after the last failure, shows that workers are usable again.

use std::time::Duration;

/// The pause after a failed round. It doubles with each further one.
const FIRST_PAUSE: Duration = Duration::from_millis(10);

/// The longest pause. It is shorter than the limit of a [`checkout`](crate::PoolRef::checkout).
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

#[derive(Default)]
pub(super) struct Failures {
    /// The present round.
    round: u64,
    /// The number of rounds that have failed one after the other.
    in_a_row: u32,
    /// Whether a round has failed, and the server has not paused since.
    is_due: bool,
}

impl Failures {
    pub(super) fn round(&self) -> u64 {
        self.round
    }

    /// Records that a worker of this round has failed.
    pub(super) fn failed(&mut self, round: u64) {
        if round == self.round {
            self.round += 1;
            self.in_a_row = self.in_a_row.saturating_add(1);
            self.is_due = true;
        }
    }

    /// Records that a worker of this round is usable.
    pub(super) fn succeeded(&mut self, round: u64) {
        if round == self.round {
            self.in_a_row = 0;
        }
    }

    /// Returns the pause that the server has to make now.
    pub(super) fn take_pause(&mut self) -> Option<Duration> {
        let is_due = std::mem::take(&mut self.is_due) && self.in_a_row > 0;
        let factor = 2_u32.saturating_pow(self.in_a_row.saturating_sub(1));
        is_due.then(|| FIRST_PAUSE.saturating_mul(factor).min(LONGEST_PAUSE))
    }

    /// Makes a new incarnation of the server pause, if the last round has failed.
    pub(super) fn reopen(&mut self) {
        self.is_due |= self.in_a_row > 0;
    }
}

#[cfg(test)]
mod tests;
