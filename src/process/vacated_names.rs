//! The names, keys and queues that ended children have left to their supervisor.
//!
//! [`reserved_names`](crate::kernel::reserved_names) explains why a child leaves its names, and
//! [`kept_queues`](crate::kernel::kept_queues) why it leaves its queue.
//!
//! Invariants:
//! 1. `names` and `of_child` hold the same names: `of_child` lists a name for the child that left
//!    it, and for no other child.
//! 2. `of_child` has no empty entry.

use std::sync::Arc;

use crate::base::shared_str::SharedStr;
use crate::base::small_map::SmallMap;
use crate::process::child_role::ChildSlot;
use crate::process::registrar::StartKey;
use crate::process::unread::KeptQueue;

/// A name that an incarnation of a child has left to its supervisor.
#[derive(Debug, Clone)]
pub(crate) struct VacatedName {
    pub(crate) slot: ChildSlot,
    /// The id of the child, if its specification gives the name. Only a process of that child may
    /// take such a name.
    pub(crate) reserved_for: Option<SharedStr>,
}

/// The key that the specification of a child gives, and that an incarnation of the child has left
/// to its supervisor.
#[derive(Debug, Clone)]
pub(crate) struct VacatedKey {
    pub(crate) slot: ChildSlot,
    pub(crate) key: Arc<dyn StartKey>,
}

/// All vacated names, keys and queues of a supervisor. Those of one child are found without a search
/// of the others, since thousands of children may wait for their restart at the same time.
#[derive(Debug, Default)]
pub(crate) struct VacatedNames {
    names: SmallMap<SharedStr, VacatedName>,
    /// The same names, by the number of the child.
    of_child: SmallMap<u64, SmallMap<SharedStr, ()>>,
    /// The vacated keys, by the number of the child.
    keys: SmallMap<u64, VacatedKey>,
    /// The kept queues, by the number of the child.
    queues: SmallMap<u64, KeptQueue>,
}

impl VacatedNames {
    pub(crate) fn get(&self, name: &SharedStr) -> Option<&VacatedName> {
        self.names.get(name)
    }

    pub(crate) fn insert(&mut self, name: SharedStr, vacated: VacatedName) {
        self.remove(&name);
        self.of_child.add(vacated.slot.child, name.clone());
        self.names.insert(name, vacated);
    }

    pub(crate) fn remove(&mut self, name: &SharedStr) -> Option<VacatedName> {
        let vacated = self.names.remove(name)?;
        self.of_child.subtract(&vacated.slot.child, name);
        Some(vacated)
    }

    /// The names that incarnations of a child up to `last` have left.
    pub(crate) fn left_up_to(&self, last: ChildSlot) -> Vec<SharedStr> {
        let Some(names) = self.of_child.get(&last.child) else { return Vec::new() };
        let is_up_to = |name: &&SharedStr| {
            self.names.get(name).is_some_and(|vacated| vacated.slot.is_up_to(last))
        };
        names.keys().filter(is_up_to).cloned().collect()
    }

    /// Adds the key of a child. Returns the key that an earlier incarnation has left. Do not drop
    /// it under a lock.
    pub(crate) fn insert_key(&mut self, vacated: VacatedKey) -> Option<VacatedKey> {
        self.keys.insert(vacated.slot.child, vacated)
    }

    /// Removes the key that an incarnation of a child up to `last` has left.
    pub(crate) fn remove_key(&mut self, last: ChildSlot) -> Option<VacatedKey> {
        self.keys.get(&last.child).filter(|vacated| vacated.slot.is_up_to(last))?;
        self.keys.remove(&last.child)
    }

    /// Adds the queue of a child. Returns the queue that an earlier incarnation has left. Do not drop
    /// it under a lock.
    pub(crate) fn insert_queue(&mut self, kept: KeptQueue) -> Option<KeptQueue> {
        self.queues.insert(kept.slot.child, kept)
    }

    /// The queue that incarnations of this child have left.
    pub(crate) fn queue(&self, child: u64) -> Option<&KeptQueue> {
        self.queues.get(&child)
    }

    /// Removes the queue that an incarnation of a child up to `last` has left.
    pub(crate) fn remove_queue(&mut self, last: ChildSlot) -> Option<KeptQueue> {
        self.queues.get(&last.child).filter(|kept| kept.slot.is_up_to(last))?;
        self.queues.remove(&last.child)
    }

    /// Returns the names, the keys and the queues, in unspecified order.
    pub(crate) fn into_parts(
        self,
    ) -> (
        impl Iterator<Item = SharedStr>,
        impl Iterator<Item = VacatedKey>,
        impl Iterator<Item = KeptQueue>,
    ) {
        let names = self.names.into_iter().map(|(name, _)| name);
        let keys = self.keys.into_iter().map(|(_, key)| key);
        (names, keys, self.queues.into_iter().map(|(_, kept)| kept))
    }
}

#[cfg(test)]
mod tests {
    use super::{ChildSlot, SharedStr, VacatedName, VacatedNames};

    fn slot(child: u64, start: u32) -> ChildSlot {
        ChildSlot { child, start }
    }

    fn left(slot: ChildSlot) -> VacatedName {
        VacatedName { slot, reserved_for: None }
    }

    #[test]
    fn a_name_is_listed_only_for_the_last_child_that_left_it() {
        let mut vacant = VacatedNames::default();
        let (a, b) = (SharedStr::from("a"), SharedStr::from("b"));
        vacant.insert(a.clone(), left(slot(1, 1)));
        vacant.insert(b.clone(), left(slot(1, 2)));
        assert_eq!(vacant.left_up_to(slot(1, 1)), std::slice::from_ref(&a));
        assert_eq!(vacant.left_up_to(slot(1, 2)), [a.clone(), b.clone()]);
        vacant.insert(a.clone(), left(slot(2, 1)));
        assert_eq!(vacant.left_up_to(slot(1, 9)), std::slice::from_ref(&b));
        assert_eq!(vacant.left_up_to(slot(2, 1)), std::slice::from_ref(&a));
        assert!(vacant.remove(&a).is_some() && vacant.get(&a).is_none());
        assert!(vacant.left_up_to(slot(2, 1)).is_empty());
        assert_eq!(vacant.into_parts().0.collect::<Vec<_>>(), [b]);
    }

    /// Finds the names of each of 200,000 children. With a search of all names for each child this
    /// test would take hours.
    #[test]
    fn the_names_of_one_of_many_children_are_found_without_a_search() {
        const MANY: u64 = 50_000;
        let mut vacant = VacatedNames::default();
        for child in 0..MANY {
            vacant.insert(child.to_string().into(), left(slot(child, 1)));
        }
        for child in 0..MANY {
            let names = vacant.left_up_to(slot(child, 1));
            assert_eq!(names, [SharedStr::from(child.to_string())]);
            assert!(vacant.remove(&names[0]).is_some());
        }
        assert!(vacant.names.is_empty() && vacant.of_child.is_empty());
    }
}
