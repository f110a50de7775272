//! Signals that arrive from another node, for processes of this one.
//!
//! All of a connection are handled by its process, one after the other. The first record that a
//! request changes is the table of the peer, the second one that of the local process.
//!
//! | between the two steps | what happens |
//! |---|---|
//! | the local process ends | its record refuses the entry, and the other node gets an exit or a `DOWN` with `noproc`, unless the teardown has sent one |
//! | the local process unlinks | the third step finds the link removed, and removes the entry of the record |
//! | another connection replaces this one | the third step finds that, and does what the loss would have done |
//!
//! A signal whose sender is no process of the other node breaks the protocol, and ends the
//! connection. So does one for a pid of this node that this node has not given, so that each guess
//! costs a connection. One for a process of an earlier incarnation of this node finds no process.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Weak};

use crate::base::Pid;
use crate::cluster::remote::arguments::{receiver, reference_of, sender, token};
use crate::cluster::remote::incarnation::Incarnation;
use crate::cluster::remote::local_node::LocalNode;
use crate::cluster::remote::node_pair::Target;
use crate::cluster::remote::peer::{Peer, Superseded};
use crate::cluster::remote::reason::{is_kill, read_reason};
use crate::cluster::remote::relations::{AwaitedCall, Relations, Watched};
use crate::cluster::remote::signal::Signal;
use crate::cluster::remote::watcher::RemoteWatcher;
use crate::cluster::term::Token;
use crate::cluster::wire::ConnectionLost;
use crate::cluster::wire::control::malformed;
use crate::exit::{ExitKind, ExitReason};
use crate::kernel::Kernel;
use crate::kernel::exits::ExitSignal;
use crate::message::EncodedTerm;
use crate::runtime::Runtime;

type Result<T = ()> = std::result::Result<T, ConnectionLost>;

/// The receiver of the signals of one connection.
pub(crate) struct Inbound {
    pub(crate) kernel: Arc<Kernel>,
    pub(crate) peer: Arc<Peer>,
    /// The number of the connection.
    pub(crate) connection: u64,
    pub(crate) own: Arc<LocalNode>,
    pub(crate) other: Arc<Incarnation>,
    /// The links and monitors that the other node may have.
    pub(crate) most_relations: usize,
    /// Whether the other node may kill processes.
    pub(crate) allows_kill: bool,
    /// The number of kills that were refused.
    pub(crate) refused_kills: AtomicU64,
}

impl From<Superseded> for ConnectionLost {
    fn from(_: Superseded) -> Self {
        ConnectionLost::Closed
    }
}

impl Inbound {
    pub(crate) fn monitor(&self, from: &[u8], to: &[u8], reference: &[u8]) -> Result {
        let (watcher, reference) = (self.sender(from)?, reference_of(&self.other, reference)?);
        let (target, name) = match token(to)? {
            Token::Atom(name) => (self.kernel.whereis(&name), Some((&*name).into())),
            Token::Pid(pid) => (self.own.local(&pid)?, None),
            _ => return Err(malformed("a monitor of neither a pid nor a name")),
        };
        let id = self.kernel.fresh_id();
        if let Some(target) = target {
            let watched = Watched { id, target, watcher, name, call: None };
            self.add(|relations| relations.watch(reference, watched))?
                .then_some(())
                .ok_or_else(|| malformed("the reference of a monitor that exists"))?;
            let (peer, connection) = (Arc::downgrade(&self.peer), self.connection);
            let own = RemoteWatcher { peer, connection, reference, id, watcher };
            crate::base::failpoint::point!("remote monitor between sides");
            if self.kernel.add_foreign_watcher(target, id, Arc::new(own)) {
                let current = self.change(|_| ((), None));
                return current.inspect_err(|_| self.kernel.remove_foreign_watcher(target, id));
            }
        }
        self.change(|relations| {
            let is_left = relations.take_watched(reference, Some(id)).is_some();
            let (target_is_dead, reason) = (target.is_none(), ExitReason::NoProc);
            let target = Target::Encoded(to.into());
            let down = Signal::Down { target, other: watcher, reference, reason };
            ((), (is_left || target_is_dead).then_some(down))
        })
    }

    pub(crate) fn demonitor(&self, from: &[u8], reference: &[u8]) -> Result {
        self.sender(from)?;
        let reference = reference_of(&self.other, reference)?;
        let removed = self.change(|relations| (relations.take_watched(reference, None), None))?;
        if let Some(watched) = removed {
            self.kernel.remove_foreign_watcher(watched.target, watched.id);
            watched.end_call();
        }
        Ok(())
    }

    /// Notes the call that a monitor was set for.
    pub(crate) fn note_call(&self, reference: &[u8], call: Weak<dyn AwaitedCall>) -> Result {
        let reference = reference_of(&self.other, reference)?;
        self.change(|relations| (relations.note_call(reference, call), None))
    }

