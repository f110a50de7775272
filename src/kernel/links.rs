//! Links: two entries, one on each side, never two locks.
//!
//! Whoever lists a peer reads, under the same lock, whether that peer has ended. A peer
//! that hadn't ended by then tells of its end only after that lock was let go, and so
//! finds the entry. What happens when one side ends between any two steps of
//! [`Kernel::link`]:
//!
//! 1. before the linker lists the target: a linker that is gone hears nothing; of a
//!    target that is gone it is told `NoProc` if it traps, unless it still lists it, for
//!    then the target is about to tell it the truth;
//! 2. target ends before it lists the linker: until it has told everybody it still takes
//!    the link, and tells the linker too; after that an entry that is left is taken back,
//!    and the linker is told `NoProc` if it traps;
//! 3. linker ends before the target lists it: the target lists nothing, and hears nothing;
//!    after: its teardown finds the entry, or, where an unlink came between, the look back
//!    does. Only the first of both that finds it signals the target.
//!
//! Every entry carries the number of the call that made it, and so does the exit that
//! comes of it. An unlink removes what is older than itself, so a link made meanwhile on
//! both sides stays on both; and it looks again until it finds nothing on either side,
//! for an older link that is only being made.

use std::sync::Arc;

use crate::base::pid::Pid;
use crate::base::sync::atomic::Ordering;
use crate::exit::reason::ExitReason;
use crate::exit::signal::ExitKind;
use crate::kernel::Kernel;
use crate::kernel::exits::ExitSignal;
use crate::message::received::{Envelope, Received};
use crate::process::{AnyProcess, Core, Link, LinkRole, LinkState, Locked, Stage, flag};

impl Kernel {
    /// Links `a` to `b`; false if either is dead.
    pub(crate) fn link(self: &Arc<Self>, a: Pid, b: Pid) -> bool {
        self.link_as(a, b, [LinkRole::Peer; 2])
    }

    /// Links a task to the process that waits for it; false if either is dead.
    pub(crate) fn link_task(self: &Arc<Self>, task: Pid, caller: Pid) -> bool {
        self.link_as(task, caller, [LinkRole::Caller, LinkRole::Task])
    }

    /// What `b` is to `a`, and `a` to `b`.
    fn link_as(self: &Arc<Self>, a: Pid, b: Pid, roles: [LinkRole; 2]) -> bool {
        let Some(linker) = self.find(a) else { return false };
        if a == b {
            return true;
        }
        let Some(target) = self.find(b) else {
            self.refuse_link(&*linker, b);
            return false;
        };
        let id = self.fresh_id();
        let [of_linker, of_target] = roles.map(|role| Link::active(id, role));
        match list(&*linker, &*target, of_linker, |core| core.is_open()) {
            Listed::Yes => {}
            Listed::Refused => return false,
            Listed::PeerEnded => {
                self.refuse_link(&*linker, b);
                return false;
            }
        }
        crate::base::failpoint::point!("link between sides");
        match list(&*target, &*linker, of_target, |core| !core.end_is_announced()) {
            Listed::Yes => {}
            Listed::PeerEnded => return false,
            Listed::Refused => {
                self.take_link_back(&*linker, b);
                return false;
            }
        }
        crate::base::failpoint::point!("link before look back");
        match look_back(&*linker, b) {
            LookBack::Linked => {}
            LookBack::Unlinked => drop(remove_link(&*target, a, id + 1)),
            LookBack::Ended(reason) => {
                let signal = ExitSignal { from: a, reason: &reason, kind: ExitKind::Link };
                self.signal_exit(&*target, signal);
            }
        }
        true
    }

    /// The target is dead: tells the linker if it traps, unless an earlier link to that
    /// target is about to do so.
    fn refuse_link(&self, linker: &dyn AnyProcess, dead: Pid) {
        let ticket = self.fresh_id();
        let mut envelope = Some(no_proc(dead));
        linker.with(|locked| {
            let relations = locked.core().relations.as_ref();
            if !relations.is_some_and(|relations| relations.links.contains(&dead)) {
                push_if_trapping(locked, ticket, dead, &mut envelope);
            }
        });
    }

    /// The target has told everybody of its end, so the entry that is left is of a link
    /// that was never made.
    fn take_link_back(&self, linker: &dyn AnyProcess, dead: Pid) {
        let mut envelope = Some(no_proc(dead));
        linker.with(|locked| {
            let relations = locked.core().relations.as_mut();
            if let Some(link) = relations.and_then(|relations| relations.links.remove(&dead)) {
                push_if_trapping(locked, link.id, dead, &mut envelope);
            }
        });
    }

