//! Links. A link is two entries, one in the record of each side; no step holds two locks.
//!
//! **Guarantee.** If one of two linked processes ends, the other gets exactly one exit signal. This
//! also holds for an end while the link is being made. If the link is not made because the target
//! has ended, a linker that traps exits gets an exit with `NoProc`.
//!
//! The steps of [`Kernel::link`]:
//!
//! 1. Under the lock of the linker: add the entry of the target.
//! 2. Under the lock of the target: add the entry of the linker.
//! 3. Under the lock of the linker: recheck. If the linker has ended since step 1, signal the
//!    target. If the linker was unlinked since step 1, remove the entry of step 2.
//!
//! Invariants:
//! 1. The step that adds the entry of a peer reads, under the same lock, whether that peer has
//!    ended. A peer that has not ended announces its end only after this lock is released, so its
//!    signal finds the entry.
//! 2. An exit signal of a link has an effect only if its receiver lists the sender, and the signal
//!    removes that entry. So only the first of several signals for one link has an effect.
//! 3. Each entry has the number of the last call that made it, and the ticket of its exit signal
//!    has the same number. An unlink has a number as well, and removes only entries and tickets
//!    with smaller numbers.
//!
//! The effect of an end of one side between two steps:
//!
//! * The linker ends before step 1: no entry is added.
//! * The target ends before step 1: a linker that traps gets `NoProc`. The exception is a linker
//!   that lists the target because of an earlier link: the exit signal of that link is about to
//!   arrive.
//! * The target ends before step 2: until its end is announced, the target accepts the entry and
//!   signals the linker. After the announcement, the entry of the linker is withdrawn, and the
//!   linker gets `NoProc` if it traps exits.
//! * The linker ends before step 2: the target adds no entry, so a signal has no effect on the
//!   target.
//! * The linker ends after step 2: its teardown signals the target. Step 3 signals the target as
//!   well, because an unlink may have removed the linker's entry before the teardown. By invariant
//!   2 only the first signal has an effect.
//!
//! If an unlink races with a later link, the link stays on both sides, by invariant 3. An unlink
//! may also race with an earlier link that has added only one of its entries. So the unlink repeats
//! until neither side has an older entry.

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
    /// Links `a` to `b`; false if either has ended.
    pub(crate) fn link(self: &Arc<Self>, a: Pid, b: Pid) -> bool {
        self.link_as(a, b, [LinkRole::Peer; 2])
    }

    /// Links a task to the process that waits for it; false if either has ended.
    pub(crate) fn link_task(self: &Arc<Self>, task: Pid, caller: Pid) -> bool {
        self.link_as(task, caller, [LinkRole::Caller, LinkRole::Task])
    }

    /// Links `a` to `b`; false if either has ended. `roles` are the role of `b` for `a`, and the
    /// role of `a` for `b`.
    fn link_as(self: &Arc<Self>, a: Pid, b: Pid, roles: [LinkRole; 2]) -> bool {
        let Some(linker) = self.find(a) else {
            return cfg!(feature = "cluster") && a.is_foreign() && self.link_unfound(b, a);
        };
        if a == b {
            return true;
        }
        let Some(target) = self.find(b) else { return self.link_unfound(a, b) };
        let id = self.fresh_id();
        let [of_linker, of_target] = roles.map(|role| Link::active(id, role));
        // Step 1.
        match add_entry(&*linker, &*target, of_linker, |core| core.is_open()) {
            Added::Yes => {}
            Added::Refused => return false,
            Added::PeerEnded => {
                self.report_ended_peer(&*linker, b);
                return false;
            }
        }
        crate::base::failpoint::point!("link between sides");
        // Step 2.
        match add_entry(&*target, &*linker, of_target, |core| !core.end_is_announced()) {
            Added::Yes => {}
            Added::PeerEnded => return false,
            Added::Refused => {
                withdraw_entry(&*linker, b, ExitReason::NoProc);
                return false;
            }
        }
        crate::base::failpoint::point!("link before recheck");
        // Step 3.
        match is_listed(&*linker, b) {
            Listed::Yes => {}
            Listed::No => drop(remove_entry(&*target, a, id + 1)),
            Listed::Ended(reason) => {
                let signal = ExitSignal { from: a, reason: &reason, kind: ExitKind::Link };
                self.signal_exit(&*target, signal);
            }
        }
        true
    }

    /// Links to a process that is not in the table, because it is of another node or has ended.
    fn link_unfound(self: &Arc<Self>, own: Pid, other: Pid) -> bool {
        #[cfg(feature = "cluster")]
        if other.is_foreign() {
            return self.link_foreign(own, other);
        }
        if let Some(linker) = self.find(own) {
            self.report_ended_peer(&*linker, other);
        }
        false
    }

    /// Queues a `NoProc` exit of `ended` to a linker that traps exits. Does nothing if the linker
    /// lists an earlier link to `ended`, because the exit signal of that link is about to arrive.
    fn report_ended_peer(&self, linker: &dyn AnyProcess, ended: Pid) {
        let ticket = self.fresh_id();
        let mut envelope = Some(no_proc(ended));
        linker.with(|locked| {
            if locked.core().link_to(ended).is_none() {
                push_if_trapping(locked, ticket, ended, &mut envelope);
            }
        });
    }

    /// Removes the link from both records, and its queued exits from both mailboxes. Has no effect
    /// on the link between a supervisor and its child, because that link reports the end of the
    /// child to the supervisor.
    pub(crate) fn unlink(&self, a: Pid, b: Pid) {
        #[cfg(feature = "cluster")]
        match (a.is_foreign(), b.is_foreign()) {
            (false, true) => return self.unlink_foreign(a, b),
            (true, false) => return self.unlink_foreign(b, a),
            _ => {}
        }
        let id = self.fresh_id();
        let remove = |of, peer| self.find(of).is_some_and(|of| remove_entry(&*of, peer, id));
        loop {
            let one = remove(a, b);
            crate::base::failpoint::point!("unlink between sides");
            if !remove(b, a) && !one {
                return;
            }
        }
    }

    /// Adds the entry of a new child to the record of its parent; false if the parent has ended.
    pub(crate) fn add_child_link(&self, parent: Pid, child: Pid, link: Link) -> bool {
        let Some(parent) = self.find(parent) else { return false };
        parent.with(|locked| {
            let core = locked.core();
            let is_open = core.is_open();
            if is_open {
                core.relations_mut().links.insert(child, link);
            }
            is_open
        })
    }

    /// Activates the link from `parent` to a child that has started: from now on the link reports
    /// the end of the child. Returns false if the parent has given up the start, or does not list
    /// the child.
    pub(crate) fn acknowledge(&self, parent: Pid, child: Pid) -> bool {
        let Some(parent) = self.find(parent) else { return false };
        parent.with(|locked| {
            let link = locked.core().link_to(child);
            let link = link.filter(|link| link.state != LinkState::GivenUp);
            link.map(|link| link.state = LinkState::Active).is_some()
        })
    }

    /// Gives up the start of `child`: no exit reports the end of the child to `parent`, even if the
    /// child has just started or has already ended. From now on, the end of the child counts as
    /// requested.
    pub(crate) fn give_up_start(&self, parent: Pid, child: Pid) {
        if let Some(child) = self.find(child) {
            child.with(|locked| locked.core().note_start_failed());
        }
        let Some(parent) = self.find(parent) else { return };
        if !set_state(&*parent, child, LinkState::GivenUp) {
            self.revoke_exits(&*parent, child);
        }
    }

    /// Revokes all exits of `peer` that are queued in the mailbox of `process`.
    pub(crate) fn revoke_exits(&self, process: &dyn AnyProcess, peer: Pid) {
        let before = self.fresh_id();
        drop(process.with(|locked| locked.revoke_exits(peer, before)));
    }
}

