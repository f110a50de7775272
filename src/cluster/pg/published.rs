//! What this node has published: the local members that other scopes know.
//!
//! A `sync` has all of it. Each later change is a `join` or a `leave` behind that `sync`. A change that
//! is there already has no effect: the read of the groups at the start may show changes that are
//! reported afterwards.

use crate::base::random::Map;
use crate::base::small_map::SmallMap;
use crate::base::{Pid, SharedStr};
use crate::cluster::pg::message::Writer;
use crate::cluster::pg::name::is_shared;
use crate::message::{EncodedTerm, GroupChange};

/// The published members of each group. No group is empty.
#[derive(Debug, Default)]
pub(crate) struct Published(Map<SharedStr, SmallMap<Pid, ()>>);

impl Published {
    /// Adds the members of a group, unless it is not shared.
    pub(crate) fn add(&mut self, group: SharedStr, pids: Vec<Pid>) {
        if is_shared(&group) && !pids.is_empty() {
            let members = self.0.entry(group).or_default();
            for pid in pids {
                members.insert(pid, ());
            }
        }
    }

    /// Notes a change, and returns the message that says so. `None` if it is no change of what is
    /// published.
    pub(crate) fn change(
        &mut self,
        group: &SharedStr,
        pid: Pid,
        change: GroupChange,
        writer: &Writer<'_>,
    ) -> Option<EncodedTerm> {
        if !is_shared(group) {
            return None;
        }
        match change {
            GroupChange::Joined => {
                let members = self.0.entry(group.clone()).or_default();
                members.insert(pid, ()).is_none().then(|| writer.join(group, pid))
            }
            GroupChange::Left => {
                let members = self.0.get_mut(group)?;
                members.remove(&pid)?;
                if members.is_empty() {
                    self.0.remove(group);
                }
                Some(writer.leave(group, pid))
            }
        }
    }

    /// Returns the message that says all.
    pub(crate) fn sync(&self, writer: &Writer<'_>) -> EncodedTerm {
        writer.sync(self.0.iter().map(|(group, members)| {
            let pids: Vec<&Pid> = members.keys().collect();
            (group, pids.into_iter())
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::Published;
    use crate::base::Pid;
    use crate::cluster::node_name::NodeName;
    use crate::cluster::pg::message::Writer;
    use crate::cluster::remote::local_node::{LocalNode, PidTags};
    use crate::message::GroupChange::{Joined, Left};

    #[test]
    fn a_change_that_was_read_already_is_not_published_again() {
        let node = LocalNode::new(NodeName::parse("a@host").unwrap(), 7, PidTags::default());
        let writer = Writer { node: &node, scope: Pid::from_raw(1) };
        let (mut published, pid) = (Published::default(), Pid::from_raw(2));
        published.add("room".into(), vec![pid]);
        published.add("regrow.x".into(), vec![pid]);
        let mut change = |group: &str, change| {
            let term = published.change(&group.into(), pid, change, &writer)?;
            Some(term.term().unwrap().to_string())
        };
        assert_eq!(change("room", Joined), None);
        assert_eq!(change("regrow.x", Left), None);
        let left = change("room", Left).unwrap();
        assert!(left.starts_with("{leave,") && left.ends_with("[<<\"room\">>]}"), "{left}");
        assert_eq!(change("room", Left), None);
        let joined = change(":room", Joined).unwrap();
        assert!(joined.starts_with("{join,") && joined.contains(",room,"), "{joined}");
        assert_eq!(published.0.len(), 1);
    }
}
