//! The records of the children of one fixed supervisor, sorted by position.
//!
//! A restart of a group looks each child up a dozen times. Positions are numbers in the order in which
//! children were added, so the index of a child is its distance from the first, unless a child in
//! between was removed. Then it is smaller.

use std::ops::RangeInclusive;

use crate::supervisor::Position;
use crate::supervisor::fixed::Child;

#[derive(Debug, Default)]
pub(super) struct ChildList {
    /// The records are boxed, so that the removal of a child moves few bytes of the others.
    sorted: Vec<(Position, Box<Child>)>,
}

impl ChildList {
    /// Adds a child, whose position is greater than all others.
    pub(super) fn push(&mut self, position: Position, child: Child) {
        self.sorted.push((position, Box::new(child)));
    }

    pub(super) fn get(&self, position: Position) -> Option<&Child> {
        let index = self.index(position)?;
        self.sorted.get(index).map(|(_, child)| &**child)
    }

    pub(super) fn get_mut(&mut self, position: Position) -> Option<&mut Child> {
        let index = self.index(position)?;
        self.sorted.get_mut(index).map(|(_, child)| &mut **child)
    }

    pub(super) fn remove(&mut self, position: Position) -> Option<Box<Child>> {
        let index = self.index(position)?;
        Some(self.sorted.remove(index).1)
    }

    pub(super) fn last_position(&self) -> Option<Position> {
        self.sorted.last().map(|(position, _)| *position)
    }

    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = &Child> {
        self.sorted.iter().map(|(_, child)| &**child)
    }

    /// Returns the children in this range of positions, with their positions.
    pub(super) fn range(
        &self,
        range: RangeInclusive<Position>,
    ) -> impl Iterator<Item = (Position, &Child)> {
        let from = self.sorted.partition_point(|(position, _)| position < range.start());
        let (children, end) = (self.sorted[from..].iter(), *range.end());
        let in_range = children.take_while(move |(position, _)| *position <= end);
        in_range.map(|(position, child)| (*position, &**child))
    }

    fn index(&self, position: Position) -> Option<usize> {
        let (first, _) = self.sorted.first()?;
        let distance = usize::try_from(position.checked_sub(*first)?).ok()?;
        match self.sorted.get(distance) {
            Some((found, _)) if *found == position => Some(distance),
            _ => self.sorted.binary_search_by_key(&position, |(position, _)| *position).ok(),
        }
    }
}