/// Mutes the link from `parent` to `child`: its caller awaits the end of the child and reports that
/// end itself. Returns false if there is no such link; in that case the exit of the child may
/// already be queued.
pub(crate) fn mark_awaited(parent: &dyn AnyProcess, child: Pid) -> bool {
    set_state(parent, child, LinkState::Awaited)
}

fn set_state(of: &dyn AnyProcess, peer: Pid, state: LinkState) -> bool {
    of.with(|locked| locked.core().link_to(peer).map(|link| link.state = state).is_some())
}

/// Whether an entry was added.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Added {
    Yes,
    /// No: the process accepts no links any more.
    Refused,
    /// No: the peer has ended.
    PeerEnded,
}

/// Adds the entry of `peer` to the record of `process`, if `accepts` returns true for that record.
fn add_entry(
    process: &dyn AnyProcess,
    peer: &dyn AnyProcess,
    link: Link,
    accepts: impl FnOnce(&Core) -> bool,
) -> Added {
    process.with(|locked| {
        let core = locked.core();
        if !accepts(core) {
            return Added::Refused;
        }
        // Invariant 1.
        if peer.flags().load(Ordering::SeqCst) & flag::ENDED != 0 {
            return Added::PeerEnded;
        }
        insert(core, peer.pid(), link);
        Added::Yes
    })
}

