//! Orphans: processes that a supervisor leaves behind when it ends before its children, for example
//! because it is killed.
//!
//! **Guarantee.** Two incarnations of a child never run at the same time, and no orphan still holds
//! the name of an incarnation when that incarnation starts.
//!
//! Before a supervisor leaves the table, its children are added to the list of orphans in the
//! record of its own supervisor. Each entry has the [`ChildSlot`] of the ending supervisor. If that
//! supervisor is ending as well, the children are added at the next ancestor. Before a supervisor
//! starts the next incarnation of a child, it waits for the orphans of all earlier incarnations of
//! that child. A deleted child and a new child with the same id are different children.
//!
//! The steps:
//!
//! 1. Under its own lock, the ending supervisor takes its orphans out of its record and sets
//!    `passed_on`.
//! 2. The ending supervisor records these orphans and its children at the next supervisor above
//!    whose `passed_on` is not set.
//! 3. The ending supervisor leaves the table.
//!
//! Invariants:
//! 1. A supervisor that has left the table has recorded all its children and orphans further up.
//! 2. Orphans are recorded under the lock of a supervisor, and only while its `passed_on` is not
//!    set. So that supervisor passes these orphans on when it ends, and none is lost.

use std::collections::HashSet;
use std::sync::Arc;

use crate::base::pid::Pid;
use crate::kernel::Kernel;
use crate::process::{Ancestors, AnyProcess, ChildSlot, Locked};

impl Kernel {
    /// Returns the ancestors of a supervisor that is a new child of `supervisor`, with the
    /// incarnation `slot`.
    pub(crate) fn ancestors(&self, supervisor: Pid, slot: ChildSlot) -> Arc<Ancestors> {
        let above = self.find(supervisor).and_then(|above| {
            above.with(|locked| locked.core().supervisor_record()?.ancestors.clone())
        });
        Ancestors::new(supervisor, slot, above)
    }

    /// Takes steps 1 and 2: records the children and the orphans of an ending supervisor further
    /// up. Call this before the supervisor leaves the table.
    pub(crate) fn pass_on_orphans(&self, supervisor: &dyn AnyProcess, ancestors: &Arc<Ancestors>) {
        let (mut left, linked) = supervisor.with(|locked| {
            let core = locked.core();
            let record = core.supervisor_record_mut();
            // Invariant 2.
            record.passed_on = true;
            let left = std::mem::take(&mut record.orphans);
            let left: Vec<Pid> = left.into_iter().map(|(_, pid)| pid).collect();
            let links = core.relations.iter().flat_map(|relations| relations.links.keys());
            (left, links.copied().collect::<Vec<_>>())
        });
        left.extend(linked.into_iter().filter(|peer| self.is_child(*peer, supervisor.pid())));
        left.retain(|pid| self.table.contains(*pid));
        if !left.is_empty() {
            self.record_orphans(ancestors, &left);
        }
    }

    /// Whether `supervisor` has started `process` as a child.
    fn is_child(&self, process: Pid, supervisor: Pid) -> bool {
        let Some(process) = self.find(process) else { return false };
        process.parent().is_some_and(|parent| parent.role.is_some() && parent.pid == supervisor)
    }

    /// Records orphans at the first of these ancestors whose `passed_on` is not set.
    fn record_orphans(&self, ancestors: &Arc<Ancestors>, left: &[Pid]) {
        let mut next = Some(ancestors.clone());
        let mut ended = Vec::new();
        while let Some(ancestors) = next.take_if(|above| !self.accept_orphans(above, left)) {
            next = ancestors.above();
            ended.push(ancestors);
        }
        if let Some(ancestors) = &next {
            // This call removes the orphans that have ended. Without it the list of a supervisor
            // that never waits for orphans would grow.
            self.orphans(ancestors.supervisor, ancestors.slot);
        }
        for ancestors in ended {
            ancestors.skip_to(next.clone());
        }
    }

    /// Records orphans at the first of these ancestors. Returns false if that supervisor has ended,
    /// or its `passed_on` is set.
    fn accept_orphans(&self, ancestors: &Ancestors, left: &[Pid]) -> bool {
        let Some(above) = self.find(ancestors.supervisor) else { return false };
        above.with(|locked| {
            // A supervisor that has ended has already passed on its orphans.
            if locked.core().has_ended() {
                return false;
            }
            let record = locked.core().supervisor_record_mut();
            if !record.passed_on {
                record.orphans.extend(left.iter().map(|pid| (ancestors.slot, *pid)));
            }
            !record.passed_on
        })
    }

    /// Returns the live orphans that the incarnation `slot` and the earlier incarnations of the
    /// same child have left. Removes orphans that have ended from the record.
    pub(crate) fn orphans(&self, supervisor: Pid, slot: ChildSlot) -> Vec<Pid> {
        let Some(supervisor) = self.find(supervisor) else { return Vec::new() };
        loop {
            let record =
                |locked: &mut Locked| Some(locked.core().supervisor_record()?.orphans.clone());
            let recorded = supervisor.with(record).unwrap_or_default();
            crate::base::failpoint::point!("orphans between list and table");
            let ended = |pid: &Pid| !self.table.contains(*pid);
            let gone: HashSet<Pid> = recorded.iter().map(|(_, pid)| *pid).filter(ended).collect();
            if gone.is_empty() {
                let left = recorded.into_iter().filter(|(of, _)| of.is_up_to(slot));
                return left.map(|(_, pid)| pid).collect();
            }
            // An orphan that has ended may have added its own children after the list was read, so
            // the list is read again.
            supervisor.with(|locked| {
                let record = locked.core().supervisor_record_mut();
                record.orphans.retain(|(_, pid)| !gone.contains(pid));
            });
        }
    }
}
