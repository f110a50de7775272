//! When the sweeper sweeps next.
//!
//! A slot that is armed needs a sweep at its deadline. Besides, the sweeper sweeps once after a
//! request, at the latest after [`MAX_SWEEP_INTERVAL`](super::MAX_SWEEP_INTERVAL), so that later
//! calls find a `next_sweep` before their deadlines. It sweeps frequently while many calls are
//! made: the rate of calls is counted from one sweep to the next, first
//! [`FIRST_COUNT`] after a request has woken the sweeper.

use crate::time::deadline_pool::slot_pool::NEVER;
use crate::time::deadline_pool::{FIRST_COUNT, FREQUENT, FREQUENT_INTERVAL, FREQUENT_USES};

/// What the sweeper remembers from one sweep to the next.
#[derive(Debug)]
pub(super) struct SweepRate {
    /// Whether the clock of the sweeper's tokio can't be paused.
    clock_runs: bool,
    /// The instant and the number of uses at the last sweep; `None` if the sweeper had no timer
    /// after it.
    last: Option<(u64, u64)>,
    /// The sweep that a request needs, which frequent sweeps before it do not replace.
    requested: u64,
}

impl SweepRate {
    pub(super) fn new(clock_runs: bool) -> Self {
        SweepRate { clock_runs, last: None, requested: NEVER }
    }

    /// Returns the instant of the next sweep, marked with [`FREQUENT`] if sweeps are frequent, or
    /// [`NEVER`]. `uses` is the number of uses of slots up to now, `earliest` the earliest deadline
    /// of a slot, and `requested` the sweep that is needed because of slots and requests, if any.
    pub(super) fn next_sweep(
        &mut self,
        now: u64,
        uses: u64,
        earliest: u64,
        requested: Option<u64>,
    ) -> u64 {
        if !self.clock_runs {
            return requested.map_or(NEVER, |requested| requested.min(earliest));
        }
        if self.requested <= now {
            self.requested = NEVER;
        }
        self.requested = self.requested.min(requested.unwrap_or(NEVER));
        let last = self.last.replace((now, uses));
        let frequent = last.is_some_and(|last| is_frequent(last, (now, uses)));
        let next = self.requested.min(earliest);
        let next = match last {
            _ if frequent => next.min(now + FREQUENT_INTERVAL) | FREQUENT,
            None if next != NEVER => next.min(now + FIRST_COUNT),
            _ => next,
        };
        if next == NEVER {
            self.last = None;
        }
        next
    }
}

/// Whether at least [`FREQUENT_USES`] uses per millisecond lie between two countings.
fn is_frequent((start, uses_before): (u64, u64), (now, uses): (u64, u64)) -> bool {
    let (uses, nanos) = (uses.wrapping_sub(uses_before), now.saturating_sub(start));
    nanos > 0 && uses.saturating_mul(1_000_000) >= nanos.saturating_mul(FREQUENT_USES)
}

#[cfg(test)]
mod tests {
    use super::SweepRate;
    use crate::time::deadline_pool::due::is_frequent;
    use crate::time::deadline_pool::slot_pool::NEVER;
    use crate::time::deadline_pool::{FIRST_COUNT, FREQUENT, FREQUENT_INTERVAL};

    const MS: u64 = 1_000_000;
    const REQUESTED: u64 = 5_000 * MS;

    #[test]
    fn sweeps_are_frequent_while_many_calls_use_slots() {
        let mut rate = SweepRate::new(true);
        let first = rate.next_sweep(0, 0, NEVER, Some(REQUESTED));
        assert_eq!(first, FIRST_COUNT, "the first count comes soon after the request");
        let (mut now, mut uses) = (first, 1_000);
        for _ in 0..3 {
            let next = rate.next_sweep(now, uses, NEVER, None);
            assert_eq!(next, (now + FREQUENT_INTERVAL) | FREQUENT);
            (now, uses) = (next & !FREQUENT, uses + 1_000);
        }
        let next = rate.next_sweep(now, uses - 999, NEVER, None);
        assert_eq!(next, REQUESTED, "few calls, and the sweep of the request is still to come");
        assert_eq!(rate.next_sweep(next, uses, NEVER, None), NEVER);
    }

    #[test]
    fn a_frequent_sweep_comes_no_later_than_the_earliest_deadline() {
        let mut rate = SweepRate::new(true);
        rate.next_sweep(0, 0, NEVER, Some(REQUESTED));
        let next = rate.next_sweep(MS, 1_000, 3 * MS, Some(REQUESTED));
        assert_eq!(next, (3 * MS) | FREQUENT);
    }

    #[test]
    fn few_calls_make_no_more_sweeps_than_slots_and_requests_need() {
        let mut rate = SweepRate::new(true);
        let first = rate.next_sweep(0, 0, NEVER, Some(REQUESTED));
        assert_eq!(rate.next_sweep(first, 10, NEVER, None), REQUESTED);
        assert_eq!(rate.next_sweep(REQUESTED, 20, NEVER, None), NEVER);
        assert_eq!(rate.next_sweep(2 * REQUESTED, 9_999_999, NEVER, None), NEVER);
    }

    /// Deadlines are exact under a paused clock, which only a runtime of one thread can have.
    #[test]
    fn sweeps_are_never_frequent_where_the_clock_can_be_paused() {
        let mut rate = SweepRate::new(false);
        for now in [0, MS, 2 * MS] {
            let next = rate.next_sweep(now, now, NEVER, Some(REQUESTED + now));
            assert_eq!(next, REQUESTED + now);
        }
        let odd = rate.next_sweep(0, 0, 7, Some(REQUESTED));
        assert!(odd == 7 && !is_frequent(odd));
    }
}
