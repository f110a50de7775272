//! Groups: sets of processes under a tag, and the monitors of their changes.
//!
//! The entry of a group is locked while its members and watchers change, and while changes are
//! queued to the watchers. So each watcher gets all changes that follow its call of
//! `monitor_group`, in order. The lock of an entry is taken before the lock of a process, never
//! after it.

use std::sync::Arc;
use std::task::Waker;

use crate::base::pid::{MonitorRef, Pid};
use crate::base::shared_str::SharedStr;
use crate::base::small_map::SmallMap;
use crate::base::user_panics::wake;
use crate::kernel::Kernel;
use crate::kernel::monitors::add_monitor;
use crate::message::received::{Envelope, GroupChange, Received};
use crate::process::{AnyProcess, MonitorEntry, Stage};

/// The members and watchers of a group.
#[derive(Debug, Default)]
pub(crate) struct Group {
    pub(crate) members: SmallMap<Pid, ()>,
    /// The processes that monitor the group, by the number of the monitor.
    pub(crate) watchers: SmallMap<u64, Pid>,
}

/// The wakers of notified watchers. The wakers are called after the entry is unlocked.
pub(super) type Wakers = Vec<Waker>;

impl Kernel {
    /// Adds a process to a group; false if the process is ending or has ended. A second join has no
    /// effect.
    pub(crate) fn join_group(&self, tag: SharedStr, process: &Arc<dyn AnyProcess>) -> bool {
        let name = tag.clone();
        let mut wakers = Wakers::new();
        let joined = self.groups.with_entry(tag, |entry| {
            let (open, _) = process.with_deferred(|locked| {
                let registrations = locked.core().open_registrations()?;
                registrations.tags.insert(name.clone(), ());
                Some(())
            });
            open?;
            let group = entry.get_or_insert_default();
            if group.members.insert(process.pid(), ()).is_none() {
                wakers = self.notify_group(group, &name, process.pid(), GroupChange::Joined);
            }
            Some(())
        });
        wake(wakers);
        joined.is_some()
    }

    /// Removes a process from a group; false if it was not a member.
    pub(crate) fn leave_group(&self, tag: SharedStr, pid: Pid) -> bool {
        let process = self.find(pid);
        let name = tag.clone();
        let mut wakers = Wakers::new();
        let left = self.groups.with_entry(tag, |entry| {
            let group = entry.as_mut()?;
            group.members.remove(&pid)?;
            wakers = self.notify_group(group, &name, pid, GroupChange::Left);
            remove_if_empty(entry);
            crate::base::failpoint::point!("leave between entry and member");
            // The group is removed from the record last, under the lock of the entry. The teardown
            // of the member takes the lock of the entry of each group in its record, so its `Down`
            // can't arrive before the watchers are notified.
            if let Some(process) = &process {
                process.with_deferred(|locked| locked.core().registrations()?.tags.remove(&name));
            }
            Some(())
        });
        wake(wakers);
        left.is_some()
    }

    /// Queues a change to the watchers of a group, and marks the census as outdated. Returns the
    /// wakers that the caller has to wake.
    pub(super) fn notify_group(
        &self,
        group: &Group,
        name: &SharedStr,
        pid: Pid,
        change: GroupChange,
    ) -> Wakers {
        #[cfg(regrow_proof)]
        self.trace.record(crate::kernel::trace::Event::Group { group: name.clone(), pid, change });
        self.mark_census();
        let mut wakers = Wakers::new();
        for (&id, &watcher) in group.watchers.iter() {
            let Some(process) = self.find(watcher) else { continue };
            let reference = MonitorRef::new(id, watcher);
            let received = Received::Group { reference, group: name.clone(), pid, change };
            let mut envelope = Some(Envelope::ticketed(id, received));
            let ((), waker) = process.with_deferred(|locked| {
                let live = locked.core().stage == Stage::Live;
                let held = locked.core().relations().and_then(|own| own.monitors.get_mut(&id));
                if let Some(MonitorEntry::Group { queued, .. }) = held
                    && live
                    && let Some(envelope) = envelope.take()
                {
                    *queued += 1;
                    locked.push(envelope);
                }
            });
            wakers.extend(waker);
        }
        #[cfg(feature = "cluster")]
        wakers.extend(self.notify_publisher(name, pid, change));
        wakers
    }

    pub(crate) fn members(&self, tag: &str) -> Vec<Pid> {
        let mut members = self.groups.read(tag, Group::pids).unwrap_or_default();
        members.sort_unstable();
        members
    }

    /// Monitors a group. Returns the members at this moment; all later changes are queued in the
    /// mailbox of the watcher.
    pub(crate) fn monitor_group(&self, watcher: Pid, tag: SharedStr) -> (MonitorRef, Vec<Pid>) {
        let reference = MonitorRef::new(self.fresh_id(), watcher);
        let own = self.find(watcher);
        let name = tag.clone();
        let mut members = self.groups.with_entry(tag, |entry| {
            let held = MonitorEntry::Group { group: name.clone(), queued: 0 };
            if own.as_ref().is_some_and(|own| add_monitor(&**own, reference, held)) {
                entry.get_or_insert_default().watchers.insert(reference.raw(), watcher);
            }
            entry.as_ref().map_or_else(Vec::new, Group::pids)
        });
        members.sort_unstable();
        (reference, members)
    }

    pub(crate) fn unwatch_group(&self, tag: SharedStr, id: u64) {
        self.groups.with_entry(tag, |entry| {
            if let Some(group) = entry {
                group.watchers.remove(&id);
            }
            remove_if_empty(entry);
        });
    }
}

impl Group {
    /// The members, in unspecified order.
    fn pids(&self) -> Vec<Pid> {
        self.members.keys().copied().collect()
    }
}

fn remove_if_empty(entry: &mut Option<Group>) {
    let empty = |group: &Group| group.members.is_empty() && group.watchers.is_empty();
    if entry.as_ref().is_some_and(empty) {
        *entry = None;
    }
}
