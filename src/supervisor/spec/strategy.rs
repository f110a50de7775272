//! Who goes down and comes back together.

use std::ops::RangeInclusive;

/// A child's place in the start order: later children have greater ones, and none is used
/// twice.
pub(crate) type Position = u64;

/// Which children are restarted when one ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Strategy {
    #[default]
    OneForOne,
    OneForAll,
    RestForOne,
}

impl Strategy {
    /// As OTP spells it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Strategy::OneForOne => "one_for_one",
            Strategy::OneForAll => "one_for_all",
            Strategy::RestForOne => "rest_for_one",
        }
    }

    /// The children that are stopped and started again with the one at this place, itself
    /// included.
    pub(crate) fn group(self, failed: Position) -> RangeInclusive<Position> {
        match self {
            Strategy::OneForOne => failed..=failed,
            Strategy::OneForAll => Position::MIN..=Position::MAX,
            Strategy::RestForOne => failed..=Position::MAX,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Position, Strategy};

    /// RST-003.
    #[test]
    fn the_strategy_decides_who_goes_down() {
        let group = |strategy: Strategy, failed| {
            let group = strategy.group(failed);
            [1, 2, 7]
                .into_iter()
                .filter(|position| group.contains(position))
                .collect::<Vec<Position>>()
        };
        for failed in [1, 2, 7] {
            assert_eq!(group(Strategy::OneForOne, failed), [failed]);
            assert_eq!(group(Strategy::OneForAll, failed), [1, 2, 7]);
        }
        assert_eq!(group(Strategy::RestForOne, 1), [1, 2, 7]);
        assert_eq!(group(Strategy::RestForOne, 2), [2, 7]);
        assert_eq!(group(Strategy::RestForOne, 7), [7]);
    }
}
