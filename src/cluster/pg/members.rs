//! What the scope of another node has published: its members, and how often each has joined.
//!
//! A process of OTP that joins a group n times is n members, and leaves it n times. A group here has
//! a process once. So the joins are counted, and the first join and the last leave are the changes.

use crate::base::random::Map;
use crate::base::small_map::SmallMap;
use crate::base::{Pid, SharedStr};
use crate::message::GroupChange;

/// The processes of one group, as one message has them. A pid may be there several times.
pub(crate) type Membership = (SharedStr, Vec<Pid>);

/// A change of a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Change {
    pub(crate) group: SharedStr,
    pub(crate) pid: Pid,
    pub(crate) change: GroupChange,
}

/// There are more members than allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TooMany;

/// The members that one scope has published.
#[derive(Debug, Default)]
pub(crate) struct Members {
    groups: Map<SharedStr, SmallMap<Pid, u32>>,
    /// The number of pairs of a group and a process.
    count: usize,
}

impl Members {
    /// Adds joins, each of at most `most` members together with those that are there. After an
    /// error some are added.
    pub(crate) fn join(
        &mut self,
        joins: Vec<Membership>,
        most: usize,
        changes: &mut impl Extend<Change>,
    ) -> Result<(), TooMany> {
        for (group, pids) in joins {
            for pid in pids {
                let joined = self.groups.entry(group.clone()).or_default();
                match joined.get_mut(&pid) {
                    Some(times) => *times = times.saturating_add(1),
                    None if self.count >= most => {
                        self.forget_if_empty(&group);
                        return Err(TooMany);
                    }
                    None => {
                        joined.insert(pid, 1);
                        self.count += 1;
                        changes.extend([Change {
                            group: group.clone(),
                            pid,
                            change: GroupChange::Joined,
                        }]);
                    }
                }
            }
        }
        Ok(())
    }

    /// Removes one join of each process and group. Processes that have not joined are ignored.
    pub(crate) fn leave(
        &mut self,
        pids: &[Pid],
        groups: &[SharedStr],
        changes: &mut impl Extend<Change>,
    ) {
        for group in groups {
            let Some(joined) = self.groups.get_mut(group) else { continue };
            for &pid in pids {
                match joined.get_mut(&pid) {
                    Some(times) if *times > 1 => *times -= 1,
                    Some(_) => {
                        joined.remove(&pid);
                        self.count -= 1;
                        let (group, change) = (group.clone(), GroupChange::Left);
                        changes.extend([Change { group, pid, change }]);
                    }
                    None => {}
                }
            }
            self.forget_if_empty(group);
        }
    }

    /// Replaces all that is known by what a `sync` says.
    pub(crate) fn replace(
        &mut self,
        groups: Vec<Membership>,
        most: usize,
        changes: &mut impl Extend<Change>,
    ) -> Result<(), TooMany> {
        let (mut new, mut joined) = (Members::default(), Vec::new());
        new.join(groups, most, &mut joined)?;
        let old = std::mem::replace(self, new);
        let is_in = |members: &Members, group: &SharedStr, pid: &Pid| {
            members.groups.get(group).is_some_and(|joined| joined.contains(pid))
        };
        changes.extend(old.pairs().filter(|(group, pid)| !is_in(self, group, pid)).map(left));
        changes.extend(joined.into_iter().filter(|new| !is_in(&old, &new.group, &new.pid)));
        Ok(())
    }

    /// Removes all members.
    pub(crate) fn clear(&mut self, changes: &mut impl Extend<Change>) {
        changes.extend(std::mem::take(self).pairs().map(left));
    }

    fn pairs(&self) -> impl Iterator<Item = (&SharedStr, Pid)> {
        let of = |(group, joined)| {
            let joined: &SmallMap<Pid, u32> = joined;
            joined.keys().map(move |pid| (group, *pid))
        };
        self.groups.iter().flat_map(of)
    }

    fn forget_if_empty(&mut self, group: &SharedStr) {
        if self.groups.get(group).is_some_and(SmallMap::is_empty) {
            self.groups.remove(group);
        }
    }
}

fn left((group, pid): (&SharedStr, Pid)) -> Change {
    Change { group: group.clone(), pid, change: GroupChange::Left }
}

#[cfg(test)]
mod tests {
    use super::{Change, Members, Membership, TooMany};
    use crate::base::Pid;
    use crate::message::GroupChange::{self, Joined, Left};

    fn pids(raw: &[u64]) -> Vec<Pid> {
        raw.iter().map(|raw| Pid::from_raw(*raw)).collect()
    }

    fn of(group: &str, raw: &[u64]) -> Membership {
        (group.into(), pids(raw))
    }

    fn changes(of: &[(&str, u64, GroupChange)]) -> Vec<Change> {
        let change = |&(group, raw, change): &(&str, u64, GroupChange)| Change {
            group: group.into(),
            pid: Pid::from_raw(raw),
            change,
        };
        of.iter().map(change).collect()
    }

    #[test]
    fn the_first_join_and_the_last_leave_are_changes() {
        let (mut members, mut seen) = (Members::default(), Vec::new());
        members.join(vec![of("a", &[1, 1, 2]), of("b", &[1])], 9, &mut seen).unwrap();
        assert_eq!(seen, changes(&[("a", 1, Joined), ("a", 2, Joined), ("b", 1, Joined)]));
        seen.clear();
        members.leave(&pids(&[1, 3]), &["a".into(), "c".into()], &mut seen);
        assert_eq!(seen, []);
        members.leave(&pids(&[1]), &["a".into(), "b".into(), "a".into()], &mut seen);
        assert_eq!(seen, changes(&[("a", 1, Left), ("b", 1, Left)]));
        assert_eq!((members.count, members.groups.len()), (1, 1));
        seen.clear();
        members.clear(&mut seen);
        assert_eq!((seen, members.count), (changes(&[("a", 2, Left)]), 0));
    }

    #[test]
    fn a_sync_replaces_everything_and_reports_the_differences() {
        let (mut members, mut seen) = (Members::default(), Vec::new());
        members.join(vec![of("a", &[1, 2]), of("b", &[1])], 9, &mut seen).unwrap();
        seen.clear();
        members.replace(vec![of("a", &[2, 2, 3]), of("c", &[])], 9, &mut seen).unwrap();
        seen.sort_by_key(|change| (change.group.to_string(), change.pid));
        assert_eq!(seen, changes(&[("a", 1, Left), ("a", 3, Joined), ("b", 1, Left)]));
        seen.clear();
        members.leave(&pids(&[2]), &["a".into()], &mut seen);
        assert_eq!(seen, []); // it has joined twice
    }

    #[test]
    fn members_have_a_bound_and_repeated_joins_take_no_room() {
        let (mut members, mut seen) = (Members::default(), Vec::new());
        members.join(vec![of("a", &[1; 100]), of("b", &[1])], 2, &mut seen).unwrap();
        assert_eq!(members.join(vec![of("c", &[1])], 2, &mut seen), Err(TooMany));
        assert_eq!((members.count, members.groups.len()), (2, 2));
        let sync = vec![of("a", &[1, 2, 3])];
        assert_eq!(members.replace(sync, 2, &mut seen), Err(TooMany));
        assert_eq!(members.count, 2); // a sync that is refused changes nothing
    }
}
