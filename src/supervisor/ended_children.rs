//! The last children of a supervisor that ended for good and were forgotten.
//!
//! An observation that begins later finds the reasons of these ends. A crashed child is always
//! kept. A child that ended cleanly is kept only while there is an observation, because a dynamic
//! supervisor may have many such children. It never replaces a crashed child.

use std::collections::VecDeque;

/// The number of crashed children that one supervisor keeps.
pub(crate) const CRASHED: usize = 16;

/// The number of children that one supervisor keeps and that ended cleanly.
pub(crate) const CLEAN: usize = 48;

/// An ended child.
#[derive(Debug, Clone)]
pub(crate) struct EndedChild<C> {
    pub(crate) child: C,
    pub(crate) is_clean: bool,
}

/// Ended children, oldest first.
#[derive(Debug, Clone)]
#[expect(
    clippy::box_collection,
    reason = "one word instead of four in a supervisor that has forgotten no child"
)]
pub(crate) struct EndedChildren<C>(Option<Box<VecDeque<EndedChild<C>>>>);

impl<C> Default for EndedChildren<C> {
    fn default() -> Self {
        EndedChildren(None)
    }
}

impl<C> EndedChildren<C> {
    /// Adds a child. Returns the child that the new one replaces. The caller drops it after unlock.
    #[must_use = "dropping the child runs a user's code"]
    pub(crate) fn push(&mut self, ended: EndedChild<C>) -> Option<C> {
        let kept = self.0.get_or_insert_default();
        let (is_clean, most) = (ended.is_clean, if ended.is_clean { CLEAN } else { CRASHED });
        kept.push_back(ended);
        let of_kind = |kept: &EndedChild<C>| kept.is_clean == is_clean;
        if kept.iter().filter(|kept| of_kind(kept)).count() <= most {
            return None;
        }
        let oldest = kept.iter().position(of_kind)?;
        kept.remove(oldest).map(|oldest| oldest.child)
    }

    /// Returns the children that are shown, oldest first: the last `most` of them.
    pub(crate) fn last(
        &self,
        most: usize,
        is_shown: impl Fn(&EndedChild<C>) -> bool,
    ) -> Vec<&EndedChild<C>> {
        let all = self.0.iter().flat_map(|kept| kept.iter().rev());
        let mut last: Vec<_> = all.filter(|ended| is_shown(ended)).take(most).collect();
        last.reverse();
        last
    }
}

#[cfg(test)]
mod tests {
    use super::{CLEAN, CRASHED, EndedChild, EndedChildren};

    #[test]
    fn clean_ends_do_not_replace_crashes() {
        let mut ended = EndedChildren::default();
        let mut forgotten = Vec::new();
        for child in 0..200 {
            let is_clean = child % 5 != 0;
            forgotten.extend(ended.push(EndedChild { child, is_clean }));
        }
        let kept = ended.last(usize::MAX, |_| true);
        assert_eq!((kept.len(), forgotten.len()), (CLEAN + CRASHED, 200 - CLEAN - CRASHED));
        let crashed: Vec<i32> =
            kept.iter().filter(|kept| !kept.is_clean).map(|kept| kept.child).collect();
        assert_eq!(crashed, (24..40).map(|n| n * 5).collect::<Vec<_>>());
        let last = ended.last(3, |ended| !ended.is_clean);
        assert_eq!(last.iter().map(|kept| kept.child).collect::<Vec<_>>(), [185, 190, 195]);
    }
}
