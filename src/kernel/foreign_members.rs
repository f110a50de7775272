//! Groups across nodes: the members that are processes of other nodes, and the process that
//! publishes the changes of local members.
//!
//! One entry has the members of both kinds, so a monitor of the group reports their changes in one
//! order. A foreign member has no record in this runtime. So no teardown removes it from its group:
//! the code that adds a foreign member also removes it.
//!
//! The publisher receives each change under the lock of the group's entry, so in the order of the
//! changes. No change is missed: the publisher is set before the groups are read, and the read
//! locks each shard of the table. So a change that is not in the result of the read comes after the
//! publisher was set. A change that is in the result may be published as well.

use std::task::Waker;

use crate::base::pid::{MonitorRef, Pid};
use crate::base::shared_str::SharedStr;
use crate::base::sync::atomic::Ordering;
use crate::base::user_panics::wake;
use crate::kernel::Kernel;
use crate::kernel::groups::Group;
use crate::message::received::{Envelope, GroupChange, Received};
use crate::process::Stage;

impl Kernel {
    /// Adds a process of another node to a group. A second join has no effect.
    pub(crate) fn join_foreign(&self, tag: SharedStr, pid: Pid) {
        let name = tag.clone();
        let wakers = self.groups.with_entry(tag, |entry| {
            let group = entry.get_or_insert_default();
            let is_new = group.members.insert(pid, ()).is_none();
            is_new.then(|| self.notify_group(group, &name, pid, GroupChange::Joined))
        });
        wake(wakers.unwrap_or_default());
    }

    /// Returns the members of a group that are processes of other nodes, in unspecified order.
    pub(crate) fn foreign_members(&self, tag: &str) -> Vec<Pid> {
        let foreign =
            |group: &Group| group.members.keys().copied().filter(|pid| pid.is_foreign()).collect();
        self.groups.read(tag, foreign).unwrap_or_default()
    }

    /// Whether a scope runs, or ran, that shares the groups with other nodes.
    pub(crate) fn has_shared_groups(&self) -> bool {
        self.group_publisher.load(Ordering::SeqCst) != Pid::OUTSIDE.raw()
    }

    /// Makes a process the publisher, in place of the former one. The publisher receives each
    /// change of a local member of any group. Returns the local members of all groups.
    pub(crate) fn publish_groups(&self, publisher: Pid) -> Vec<(SharedStr, Vec<Pid>)> {
        self.group_publisher.store(publisher.raw(), Ordering::SeqCst);
        crate::base::failpoint::point!("publisher before groups");
        self.groups.collect(|tag, group| {
            let local = group.members.keys().copied().filter(|pid| !pid.is_foreign());
            Some((tag.clone(), local.collect()))
        })
    }

    /// Queues a change for the publisher. Returns the waker that the caller has to wake.
    pub(super) fn notify_publisher(
        &self,
        name: &SharedStr,
        pid: Pid,
        change: GroupChange,
    ) -> Option<Waker> {
        let publisher = Pid::from_raw(self.group_publisher.load(Ordering::SeqCst));
        if publisher == Pid::OUTSIDE || pid.is_foreign() {
            return None;
        }
        let process = self.find(publisher)?;
        let reference = MonitorRef::new(0, publisher);
        let received = Received::Group { reference, group: name.clone(), pid, change };
        let envelope = Envelope::plain(received);
        let ((), waker) = process.with_deferred(|locked| {
            if locked.core().stage == Stage::Live {
                locked.push(envelope);
            }
        });
        waker
    }
}
