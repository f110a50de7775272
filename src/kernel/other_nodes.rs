//! Links, monitors and exit signals between a process of this runtime and one of another node.
//!
//! Such a relation has two entries: one in the record of the local process, and one in the table of
//! the other node, behind [`OtherNodes`]. A table has a lock of its own. Under that lock an entry
//! changes and the signal is queued for the other node, so signals are sent in the order of the
//! changes. No thread holds the lock of a process and the lock of a table at once.
//!
//! The steps are those of [`links`](crate::kernel::links) and of
//! [`monitors`](crate::kernel::monitors), where the table takes the place of the second record: (1)
//! the entry of the local process, (2) the entry of the table, (3) the recheck. The links of both
//! are numbered, so an unlink removes only older links, on both sides.
//!
//! | between two steps | what happens |
//! |---|---|
//! | the local process ends | its teardown finds the entry in the table, or step 3 does |
//! | the other process ends | its exit or `DOWN` removes the entry of the table before it takes effect. So it has an effect once |
//! | the connection is lost | the loss takes all entries out of the table. An entry that is added later belongs to the next connection |
//! | the local process removes the relation | step 3 finds that, and removes the entry of the table |
//!
//! A relation of two local processes does not use this code. It runs only if the pid is not in the
//! table of processes.

use std::any::Any;
use std::sync::Arc;

use crate::base::pid::{MonitorRef, Pid};
use crate::base::shared_str::SharedStr;
use crate::exit::reason::ExitReason;
use crate::kernel::Kernel;
use crate::kernel::exits::ExitSignal;
use crate::kernel::links::{Listed, insert, is_listed, remove_entry, withdraw_entry};
use crate::kernel::monitors::{add_monitor, add_watcher, is_held, remove_watcher};
use crate::process::{AnyProcess, Core, ForeignWatcher, Link, LinkRole, MonitorEntry, Watcher};

/// The tables of the relations with other nodes, and the connections to these nodes. None of these
/// functions waits, and none is called with a lock.
pub(crate) trait OtherNodes: std::fmt::Debug + Send + Sync {
    /// Adds a link, or raises its number, and requests it if it is new.
    ///
    /// # Errors
    ///
    /// The reason why there can be no link.
    fn link(&self, own: Pid, other: Pid, id: u64) -> Result<(), ExitReason>;

    /// Removes a link whose number is less than `before`, and sends the removal. False if there is
    /// none.
    fn unlink(&self, own: Pid, other: Pid, before: u64) -> bool;

    /// Removes a link, and sends the exit signal of the end of `own`.
    fn break_link(&self, own: Pid, other: Pid, reason: &ExitReason);

    /// Adds a monitor, and requests it.
    ///
    /// # Errors
    ///
    /// The reason why the target can't be monitored.
    fn monitor(
        &self,
        reference: MonitorRef,
        target: &ForeignTarget,
        name: Option<&SharedStr>,
    ) -> Result<(), ExitReason>;

    /// Removes a monitor, and sends the removal.
    fn demonitor(&self, reference: MonitorRef, target: &ForeignTarget);

    /// Sends an exit signal that does not belong to a link. False if it can't be sent.
    fn exit(&self, to: Pid, signal: ExitSignal<'_>) -> bool;

    /// Returns the value for a downcast to its type.
    fn into_any(self: Arc<Self>) -> Arc<dyn Any + Send + Sync>;
}

/// The target of a monitor at another node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ForeignTarget {
    Pid(Pid),
    /// The process that holds a name at this node.
    AtNode(SharedStr),
}

impl ForeignTarget {
    fn entry(&self) -> MonitorEntry {
        match self {
            ForeignTarget::Pid(pid) => MonitorEntry::Process(*pid),
            ForeignTarget::AtNode(node) => MonitorEntry::AtNode(node.clone()),
        }
    }
}

impl Kernel {
    pub(crate) fn other_nodes(&self) -> Option<&Arc<dyn OtherNodes>> {
        self.other_nodes.get()
    }

    /// Whether this pid belongs to a process of another node. Always false in a runtime that has
    /// never used another node.
    pub(crate) fn reaches(&self, pid: Pid) -> bool {
        pid.is_foreign() && self.other_nodes().is_some()
    }

    /// Links a local process to a process of another node. False if the local process has ended, or
    /// the other node can't be reached. In the second case a local process that traps exits gets an
    /// exit with the reason.
    pub(crate) fn link_foreign(self: &Arc<Self>, own: Pid, other: Pid) -> bool {
        let Some(process) = self.find(own) else { return false };
        let id = self.fresh_id();
        // Step 1.
        let link = Link::active(id, LinkRole::Peer);
        if !add_foreign_entry(&*process, other, link, Core::is_open) {
            return false;
        }
        crate::base::failpoint::point!("foreign link between sides");
        // Step 2.
        let Some(nodes) = self.other_nodes() else {
            withdraw_entry(&*process, other, ExitReason::NoProc);
            return false;
        };
        if let Err(reason) = nodes.link(own, other, id) {
            withdraw_entry(&*process, other, reason);
            return false;
        }
        crate::base::failpoint::point!("foreign link before recheck");
        // Step 3.
        match is_listed(&*process, other) {
            Listed::Yes => {}
            Listed::No => drop(nodes.unlink(own, other, id + 1)),
            Listed::Ended(reason) => nodes.break_link(own, other, &reason),
        }
        true
    }

