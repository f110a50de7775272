//! The relations of local processes with those of one other node: a table without input and output.
//!
//! # Links
//!
//! Both nodes have an entry for a link, and the entry says whether the link exists. The node that
//! removes a link sends a numbered removal, and keeps the entry as *removing* until the other node
//! has acknowledged that number.
//!
//! | event | no entry | linked | removing *n* |
//! |---|---|---|---|
//! | link here | linked, `LINK` is sent | the number is raised | linked, `LINK` is sent |
//! | unlink here | | removing *n*, `UNLINK_ID` is sent | |
//! | the local process ends | | no entry, `EXIT` is sent | |
//! | `LINK` arrives | linked | | |
//! | `UNLINK_ID` arrives, and is acknowledged | | no entry | |
//! | `UNLINK_ID_ACK` of *n* arrives | | | no entry |
//! | `EXIT` arrives | | no entry, it has an effect | no entry |
//!
//! An empty cell has no effect. While a removal is not acknowledged, a `LINK` that arrives was sent
//! before the other node has received the removal, which then removes that link as well: so it has
//! no effect here. An `EXIT` that arrives meanwhile was sent for the link that is being removed. A
//! link that is made here meanwhile is requested behind the removal, so both nodes have it.
//!
//! # Monitors
//!
//! A monitor is identified by the reference that its node has given it. The entry is removed by
//! whichever comes first: the end, or the removal. What comes later finds no entry.

use std::collections::HashSet;
use std::sync::Weak;

use crate::base::random::{Map, MapHasher};
use crate::base::{Pid, SharedStr};
use crate::cluster::remote::call_table::{CallTable, PendingCall};
use crate::cluster::term::Words;
use crate::kernel::other_nodes::ForeignTarget;

/// The relations with one other node.
#[derive(Debug, Default)]
pub(crate) struct Relations {
    /// By the local process and the other one.
    links: Map<(Pid, Pid), Link>,
    /// The number of links that the other node has made.
    arrived: usize,
    /// The monitors that local processes have set, by their numbers.
    monitors: Map<u64, Monitor>,
    /// The monitors that processes of the other node have set.
    watched: Map<Words, Watched>,
    last_removal: u64,
    /// The calls of this node that wait for their answers.
    pub(crate) calls: CallTable,
}

#[derive(Debug, Clone, Copy)]
struct Link {
    state: LinkState,
    /// Whether the other node has made the entry.
    arrived: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum LinkState {
    /// With the number of the last call that made the link.
    Linked(u64),
    /// With the number of the removal.
    Removing(u64),
}

/// A monitor that a local process has set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Monitor {
    pub(crate) watcher: Pid,
    pub(crate) target: ForeignTarget,
    /// The name at the other node.
    pub(crate) name: Option<SharedStr>,
}

/// A call whose answer a process of the other node waits for.
pub(crate) trait AwaitedCall: Send + Sync {
    /// The caller waits no longer. This function is called without locks, and drops the answer.
    fn caller_left(&self);
}

/// A monitor that a process of the other node has set.
#[derive(Debug, Clone)]
pub(crate) struct Watched {
    /// The number of the monitor in the record of its target.
    pub(crate) id: u64,
    pub(crate) target: Pid,
    pub(crate) watcher: Pid,
    /// The name that was monitored.
    pub(crate) name: Option<SharedStr>,
    /// The call that the monitor was set for.
    pub(crate) call: Option<Weak<dyn AwaitedCall>>,
}

impl Watched {
    /// Notes that the other process needs the monitor no longer. Call it without locks.
    pub(crate) fn end_call(&self) {
        if let Some(call) = self.call.as_ref().and_then(Weak::upgrade) {
            call.caller_left();
        }
    }
}

impl Relations {
    /// Links here. True if the link has to be requested.
    pub(crate) fn link(&mut self, own: Pid, other: Pid, id: u64) -> bool {
        let new = Link { state: LinkState::Linked(0), arrived: false };
        let is_new = !self.is_linked(own, other);
        let link = self.links.entry((own, other)).or_insert(new);
        link.state = match link.state {
            LinkState::Linked(older) => LinkState::Linked(id.max(older)),
            LinkState::Removing(_) => LinkState::Linked(id),
        };
        is_new
    }

    /// Unlinks here, if the number of the link is less than `before`. Returns the number of the
    /// removal that has to be sent.
    pub(crate) fn unlink(&mut self, own: Pid, other: Pid, before: u64) -> Option<u64> {
        let link = self.links.get_mut(&(own, other))?;
        if !matches!(link.state, LinkState::Linked(id) if id < before) {
            return None;
        }
        self.last_removal += 1;
        link.state = LinkState::Removing(self.last_removal);
        Some(self.last_removal)
    }

    /// The local process ends. True if its exit has to be sent.
    pub(crate) fn end(&mut self, own: Pid, other: Pid) -> bool {
        self.take_linked(own, other).is_some()
    }

    /// A `LINK` arrives. True if the link is new.
    pub(crate) fn link_arrived(&mut self, own: Pid, other: Pid, id: u64) -> bool {
        let is_new = !self.links.contains_key(&(own, other));
        if is_new {
            let link = Link { state: LinkState::Linked(id), arrived: true };
            self.links.insert((own, other), link);
            self.arrived += 1;
        }
        is_new
    }

