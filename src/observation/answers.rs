//! The answers of one dynamic supervisor, put together: the children of a picture, and what they
//! include.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;
use std::sync::Arc;
use std::vec;

use crate::base::{Pid, ignore_panic};
use crate::restart::RestartBudget;
use crate::supervisor::PublishedChild;
use crate::supervisor::dynamic::fold::{FoldAnswer, FoldedChild, FoldedCounts, PART, Rank};
use crate::supervisor::ended_children::{EndedChild, EndedChildren};

/// The answers of a dynamic supervisor.
#[derive(Debug)]
pub(super) struct Fold {
    pub(super) counts: FoldedCounts,
    pub(super) worst: WorstFirst,
    /// The last children that were forgotten.
    pub(super) ended: EndedChildren<PublishedChild>,
    pub(super) budget: Option<RestartBudget>,
    /// The number of the last change that the first answer includes.
    pub(super) last_change: u64,
    /// What the other answers include, if there are any.
    pub(super) parts: Option<Parts>,
    listed: usize,
}

/// What the answers about the parts of the children include.
#[derive(Debug)]
pub(super) struct Parts {
    /// All children, in the order of their pids.
    pids: Arc<Vec<Pid>>,
    /// The number of the last change that the answer about each part includes.
    numbers: Vec<u64>,
}

/// The children of several lists, each of which begins with its worst child: the worst of all first.
#[derive(Debug, Default)]
pub(super) struct WorstFirst {
    lists: Vec<vec::IntoIter<FoldedChild>>,
    /// The first child of each list that is not empty, and the place of the list. The worst is on top.
    first: BinaryHeap<Reverse<(Rank, usize)>>,
    /// How many children are still to be returned at most.
    left: usize,
}

impl Fold {
    /// Begins with the first answer. `listed` is the number of children that the picture lists.
    pub(super) fn new(first: FoldAnswer, listed: usize) -> Self {
        let FoldAnswer { counts, worst, ended, budget, last_change, .. } = first;
        let worst = WorstFirst::new(vec![worst], listed);
        Fold { counts, worst, ended, budget, last_change, parts: None, listed }
    }

    /// Says which children are read in parts: these, in the order of their pids.
    pub(super) fn in_parts(&mut self, pids: Arc<Vec<Pid>>) {
        let numbers = Vec::with_capacity(pids.len().div_ceil(PART));
        self.parts = Some(Parts { pids, numbers });
    }

    /// Adds the answer about the next part.
    pub(super) fn add(&mut self, answer: FoldAnswer) {
        let FoldAnswer { counts, worst, gone, ended, last_change, .. } = answer;
        self.counts.add(counts);
        self.parts.iter_mut().for_each(|parts| parts.numbers.push(last_change));
        self.worst.add(worst);
        if self.worst.len() > self.listed.saturating_mul(2).max(PART) {
            let all = std::mem::take(&mut self.worst);
            self.worst = WorstFirst::new(vec![all.collect()], self.listed);
        }
        // Other children that have ended were not in the first answer: their ends follow.
        let of_part = |ended: &EndedChild<PublishedChild>| {
            let pid = ended.child.history.last().and_then(|last| last.pid);
            pid.is_some_and(|pid| gone.contains(&pid))
        };
        for ended in ended.last(usize::MAX, of_part) {
            let forgotten = self.ended.push(ended.clone());
            ignore_panic(|| drop(forgotten));
        }
    }

    /// Whether all answers have been added.
    pub(super) fn is_complete(&self) -> bool {
        self.parts
            .as_ref()
            .is_none_or(|parts| parts.numbers.len() == parts.pids.len().div_ceil(PART))
    }
}

impl Parts {
    /// Returns the number of the last change that the answer about this child includes; `None` if it is
    /// in no part.
    pub(super) fn number(&self, child: Pid) -> Option<u64> {
        let at = self.pids.binary_search(&child).ok()?;
        self.numbers.get(at / PART).copied()
    }

    /// Returns the number of the last change that is included.
    pub(super) fn last(&self) -> u64 {
        self.numbers.iter().copied().max().unwrap_or(0)
    }
}

impl WorstFirst {
    fn new(lists: Vec<Vec<FoldedChild>>, most: usize) -> Self {
        let mut all = WorstFirst { lists: Vec::new(), first: BinaryHeap::new(), left: most };
        lists.into_iter().for_each(|list| all.add(list));
        all
    }

    fn add(&mut self, list: Vec<FoldedChild>) {
        let place = self.lists.len();
        self.first.extend(list.first().map(|first| Reverse((first.rank, place))));
        self.lists.push(list.into_iter());
    }

    fn len(&self) -> usize {
        self.lists.iter().map(|list| list.len()).sum()
    }
}

impl Iterator for WorstFirst {
    type Item = FoldedChild;

    fn next(&mut self) -> Option<FoldedChild> {
        self.left = self.left.checked_sub(1)?;
        let mut first = self.first.peek_mut()?;
        let Reverse((_, place)) = *first;
        let list = self.lists.get_mut(place)?;
        let child = list.next();
        match list.as_slice().first() {
            Some(next) => *first = Reverse((next.rank, place)),
            None => drop(PeekMut::pop(first)),
        }
        child
    }
}

/// The children that are not listed hold values of a user, whose drop may panic.
impl Drop for WorstFirst {
    fn drop(&mut self) {
        for list in self.lists.drain(..) {
            ignore_panic(|| drop(list));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Parts;
    use crate::base::pid::Pid;
    use crate::supervisor::dynamic::fold::PART;
    use std::sync::Arc;

    #[test]
    fn each_child_has_the_number_of_its_part() {
        let pids: Vec<Pid> = (1..=PART as u64 + 1).map(|at| Pid::from_raw(2 * at)).collect();
        let parts = Parts { pids: Arc::new(pids.clone()), numbers: vec![7, 5] };
        assert_eq!(parts.number(pids[0]), Some(7));
        assert_eq!((parts.number(pids[PART - 1]), parts.number(pids[PART])), (Some(7), Some(5)));
        assert_eq!(parts.number(Pid::from_raw(3)), None);
        assert_eq!(parts.last(), 7);
    }
}