    pub(crate) fn link(&self, from: &[u8], to: &[u8]) -> Result {
        let other = self.sender(from)?;
        let Some(own) = self.receiver(to)? else {
            return self.change(|_| ((), Some(Signal::NoLink { own: to.into(), other })));
        };
        let id = self.kernel.fresh_id();
        if !self.add(|relations| relations.link_arrived(own, other, id))? {
            return Ok(());
        }
        crate::base::failpoint::point!("remote link between sides");
        if !self.kernel.add_link_of_foreign(own, other, id) {
            return self.change(|relations| {
                let is_linked = relations.end(own, other);
                ((), is_linked.then_some(Signal::NoLink { own: to.into(), other }))
            });
        }
        crate::base::failpoint::point!("remote link before recheck");
        match self.change(|relations| (relations.is_linked(own, other), None)) {
            Ok(true) => Ok(()),
            Ok(false) => {
                self.kernel.remove_link_of_foreign(own, other, id + 1);
                Ok(())
            }
            Err(lost) => {
                let (reason, kind) = (&ExitReason::NoConnection, ExitKind::LostLink(id));
                let signal = ExitSignal { from: other, reason, kind };
                self.kernel.signal_foreign_link(own, signal);
                Err(lost)
            }
        }
    }

    pub(crate) fn unlink(&self, removal: &[u8], from: &[u8], to: &[u8]) -> Result {
        let (other, own) = (self.sender(from)?, self.receiver(to)?);
        let removed = self.change(|relations| {
            let removed = own.and_then(|own| relations.unlink_arrived(own, other));
            let (own, removal) = (to.into(), removal.into());
            (removed, Some(Signal::UnlinkAck { own, other, removal }))
        })?;
        if let (Some(own), Some(id)) = (own, removed) {
            self.kernel.remove_link_of_foreign(own, other, id + 1);
        }
        Ok(())
    }

    pub(crate) fn unlink_acknowledged(&self, removal: &[u8], from: &[u8], to: &[u8]) -> Result {
        let (other, own) = (self.sender(from)?, self.receiver(to)?);
        // Numbers of this node are small.
        let (Some(own), Token::Integer(removal)) = (own, token(removal)?) else { return Ok(()) };
        let removal = u64::try_from(removal).unwrap_or_default();
        self.change(|relations| (relations.removal_acknowledged(own, other, removal), None))
    }

    /// The exit signal of a link.
    pub(crate) fn exit(&self, from: &[u8], to: &[u8], reason: &[u8]) -> Result {
        let other = self.sender(from)?;
        let Some(own) = self.receiver(to)? else { return Ok(()) };
        if self.change(|relations| (relations.exit_arrived(own, other), None))? {
            crate::base::failpoint::point!("remote exit between sides");
            let (reason, kind) = (&read_reason(reason), ExitKind::Link);
            let signal = ExitSignal { from: other, reason, kind };
            self.kernel.signal_foreign_link(own, signal);
        }
        Ok(())
    }

    /// The signal of `exit/2`.
    pub(crate) fn exit_to(&self, from: &[u8], to: &[u8], reason: &[u8]) -> Result {
        let from = self.sender(from)?;
        let own = self.receiver(to)?.and_then(|own| self.kernel.find(own));
        let Some(own) = own else { return Ok(()) };
        if !is_kill(reason) {
            let (reason, kind) = (read_reason(reason), ExitKind::Exit);
            self.kernel.signal_exit(&*own, ExitSignal { from, reason: &reason, kind });
        } else if self.allows_kill {
            let (reason, kind) = (&ExitReason::Killed, ExitKind::Kill);
            self.kernel.signal_exit(&*own, ExitSignal { from, reason, kind });
        } else {
            self.log_refused_kill(own.pid());
        }
        Ok(())
    }

    /// Logs the 1st, the 2nd, the 4th, the 8th refused kill and so on: a node that sends nothing else
    /// must not fill the log.
    fn log_refused_kill(&self, pid: Pid) {
        let count = self.refused_kills.fetch_add(1, Relaxed) + 1;
        if count.is_power_of_two() {
            crate::base::ignore_panic(|| {
                let node = &self.other.name;
                tracing::warn!(target: "regrow::cluster", %node, %pid, count, "kill refused");
            });
        }
    }

    /// A message to a pid.
    pub(crate) fn message(&self, to: &[u8], payload: &[u8]) -> Result {
        if payload.is_empty() {
            return Err(malformed("no message"));
        }
        if let Some(own) = self.receiver(to)? {
            let runtime = Runtime { kernel: self.kernel.clone() };
            runtime.send_term(own, EncodedTerm::unchecked(payload.to_vec()));
        }
        Ok(())
    }

    /// Returns the sender of a signal, which has to be a process of the other node.
    pub(super) fn sender(&self, from: &[u8]) -> Result<Pid> {
        sender(&self.other, from)
    }

    /// Returns the receiver of a signal; `None` if it has ended. A pid that was guessed breaks the
    /// protocol.
    pub(crate) fn receiver(&self, to: &[u8]) -> Result<Option<Pid>> {
        receiver(&self.own, to)
    }

    pub(super) fn change<R>(
        &self,
        change: impl FnOnce(&mut Relations) -> (R, Option<Signal>),
    ) -> Result<R> {
        Ok(self.peer.respond(self.connection, change)?)
    }

    /// Adds a relation, unless there are too many.
    fn add(&self, add: impl FnOnce(&mut Relations) -> bool) -> Result<bool> {
        let most = self.most_relations;
        let added = self.change(|relations| {
            let has_room = relations.count() < most;
            (has_room.then(|| add(relations)), None)
        });
        added?.ok_or(ConnectionLost::TooManyRelations(most))
    }
}