    /// An `UNLINK_ID` arrives. Returns the number of the link that it removes.
    pub(crate) fn unlink_arrived(&mut self, own: Pid, other: Pid) -> Option<u64> {
        self.take_linked(own, other)
    }

    /// An `UNLINK_ID_ACK` arrives.
    pub(crate) fn removal_acknowledged(&mut self, own: Pid, other: Pid, removal: u64) {
        let state = self.links.get(&(own, other)).map(|link| link.state);
        if state == Some(LinkState::Removing(removal)) {
            self.remove_link(own, other);
        }
    }

    /// The `EXIT` of a link arrives. True if it has an effect.
    pub(crate) fn exit_arrived(&mut self, own: Pid, other: Pid) -> bool {
        matches!(self.remove_link(own, other), Some(LinkState::Linked(_)))
    }

    /// Whether there is a link that has not been removed.
    pub(crate) fn is_linked(&self, own: Pid, other: Pid) -> bool {
        let link = self.links.get(&(own, other));
        matches!(link, Some(Link { state: LinkState::Linked(_), .. }))
    }

    fn take_linked(&mut self, own: Pid, other: Pid) -> Option<u64> {
        let LinkState::Linked(id) = self.links.get(&(own, other))?.state else { return None };
        self.remove_link(own, other);
        Some(id)
    }

    fn remove_link(&mut self, own: Pid, other: Pid) -> Option<LinkState> {
        let link = self.links.remove(&(own, other))?;
        self.arrived -= usize::from(link.arrived);
        Some(link.state)
    }

    pub(crate) fn monitor(&mut self, id: u64, monitor: Monitor) {
        self.monitors.insert(id, monitor);
    }

    /// Removes a monitor that a local process has set.
    pub(crate) fn take_monitor(&mut self, id: u64) -> Option<Monitor> {
        self.monitors.remove(&id)
    }

    /// A monitor of the other node arrives. False if the reference is in use.
    pub(crate) fn watch(&mut self, reference: Words, watched: Watched) -> bool {
        let is_new = !self.watched.contains_key(&reference);
        if is_new {
            self.watched.insert(reference, watched);
        }
        is_new
    }

    /// Removes a monitor of the other node; `id` is its number, if that is known.
    pub(crate) fn take_watched(&mut self, reference: Words, id: Option<u64>) -> Option<Watched> {
        let watched = self.watched.get(&reference)?;
        if id.is_some_and(|id| id != watched.id) {
            return None;
        }
        self.watched.remove(&reference)
    }

    /// Notes the call that a monitor of the other node was set for.
    pub(crate) fn note_call(&mut self, reference: Words, call: Weak<dyn AwaitedCall>) {
        if let Some(watched) = self.watched.get_mut(&reference) {
            watched.call = Some(call);
        }
    }

    /// The number of relations that the other node has made.
    pub(crate) fn count(&self) -> usize {
        self.arrived + self.watched.len()
    }

    /// The number of entries for links.
    #[cfg(test)]
    pub(crate) fn links(&self) -> usize {
        self.links.len()
    }

    /// Whether there is none.
    pub(crate) fn is_empty(&self) -> bool {
        let Relations { links, monitors, watched, calls, last_removal: _, arrived: _ } = self;
        links.is_empty() && monitors.is_empty() && watched.is_empty() && calls.is_empty()
    }

    /// Takes out the relations with these processes of the other node.
    pub(crate) fn take_of(&mut self, others: &HashSet<Pid, MapHasher>) -> Severed {
        if others.is_empty() {
            return Severed::default();
        }
        let links: Vec<_> = self.links.extract_if(|(_, other), _| others.contains(other)).collect();
        self.arrived -= links.iter().filter(|(_, link)| link.arrived).count();
        let is_of = |target: &ForeignTarget| matches!(target, ForeignTarget::Pid(pid) if others.contains(pid));
        let monitors = self.monitors.extract_if(|_, own| is_of(&own.target)).collect();
        let links = links.into_iter().filter_map(severed_link).collect();
        Severed { links, monitors, ..Severed::default() }
    }

    /// Takes out all that has to be notified of the loss of the connection.
    pub(crate) fn take(&mut self) -> Severed {
        let Relations { links, monitors, watched, mut calls, .. } = std::mem::take(self);
        Severed {
            links: links.into_iter().filter_map(severed_link).collect(),
            monitors: monitors.into_iter().collect(),
            watched: watched.into_values().collect(),
            calls: calls.take(),
        }
    }
}

fn severed_link((pair, link): ((Pid, Pid), Link)) -> Option<(Pid, Pid, u64)> {
    let ((own, other), LinkState::Linked(id)) = (pair, link.state) else { return None };
    Some((own, other, id))
}

/// The relations that a lost connection had.
#[derive(Debug, Default)]
pub(crate) struct Severed {
    /// Each with the local process, the other one, and its number.
    pub(crate) links: Vec<(Pid, Pid, u64)>,
    pub(crate) monitors: Vec<(u64, Monitor)>,
    pub(crate) watched: Vec<Watched>,
    /// Their drop notifies the callers.
    pub(crate) calls: Vec<PendingCall>,
}
