//! The last children of a supervisor that ended for good and were forgotten.
//!
//! A viewer that comes late still finds why they ended. A crash is always kept. The many children of
//! a dynamic supervisor that end cleanly are kept only while there is an observation, so that they
//! cost nothing otherwise and do not replace the crashes.

use std::collections::VecDeque;

/// The number of ended children that one supervisor keeps.
pub(crate) const KEPT: usize = 16;

/// Ended children, oldest first, each with its key in the published state.
#[derive(Debug, Clone)]
#[expect(
    clippy::box_collection,
    reason = "one word instead of four in a supervisor that has forgotten no child"
)]
pub(crate) struct EndedChildren<C>(Option<Box<VecDeque<(u64, C)>>>);

impl<C> Default for EndedChildren<C> {
    fn default() -> Self {
        EndedChildren(None)
    }
}

impl<C> EndedChildren<C> {
    /// Adds a child. Returns the child that has no room any more, which the caller drops after
    /// unlock.
    #[must_use = "dropping the child runs a user's code"]
    pub(crate) fn push(&mut self, key: u64, child: C) -> Option<C> {
        let kept = self.0.get_or_insert_default();
        kept.push_back((key, child));
        if kept.len() > KEPT { kept.pop_front().map(|(_, child)| child) } else { None }
    }

    /// Returns the last `most` children, oldest first.
    pub(crate) fn last(&self, most: usize) -> impl Iterator<Item = &(u64, C)> {
        let all = self.0.iter().flat_map(|kept| kept.iter());
        let skipped = self.0.as_ref().map_or(0, |kept| kept.len().saturating_sub(most));
        all.skip(skipped)
    }
}
