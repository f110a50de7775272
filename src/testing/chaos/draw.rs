//! Draws the faults of a plan from its seed.

use std::ops::RangeInclusive;
use std::time::Duration;

use crate::base::random::{Random, mixed};
use crate::testing::chaos::fault::{Effect, Fault, PlannedFault, Target};

/// The kinds of faults to draw, and the limits of their number, times and values.
#[derive(Debug, Clone)]
pub(super) struct Ranges {
    pub(super) kinds: Vec<Fault>,
    pub(super) faults: RangeInclusive<usize>,
    pub(super) duration: Duration,
    pub(super) apart: Duration,
    pub(super) hang: RangeInclusive<Duration>,
    pub(super) slow_init: RangeInclusive<Duration>,
    pub(super) failed_starts: RangeInclusive<usize>,
    pub(super) lost_messages: RangeInclusive<usize>,
}

impl Ranges {
    /// Draws the faults, in the order in which they happen. The same seed gives the same faults.
    pub(super) fn draw(&self, seed: u64) -> Vec<PlannedFault> {
        let mut random = Random::seeded(mixed(seed));
        let count = self.count(&mut random);
        let whole = millis(self.duration);
        let apart = if count > 1 { millis(self.apart) } else { 0 };
        let between = apart.saturating_mul(u64::try_from(count.saturating_sub(1)).unwrap_or(0));
        let mut times: Vec<u64> =
            (0..count).map(|_| number(&mut random, &(0..=whole.saturating_sub(between)))).collect();
        times.sort_unstable();
        let at = |nth: usize, time: u64| {
            let waits = apart.saturating_mul(u64::try_from(nth).unwrap_or(0));
            Duration::from_millis(time.saturating_add(waits))
        };
        let planned = times.into_iter().enumerate().map(|(nth, time)| PlannedFault {
            number: nth + 1,
            at: at(nth, time),
            effect: self.effect(&mut random),
            target: Target::Drawn(bits(&mut random)),
        });
        planned.collect()
    }

    /// Draws the number of faults. A number that does not fit into the duration is reduced to the
    /// largest number that fits.
    fn count(&self, random: &mut Random) -> usize {
        if self.kinds.is_empty() {
            return 0;
        }
        let most = match millis(self.apart) {
            0 => usize::MAX,
            apart => usize::try_from(millis(self.duration) / apart).unwrap_or(usize::MAX),
        };
        size(random, &self.faults).min(most.saturating_add(1))
    }

    fn effect(&self, random: &mut Random) -> Effect {
        let kind = random.below(self.kinds.len());
        let time = |random: &mut Random, range: &RangeInclusive<Duration>| {
            let range = millis(*range.start())..=millis(*range.end());
            Duration::from_millis(number(random, &range))
        };
        match self.kinds[kind] {
            Fault::Kill => Effect::Kill,
            Fault::Hang => Effect::Hang(time(random, &self.hang)),
            Fault::SlowInit => Effect::SlowInit(time(random, &self.slow_init)),
            Fault::FailedStart => Effect::FailedStart(size(random, &self.failed_starts)),
            Fault::LostMessages => Effect::LostMessages(size(random, &self.lost_messages)),
        }
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

fn bits(random: &mut Random) -> u64 {
    let half = |random: &mut Random| u64::try_from(random.below(1 << 16)).unwrap_or(0);
    (0..4).fold(0, |bits, _| bits << 16 | half(random))
}

fn number(random: &mut Random, range: &RangeInclusive<u64>) -> u64 {
    let bits = bits(random);
    let width = range.end().saturating_sub(*range.start());
    range.start() + if width == u64::MAX { bits } else { bits % (width + 1) }
}

fn size(random: &mut Random, range: &RangeInclusive<usize>) -> usize {
    let wide = |size: usize| u64::try_from(size).unwrap_or(u64::MAX);
    let drawn = number(random, &(wide(*range.start())..=wide(*range.end())));
    usize::try_from(drawn).unwrap_or(usize::MAX)
}
