//! What a killed supervisor leaves: children that are ending, and have not ended.
//!
//! They are noted with the supervisor's own supervisor, under the seat that it had there,
//! before that one is told of its end. The next incarnation in that seat waits for them: so an
//! old and a new child of one id never overlap, and the new one finds its name free.

use std::sync::Arc;

use crate::kernel::Kernel;
use crate::kernel::exits::ExitSignal;
use crate::pid::Pid;
use crate::process::{AnyProcess, Seat, Ties};

/// Processes, and the seat that their supervisor had.
type Orphans = Vec<(Seat, Pid)>;

impl Kernel {
    /// Tells everybody linked to this process of its end: its supervisor last, when it is
    /// known who is left.
    pub(crate) fn tell_links(self: &Arc<Self>, ties: &mut Ties, signal: ExitSignal<'_>) {
        let parent = ties.standing.as_ref().and_then(|standing| standing.parent);
        let seat = parent.and_then(|parent| Some((parent, parent.seat?)));
        let mut above = None;
        let mut orphans = Vec::new();
        for (peer, _) in ties.links.take() {
            let Some(peer) = self.find(peer) else { continue };
            if seat.is_some_and(|(parent, _)| parent.pid == peer.pid()) {
                above = Some(peer);
                continue;
            }
            let outcome = self.signal_exit(&*peer, signal);
            if let Some((_, seat)) = seat
                && outcome.was_alive()
                && is_child_of(&*peer, signal.from)
            {
                orphans.push((seat, peer.pid()));
            }
        }
        if let Some(above) = above {
            if !orphans.is_empty() {
                self.note(&*above, orphans);
            }
            self.signal_exit(&*above, signal);
        }
    }

    /// Notes them with this supervisor, in place of those that have ended meanwhile.
    fn note(&self, supervisor: &dyn AnyProcess, orphans: Orphans) {
        let noted = supervisor.with(|locked| {
            locked.core().standing().map(|standing| standing.orphans.clone()).unwrap_or_default()
        });
        let gone: Orphans =
            noted.into_iter().filter(|(_, pid)| !self.table.contains(pid)).collect();
        supervisor.with(|locked| {
            let core = locked.core();
            if core.is_open() {
                let noted = &mut core.standing_mut().orphans;
                noted.retain(|orphan| !gone.contains(orphan));
                noted.extend(orphans);
            }
        });
    }

    /// Takes what incarnations before this one have left.
    pub(crate) fn take_orphans(&self, supervisor: Pid, seat: Seat) -> Vec<Pid> {
        let Some(supervisor) = self.find(supervisor) else { return Vec::new() };
        supervisor.with(|locked| {
            let Some(standing) = locked.core().standing() else { return Vec::new() };
            let left = standing.orphans.extract_if(.., |(of, _)| of.is_up_to(seat));
            left.map(|(_, pid)| pid).collect()
        })
    }
}

fn is_child_of(process: &dyn AnyProcess, supervisor: Pid) -> bool {
    let parent = process.with(|locked| locked.core().standing().and_then(|own| own.parent));
    parent.is_some_and(|parent| parent.seat.is_some() && parent.pid == supervisor)
}
