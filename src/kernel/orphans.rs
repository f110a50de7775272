//! What a killed supervisor leaves: children that are ending, and have not ended.
//!
//! They are noted with the supervisor's own supervisor, under the seat that it had there,
//! before that one is told of its end. The next incarnation in that seat waits for them: so an
//! old and a new child of one id never overlap, and the new one finds its name free.
//!
//! Each of them is told that heir before it is told of the end: an orphan may be a supervisor
//! too, and be killed, and what it leaves is noted there as well. And what is noted with one
//! that ends falls to its own supervisor.

use std::sync::Arc;

use crate::kernel::Kernel;
use crate::kernel::exits::ExitSignal;
use crate::pid::Pid;
use crate::process::{AnyProcess, Core, Heir, Seat, Ties};

impl Kernel {
    /// Tells everybody linked to this process of its end: its supervisor last, when it is
    /// known who is left.
    pub(crate) fn tell_links(self: &Arc<Self>, ties: &mut Ties, signal: ExitSignal<'_>) {
        let heir = heir(ties);
        let mut above = None;
        let mut left = Vec::new();
        for (peer, _) in ties.links.take() {
            let Some(peer) = self.find(peer) else { continue };
            let Some(heir) = heir else {
                self.signal_exit(&*peer, signal);
                continue;
            };
            if peer.pid() == heir.supervisor {
                above = Some(peer);
                continue;
            }
            let child = adopt(&*peer, signal.from, heir);
            let alive = self.signal_exit(&*peer, signal).was_alive();
            if child && alive {
                left.push(peer.pid());
            }
        }
        left.extend(own_orphans(ties).filter(|pid| self.table.contains(pid)));
        if let Some(heir) = heir.filter(|_| !left.is_empty()) {
            self.note(heir, left);
        }
        if let Some(above) = above {
            self.signal_exit(&*above, signal);
        }
    }

    /// Notes the children of an orphan before it is out of the table: who waits for it there
    /// would else find it gone, and nobody noted yet.
    pub(crate) fn note_children(&self, orphan: &dyn AnyProcess, heir: Heir) {
        let (peers, mut left) = orphan.with(|locked| {
            let Some(ties) = &locked.core().ties else { return Default::default() };
            let peers: Vec<Pid> = ties.links.iter().map(|(peer, _)| *peer).collect();
            (peers, own_orphans(ties).collect::<Vec<_>>())
        });
        let is_child = |peer: &Pid| {
            self.find(*peer).is_some_and(|process| adopt(&*process, orphan.pid(), heir))
        };
        left.extend(peers.into_iter().filter(is_child));
        if !left.is_empty() {
            self.note(heir, left);
        }
    }

    /// Notes them with the heir, in place of those that have ended meanwhile.
    fn note(&self, heir: Heir, left: Vec<Pid>) {
        let Some(supervisor) = self.find(heir.supervisor) else { return };
        let noted = supervisor.with(|locked| {
            let estate = locked.core().standing().and_then(|own| own.estate.as_ref());
            estate.map(|estate| estate.orphans.clone()).unwrap_or_default()
        });
        let gone: Vec<_> = noted.into_iter().filter(|(_, pid)| !self.table.contains(pid)).collect();
        supervisor.with(|locked| {
            let core = locked.core();
            if core.is_open() {
                let noted = &mut core.standing_mut().estate.get_or_insert_default().orphans;
                noted.retain(|orphan| !gone.contains(orphan));
                noted.extend(left.into_iter().map(|pid| (heir.seat, pid)));
            }
        });
    }

    /// Takes what incarnations before this one have left.
    pub(crate) fn take_orphans(&self, supervisor: Pid, seat: Seat) -> Vec<Pid> {
        let Some(supervisor) = self.find(supervisor) else { return Vec::new() };
        let take = |core: &mut Core| {
            let estate = core.standing()?.estate.as_mut()?;
            let left = estate.orphans.extract_if(.., |(of, _)| of.is_up_to(seat));
            Some(left.map(|(_, pid)| pid).collect())
        };
        supervisor.with(|locked| take(locked.core())).unwrap_or_default()
    }
}

/// With whom the children of a process with these ties are noted.
fn heir(ties: &Ties) -> Option<Heir> {
    let standing = ties.standing.as_ref()?;
    let own = standing.estate.as_ref().and_then(|estate| estate.heir);
    own.or_else(|| {
        let parent = standing.parent?;
        Some(Heir { supervisor: parent.pid, seat: parent.seat? })
    })
}

/// What this one's own killed children left: its heir's business from now on.
fn own_orphans(ties: &Ties) -> impl Iterator<Item = Pid> {
    let estate = ties.standing.as_ref().and_then(|standing| standing.estate.as_ref());
    estate.into_iter().flat_map(|estate| &estate.orphans).map(|(_, pid)| *pid)
}

/// Tells a child of this supervisor, which has ended, who the heir is. False if it is none.
fn adopt(process: &dyn AnyProcess, supervisor: Pid, heir: Heir) -> bool {
    process.with(|locked| {
        let core = locked.core();
        let parent = core.standing().and_then(|own| own.parent);
        let child = parent.is_some_and(|own| own.seat.is_some() && own.pid == supervisor);
        if child && core.is_open() {
            core.standing_mut().estate.get_or_insert_default().heir = Some(heir);
        }
        child
    })
}