    /// Removes the link, and any exit it left in either mailbox.
    pub(crate) fn unlink(&self, a: Pid, b: Pid) {
        let id = self.fresh_id();
        let remove = |of, peer| self.find(of).is_some_and(|of| remove_link(&*of, peer, id));
        loop {
            let one = remove(a, b);
            crate::base::failpoint::point!("unlink between sides");
            if !remove(b, a) && !one {
                return;
            }
        }
    }

    /// Makes `child` a link of `parent`; false if the parent is dead.
    pub(crate) fn adopt(&self, parent: Pid, child: Pid, link: Link) -> bool {
        let Some(parent) = self.find(parent) else { return false };
        parent.with(|locked| {
            let core = locked.core();
            if !core.is_open() {
                return false;
            }
            core.relations_mut().links.insert(child, link);
            true
        })
    }

    /// The child has started: from now on its end reaches the parent by the link.
    /// False if the parent no longer lists it.
    pub(crate) fn acknowledge(&self, parent: Pid, child: Pid) -> bool {
        let Some(parent) = self.find(parent) else { return false };
        parent.with(|locked| {
            let links = locked.core().relations.as_mut().map(|relations| &mut relations.links);
            let link = links.and_then(|links| links.get_mut(&child));
            let link = link.filter(|link| link.state != LinkState::GivenUp);
            link.map(|link| link.state = LinkState::Active).is_some()
        })
    }

    /// Nobody waits for the start of `child` any more, and nobody is to hear of its end: not
    /// if it has started just now, nor if it has ended since.
    pub(crate) fn give_up_start(&self, parent: Pid, child: Pid) {
        let Some(parent) = self.find(parent) else { return };
        if !set_state(&*parent, child, LinkState::GivenUp) {
            remove_link(&*parent, child, self.fresh_id());
        }
    }
}

/// From now on the end of `child` is told by whoever waits for it, and not by the link,
/// which stays. False if there is no such link, or no more: then its exit may be queued.
pub(crate) fn await_end(parent: &dyn AnyProcess, child: Pid) -> bool {
    set_state(parent, child, LinkState::Awaited)
}

fn set_state(of: &dyn AnyProcess, peer: Pid, state: LinkState) -> bool {
    of.with(|locked| {
        let link =
            locked.core().relations.as_mut().and_then(|relations| relations.links.get_mut(&peer));
        link.map(|link| link.state = state).is_some()
    })
}

/// What became of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Listed {
    Yes,
    /// The process takes no links any more.
    Refused,
    /// The peer has ended: nothing was listed.
    PeerEnded,
}

/// Makes the entry of `peer` in this process, if it still `takes` links.
fn list(
    process: &dyn AnyProcess,
    peer: &dyn AnyProcess,
    link: Link,
    takes: impl FnOnce(&Core) -> bool,
) -> Listed {
    process.with(|locked| {
        let core = locked.core();
        if !takes(core) {
            return Listed::Refused;
        }
        if peer.flags().load(Ordering::SeqCst) & flag::ENDED != 0 {
            return Listed::PeerEnded;
        }
        let links = &mut core.relations_mut().links;
        match links.get_mut(&peer.pid()) {
            Some(older) => older.id = older.id.max(link.id),
            None => drop(links.insert(peer.pid(), link)),
        }
        Listed::Yes
    })
}

/// What the linker looks like when it is looked at again.
enum LookBack {
    Linked,
    Unlinked,
    Ended(ExitReason),
}

fn look_back(linker: &dyn AnyProcess, peer: Pid) -> LookBack {
    linker.with(|locked| {
        let core = locked.core();
        if core.has_ended() {
            return LookBack::Ended(core.reason.clone().unwrap_or(ExitReason::NoProc));
        }
        let listed =
            core.relations.as_ref().is_some_and(|relations| relations.links.contains(&peer));
        if listed { LookBack::Linked } else { LookBack::Unlinked }
    })
}

fn no_proc(dead: Pid) -> Envelope {
    Envelope::plain(Received::Exit { from: dead, reason: ExitReason::NoProc })
}

fn push_if_trapping(locked: &mut Locked, ticket: u64, from: Pid, envelope: &mut Option<Envelope>) {
    let core = locked.core();
    if core.trap && core.stage == Stage::Live {
        locked.push_exit(ticket, from, envelope);
    }
}

/// Forgets a link older than `before`, and takes its queued exit back. Whether there was
/// such a link.
fn remove_link(process: &dyn AnyProcess, peer: Pid, before: u64) -> bool {
    let (older, exit) = process.with(|locked| {
        let Some(relations) = locked.core().relations.as_mut() else { return (false, None) };
        let older = relations.links.get(&peer).is_some_and(|link| link.id < before);
        if older {
            relations.links.remove(&peer);
        }
        let taken = relations.give_up_exits(peer, before);
        (older, locked.take_back(taken))
    });
    drop(exit);
    older
}