/// Adds the entry of a peer, or raises its number.
pub(super) fn insert(core: &mut Core, peer: Pid, link: Link) {
    let links = &mut core.relations_mut().links;
    match links.get_mut(&peer) {
        Some(older) => older.id = older.id.max(link.id),
        None => drop(links.insert(peer, link)),
    }
}

/// Removes the entry of a link that was never made, because the end of its target had been
/// announced before or its node can't be reached. A linker that traps exits gets an exit with this
/// reason.
pub(super) fn withdraw_entry(linker: &dyn AnyProcess, peer: Pid, reason: ExitReason) {
    let mut envelope = Some(Envelope::plain(Received::Exit { from: peer, reason }));
    linker.with(|locked| {
        let relations = locked.core().relations();
        if let Some(link) = relations.and_then(|relations| relations.links.remove(&peer)) {
            push_if_trapping(locked, link.id, peer, &mut envelope);
        }
    });
}

/// Whether a linker lists a peer.
pub(super) enum Listed {
    Yes,
    No,
    /// The linker has ended, with this reason.
    Ended(ExitReason),
}

/// Whether the linker still lists this peer.
pub(super) fn is_listed(linker: &dyn AnyProcess, peer: Pid) -> Listed {
    linker.with(|locked| {
        let core = locked.core();
        if core.has_ended() {
            return Listed::Ended(core.reason.clone().unwrap_or(ExitReason::NoProc));
        }
        if core.link_to(peer).is_some() { Listed::Yes } else { Listed::No }
    })
}

fn no_proc(ended: Pid) -> Envelope {
    Envelope::plain(Received::Exit { from: ended, reason: ExitReason::NoProc })
}

fn push_if_trapping(locked: &mut Locked, ticket: u64, from: Pid, envelope: &mut Option<Envelope>) {
    let core = locked.core();
    if core.trap && core.stage == Stage::Live {
        locked.push_exit(ticket, from, envelope);
    }
}

/// Removes the link entry of `peer` if its number is less than `before`, and revokes the queued
/// exits of `peer` whose tickets are less than `before`. Returns whether an entry was removed. Has no
/// effect between a supervisor and its child.
pub(super) fn remove_entry(process: &dyn AnyProcess, peer: Pid, before: u64) -> bool {
    let (older, exit) = process.with(|locked| {
        let core = locked.core();
        let link = core.link_to(peer);
        let older = link.is_some_and(|link| link.id < before && link.role.is_removable());
        let relations = core.relations();
        let keeps_exits = relations.is_some_and(|relations| relations.keeps_exits_of(peer));
        if older && let Some(relations) = core.relations() {
            relations.links.remove(&peer);
        }
        (older, if keeps_exits { None } else { locked.revoke_exits(peer, before) })
    });
    drop(exit);
    older
}
