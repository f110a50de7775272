//! The strategies, which say which children are restarted together.

use std::ops::RangeInclusive;

/// A child's position in the start order. Later children have greater positions, and no position is
/// used twice.
pub(crate) type Position = u64;

/// Which children are restarted when one has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Strategy {
    #[default]
    OneForOne,
    OneForAll,
    RestForOne,
}

impl Strategy {
    /// Returns the name of the strategy in OTP.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Strategy::OneForOne => "one_for_one",
            Strategy::OneForAll => "one_for_all",
            Strategy::RestForOne => "rest_for_one",
        }
    }

    /// Returns the positions of the children that are stopped and started together with the child
    /// at `of`, which is included.
    pub(crate) fn group(self, of: Position) -> RangeInclusive<Position> {
        match self {
            Strategy::OneForOne => of..=of,
            Strategy::OneForAll => Position::MIN..=Position::MAX,
            Strategy::RestForOne => of..=Position::MAX,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Position, Strategy};

    /// RST-003: the group of a child is the child alone, all children, or the child and those after
    /// it.
    #[test]
    fn the_strategy_decides_which_children_are_in_a_group() {
        let group = |strategy: Strategy, of| {
            let group = strategy.group(of);
            [1, 2, 7]
                .into_iter()
                .filter(|position| group.contains(position))
                .collect::<Vec<Position>>()
        };
        for of in [1, 2, 7] {
            assert_eq!(group(Strategy::OneForOne, of), [of]);
            assert_eq!(group(Strategy::OneForAll, of), [1, 2, 7]);
        }
        assert_eq!(group(Strategy::RestForOne, 1), [1, 2, 7]);
        assert_eq!(group(Strategy::RestForOne, 2), [2, 7]);
        assert_eq!(group(Strategy::RestForOne, 7), [7]);
    }
}