    /// Removes the link of a local process to one of another node.
    pub(crate) fn unlink_foreign(&self, own: Pid, other: Pid) {
        let id = self.fresh_id();
        loop {
            let one = self.find(own).is_some_and(|process| remove_entry(&*process, other, id));
            crate::base::failpoint::point!("foreign unlink between sides");
            let two = self.other_nodes().is_some_and(|nodes| nodes.unlink(own, other, id));
            if !one && !two {
                return;
            }
        }
    }

    /// Sends the end of a local process to a linked process of another node.
    pub(crate) fn break_foreign_link(&self, own: Pid, other: Pid, reason: &ExitReason) {
        if let Some(nodes) = self.other_nodes() {
            nodes.break_link(own, other, reason);
        }
    }

    /// Adds the entry of a link that the other process has made. False if the local process has
    /// ended.
    pub(crate) fn add_link_of_foreign(&self, own: Pid, other: Pid, id: u64) -> bool {
        let link = Link::active(id, LinkRole::Peer);
        let accepts = |core: &Core| !core.end_is_announced();
        self.find(own).is_some_and(|process| add_foreign_entry(&*process, other, link, accepts))
    }

    /// Removes the entry of a link, if its number is less than `before`.
    pub(crate) fn remove_link_of_foreign(&self, own: Pid, other: Pid, before: u64) {
        if let Some(process) = self.find(own) {
            remove_entry(&*process, other, before);
        }
    }

    /// The exit signal of a link to a process of another node: of kind [`Link`](crate::exit::signal::ExitKind::Link) or
    /// [`LostLink`](crate::exit::signal::ExitKind::LostLink).
    pub(crate) fn signal_foreign_link(self: &Arc<Self>, own: Pid, signal: ExitSignal<'_>) {
        if let Some(process) = self.find(own) {
            self.signal_exit(&*process, signal);
        }
    }

    /// Monitors the holder of a name at another node.
    pub(crate) fn monitor_at_node(
        &self,
        watcher: Pid,
        node: SharedStr,
        name: SharedStr,
    ) -> MonitorRef {
        let reference = MonitorRef::new(self.fresh_id(), watcher);
        let Some(own) = self.find(watcher) else { return reference };
        let target = ForeignTarget::AtNode(node);
        if add_monitor(&*own, reference, target.entry()) {
            let entry = Watcher::Local { process: own, name: Some(name) };
            self.watch_foreign(reference, &target, &entry);
        }
        reference
    }

    /// Takes steps 2 and 3 of a monitor of a process of another node.
    pub(super) fn watch_foreign_pid(&self, reference: MonitorRef, target: Pid, entry: &Watcher) {
        self.watch_foreign(reference, &ForeignTarget::Pid(target), entry);
    }

    fn watch_foreign(&self, reference: MonitorRef, target: &ForeignTarget, entry: &Watcher) {
        let Watcher::Local { process, name } = entry else { return };
        let pid = match target {
            ForeignTarget::Pid(pid) => Some(*pid),
            ForeignTarget::AtNode(_) => None,
        };
        let Some(nodes) = self.other_nodes() else {
            return self.queue_down(reference, pid, entry, &ExitReason::NoProc);
        };
        crate::base::failpoint::point!("foreign monitor between sides");
        match nodes.monitor(reference, target, name.as_ref()) {
            Err(reason) => self.queue_down(reference, pid, entry, &reason),
            Ok(()) if !is_held(&**process, reference) => nodes.demonitor(reference, target),
            Ok(()) => {}
        }
    }

    /// Removes a monitor whose watcher has removed its entry.
    pub(super) fn unwatch_foreign(&self, reference: MonitorRef, held: &MonitorEntry) {
        let target = match held {
            MonitorEntry::Process(pid) => ForeignTarget::Pid(*pid),
            MonitorEntry::AtNode(node) => ForeignTarget::AtNode(node.clone()),
            MonitorEntry::Fired | MonitorEntry::Group { .. } => return,
        };
        if let Some(nodes) = self.other_nodes() {
            nodes.demonitor(reference, &target);
        }
    }

    /// Queues the `Down` of a monitor that a local process has set.
    pub(crate) fn foreign_down(
        &self,
        reference: MonitorRef,
        target: Option<Pid>,
        name: Option<SharedStr>,
        reason: &ExitReason,
    ) {
        if let Some(process) = self.find(reference.watcher()) {
            let entry = Watcher::Local { process, name };
            self.queue_down(reference, target, &entry, reason);
        }
    }

    /// Adds a monitor that a process of another node has set. False if the target has ended.
    pub(crate) fn add_foreign_watcher(
        &self,
        target: Pid,
        id: u64,
        watcher: Arc<dyn ForeignWatcher>,
    ) -> bool {
        let reference = MonitorRef::new(id, watcher.pid());
        let entry = Watcher::Foreign(watcher);
        self.find(target).is_some_and(|target| add_watcher(&*target, reference, &entry))
    }

    /// Removes a monitor that a process of another node has set.
    pub(crate) fn remove_foreign_watcher(&self, target: Pid, id: u64) {
        if let Some(target) = self.find(target) {
            remove_watcher(&*target, MonitorRef::new(id, Pid::OUTSIDE));
        }
    }
}

/// Adds the entry of a process of another node, if `accepts` returns true for this record.
fn add_foreign_entry(
    process: &dyn AnyProcess,
    peer: Pid,
    link: Link,
    accepts: impl FnOnce(&Core) -> bool,
) -> bool {
    process.with(|locked| {
        let core = locked.core();
        let accepts = accepts(core);
        if accepts {
            insert(core, peer, link);
        }
        accepts
    })
}
