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
use crate::process::{AnyProcess, Core, Estate, Line, Seat, Stage};

impl Kernel {
    /// What a supervisor that is born in this seat knows of those above it.
    pub(crate) fn line(&self, supervisor: Pid, seat: Seat) -> Arc<Line> {
        let own = |core: &mut Core| core.standing()?.estate.as_ref()?.line.clone();
        let above = self.find(supervisor).and_then(|above| above.with(|locked| own(locked.core())));
        Line::new(supervisor, seat, above)
    }

    /// Passes on what a supervisor leaves, when it is about to be out of the table.
    pub(crate) fn pass_on(&self, supervisor: &dyn AnyProcess, line: &Arc<Line>) {
        let (mut left, linked) = supervisor.with(|locked| {
            let core = locked.core();
            let estate = estate(core);
            estate.passed_on = true;
            let left = std::mem::take(&mut estate.orphans);
            let left: Vec<Pid> = left.into_iter().map(|(_, pid)| pid).collect();
            let links = core.ties.iter().flat_map(|ties| ties.links.iter());
            (left, links.map(|(peer, _)| *peer).collect::<Vec<_>>())
        });
        left.extend(linked.into_iter().filter(|peer| self.is_child(*peer, supervisor.pid())));
        left.retain(|pid| self.table.contains(pid));
        if !left.is_empty() {
            self.note(line, &left);
        }
    }

    /// Whether this process was started by that supervisor.
    fn is_child(&self, process: Pid, supervisor: Pid) -> bool {
        let Some(process) = self.find(process) else { return false };
        let parent = process.with(|locked| locked.core().ties()?.parent);
        parent.is_some_and(|parent| parent.role.is_some() && parent.pid == supervisor)
    }

    /// Notes them with the first in this line that has not passed on what it leaves.
    fn note(&self, line: &Arc<Line>, left: &[Pid]) {
        let mut next = Some(line.clone());
        let mut ended = Vec::new();
        while let Some(line) = next.take_if(|line| !self.takes_note(line, left)) {
            next = line.above();
            ended.push(line);
        }
        if let Some(line) = &next {
            // Of those that nobody waits for none is kept for long.
            self.orphans(line.supervisor, line.seat);
        }
        for line in ended {
            line.skip_to(next.clone());
        }
    }

    /// Notes them with the supervisor that this line begins with, if that takes them.
    fn takes_note(&self, line: &Line, left: &[Pid]) -> bool {
        let Some(above) = self.find(line.supervisor) else { return false };
        above.with(|locked| {
            // One that has ended has passed on all it had, and has nothing any more.
            if locked.core().stage == Stage::Ended {
                return false;
            }
            let estate = estate(locked.core());
            if !estate.passed_on {
                estate.orphans.extend(left.iter().map(|pid| (line.seat, *pid)));
            }
            !estate.passed_on
        })
    }

    /// What incarnations up to this one have left, and has not ended.
    pub(crate) fn orphans(&self, supervisor: Pid, seat: Seat) -> Vec<Pid> {
        let Some(supervisor) = self.find(supervisor) else { return Vec::new() };
        let noted = |core: &mut Core| Some(core.standing()?.estate.as_ref()?.orphans.clone());
        loop {
            let noted = supervisor.with(|locked| noted(locked.core())).unwrap_or_default();
            crate::base::failpoint::point!("orphans between list and table");
            let ended = |pid: &Pid| !self.table.contains(pid);
            let gone: HashSet<Pid> = noted.iter().map(|(_, pid)| *pid).filter(ended).collect();
            if gone.is_empty() {
                let left = noted.into_iter().filter(|(of, _)| of.is_up_to(seat));
                return left.map(|(_, pid)| pid).collect();
            }
            // One that is gone may have passed on what it left after this list was read.
            supervisor.with(|locked| {
                let orphans = &mut estate(locked.core()).orphans;
                orphans.retain(|(_, pid)| !gone.contains(pid));
            });
        }
    }
}

fn estate(core: &mut Core) -> &mut Estate {
    core.standing_mut().estate.get_or_insert_default()
}
