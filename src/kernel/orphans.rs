//! What a supervisor leaves that ends before its children do, as one that is killed does.
//!
//! Before it leaves the table it notes them with the supervisor above, under the seat that it
//! has there; with one further up, if that one has ended too. Whoever starts the next
//! incarnation in a seat waits for what is noted under it: so an old and a new incarnation of
//! a child never overlap, and the new one finds its name free. A child that was deleted, and
//! another started under its id, sit in different seats.
//!
//! Who waits until a process is out of the table knows of all that it leaves:
//!
//! 1. it is out: it had noted its children before;
//! 2. it passes on what it leaves, and says under the same lock that it has: whoever is told of
//!    to be noted with it later is noted further up;
//! 3. the one above passes on at that moment: either it still takes the note, and passes that
//!    on as well, or it says that it has, and the note goes further up.

use std::collections::HashSet;
use std::sync::Arc;

use crate::base::pid::Pid;
use crate::kernel::Kernel;
use crate::process::{Ancestors, AnyProcess, ChildSlot, Core, SupervisorRecord};

impl Kernel {
    /// What a supervisor that is born in this seat knows of those above it.
    pub(crate) fn ancestors(&self, supervisor: Pid, slot: ChildSlot) -> Arc<Ancestors> {
        let own =
            |core: &mut Core| core.registrations()?.supervisor_record.as_ref()?.ancestors.clone();
        let above = self.find(supervisor).and_then(|above| above.with(|locked| own(locked.core())));
        Ancestors::new(supervisor, slot, above)
    }

    /// Passes on what a supervisor leaves, when it is about to be out of the table.
    pub(crate) fn pass_on(&self, supervisor: &dyn AnyProcess, ancestors: &Arc<Ancestors>) {
        let (mut left, linked) = supervisor.with(|locked| {
            let core = locked.core();
            let supervisor_record = supervisor_record(core);
            supervisor_record.passed_on = true;
            let left = std::mem::take(&mut supervisor_record.orphans);
            let left: Vec<Pid> = left.into_iter().map(|(_, pid)| pid).collect();
            let links = core.relations.iter().flat_map(|relations| relations.links.iter());
            (left, links.map(|(peer, _)| *peer).collect::<Vec<_>>())
        });
        left.extend(linked.into_iter().filter(|peer| self.is_child(*peer, supervisor.pid())));
        left.retain(|pid| self.table.contains(pid));
        if !left.is_empty() {
            self.note(ancestors, &left);
        }
    }

    /// Whether this process was started by that supervisor.
    fn is_child(&self, process: Pid, supervisor: Pid) -> bool {
        let Some(process) = self.find(process) else { return false };
        let parent = process.with(|locked| locked.core().relations()?.parent);
        parent.is_some_and(|parent| parent.role.is_some() && parent.pid == supervisor)
    }

    /// Notes them with the first in this line that has not passed on what it leaves.
    fn note(&self, ancestors: &Arc<Ancestors>, left: &[Pid]) {
        let mut next = Some(ancestors.clone());
        let mut ended = Vec::new();
        while let Some(ancestors) = next.take_if(|ancestors| !self.takes_note(ancestors, left)) {
            next = ancestors.above();
            ended.push(ancestors);
        }
        if let Some(ancestors) = &next {
            // Of those that nobody waits for none is kept for long.
            self.orphans(ancestors.supervisor, ancestors.slot);
        }
        for ancestors in ended {
            ancestors.skip_to(next.clone());
        }
    }

    /// Notes them with the supervisor that this line begins with, if that takes them.
    fn takes_note(&self, ancestors: &Ancestors, left: &[Pid]) -> bool {
        let Some(above) = self.find(ancestors.supervisor) else { return false };
        above.with(|locked| {
            // One that has ended has passed on all it had, and has nothing any more.
            if locked.core().has_ended() {
                return false;
            }
            let supervisor_record = supervisor_record(locked.core());
            if !supervisor_record.passed_on {
                supervisor_record.orphans.extend(left.iter().map(|pid| (ancestors.slot, *pid)));
            }
            !supervisor_record.passed_on
        })
    }

    /// What incarnations up to this one have left, and has not ended.
    pub(crate) fn orphans(&self, supervisor: Pid, slot: ChildSlot) -> Vec<Pid> {
        let Some(supervisor) = self.find(supervisor) else { return Vec::new() };
        let noted = |core: &mut Core| {
            Some(core.registrations()?.supervisor_record.as_ref()?.orphans.clone())
        };
        loop {
            let noted = supervisor.with(|locked| noted(locked.core())).unwrap_or_default();
            crate::base::failpoint::point!("orphans between list and table");
            let ended = |pid: &Pid| !self.table.contains(pid);
            let gone: HashSet<Pid> = noted.iter().map(|(_, pid)| *pid).filter(ended).collect();
            if gone.is_empty() {
                let left = noted.into_iter().filter(|(of, _)| of.is_up_to(slot));
                return left.map(|(_, pid)| pid).collect();
            }
            // One that is gone may have passed on what it left after this list was read.
            supervisor.with(|locked| {
                let orphans = &mut supervisor_record(locked.core()).orphans;
                orphans.retain(|(_, pid)| !gone.contains(pid));
            });
        }
    }
}

fn supervisor_record(core: &mut Core) -> &mut SupervisorRecord {
    core.registrations_mut().supervisor_record.get_or_insert_default()
}
