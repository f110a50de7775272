//! Groups: sets of processes under a tag, and who watches them come and go.

use std::sync::Arc;
use std::task::Waker;

use crate::base::catch::ignore_panic;
use crate::base::pid::{MonitorRef, Pid};
use crate::base::shared_str::SharedStr;
use crate::kernel::monitors::hold;
use crate::kernel::{Group, Kernel};
use crate::message::received::{Envelope, GroupChange, Received};
use crate::process::{AnyProcess, Monitored, Stage};

/// A group's watchers as they are told: their wakers wait for the entry's release.
type Wakers = Vec<Waker>;

impl Kernel {
    /// Joining twice counts once. False if the process is dead.
    pub(crate) fn join_group(&self, tag: SharedStr, process: &Arc<dyn AnyProcess>) -> bool {
        let name = tag.clone();
        let (joined, wakers) = self.groups.with_entry(tag, |entry| {
            let (open, _) = process.with_deferred(|locked| {
                let core = locked.core();
                let open = core.is_open();
                if open {
                    core.registrations_mut().tags.insert(name.clone(), ());
                }
                open
            });
            if !open {
                return (false, Wakers::new());
            }
            let group = entry.get_or_insert_default();
            if group.members.insert(process.pid(), ()).is_some() {
                return (true, Wakers::new());
            }
            (true, self.tell_group(group, &name, process.pid(), GroupChange::Joined))
        });
        wakers.into_iter().for_each(|waker| ignore_panic(|| waker.wake()));
        joined
    }

    /// False if the process was no member.
    pub(crate) fn leave_group(&self, tag: SharedStr, pid: Pid) -> bool {
        let process = self.find(pid);
        let name = tag.clone();
        let (left, wakers) = self.groups.with_entry(tag, |entry| {
            let Some(group) = entry else { return (false, Wakers::new()) };
            if group.members.remove(&pid).is_none() {
                return (false, Wakers::new());
            }
            let wakers = self.tell_group(group, &name, pid, GroupChange::Left);
            vanish_if_empty(entry);
            crate::base::failpoint::point!("leave between entry and member");
            // Last: a member that forgot the group does not wait for it in its end, and
            // its `Down` would come before the news that it left.
            if let Some(process) = &process {
                process.with_deferred(|locked| {
                    locked
                        .core()
                        .registrations()
                        .and_then(|registrations| registrations.tags.remove(&name))
                });
            }
            (true, wakers)
        });
        wakers.into_iter().for_each(|waker| ignore_panic(|| waker.wake()));
        left
    }

    /// Tells the group's watchers, and the census, of a change.
    fn tell_group(&self, group: &Group, name: &SharedStr, pid: Pid, change: GroupChange) -> Wakers {
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
                let core = locked.core();
                let live = core.stage == Stage::Live;
                let held =
                    core.relations.as_mut().and_then(|relations| relations.monitors.get_mut(&id));
                if let Some(Monitored::Group { queued, .. }) = held
                    && live
                    && let Some(envelope) = envelope.take()
                {
                    *queued += 1;
                    locked.push(envelope);
                }
            });
            wakers.extend(waker);
        }
        wakers
    }

    pub(crate) fn members(&self, tag: &str) -> Vec<Pid> {
        let mut members = self.groups.read(tag, Group::pids).unwrap_or_default();
        members.sort_unstable();
        members
    }

    /// Watches the group; the members of that very moment are told here, all later
    /// changes in the mailbox.
    pub(crate) fn monitor_group(&self, watcher: Pid, tag: SharedStr) -> (MonitorRef, Vec<Pid>) {
        let reference = MonitorRef::new(self.fresh_id(), watcher);
        let own = self.find(watcher);
        let name = tag.clone();
        let mut members = self.groups.with_entry(tag, |entry| {
            let held = own.as_ref().is_some_and(|own| {
                let held = Monitored::Group { group: name.clone(), queued: 0 };
                hold(&**own, reference, held)
            });
            if held {
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
            vanish_if_empty(entry);
        });
    }
}

impl Group {
    /// Its members, in no order.
    fn pids(&self) -> Vec<Pid> {
        self.members.iter().map(|(&pid, ())| pid).collect()
    }
}

fn vanish_if_empty(entry: &mut Option<Group>) {
    let empty = |group: &Group| group.members.is_empty() && group.watchers.is_empty();
    if entry.as_ref().is_some_and(empty) {
        *entry = None;
    }
}
