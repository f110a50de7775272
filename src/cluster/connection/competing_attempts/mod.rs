//! Which of several attempts to connect to one peer becomes the connection: pure transitions.
//!
//! Each attempt is a process. The process asks before each step that affects the other attempts.
//! One value of type [`Attempts`] answers all attempts of a peer, so the answers have an order.
//! *This* node has the name L, the peer has the name P.
//!
//! ```text
//!                 use                        name may be sent             authenticated
//! (none) ───────────────────▶ dial, resolving ─────────────▶ dial, named ─────────────▶ up
//! (none) ── the peer names itself ──▶ accepted ─────────── authenticated ─────────────▶ up
//! ```
//!
//! # The status that an accepted connection gets
//!
//! | this node has | P > L | P < L |
//! |---|---|---|
//! | nothing, or accepted connections that are not authenticated | `ok` | `ok` |
//! | a dial whose name is not sent yet | `ok_simultaneous` | `ok` |
//! | a dial whose name is sent | `ok_simultaneous` | `nok` |
//! | a connection that is up | `alive` | `alive` |
//!
//! The second line differs from OTP. OTP answers `nok` for P < L as soon as this node resolves the
//! address of the peer. At that time the peer has no sign of the dial, and the dial may fail. With
//! `ok`, the attempt of the peer can still succeed. If the dial continues, the peer gives up its
//! own attempt when it receives this node's name, because L > P.
//!
//! # What happens when an attempt is authenticated
//!
//! An attempt displaces another one only after it is authenticated, because any program can claim a
//! name.
//!
//! | authenticated | beside | follows |
//! |---|---|---|
//! | the dial | nothing that is up | it is up |
//! | the dial | a connection that is up | it is refused |
//! | accepted | nothing that is up, no dial | it is up |
//! | accepted | a dial, P > L | it is up; the dial ends, because P would refuse it |
//! | accepted | a dial whose name is not sent, P < L | it is up; the dial ends |
//! | accepted | a dial whose name is sent, P < L | it is held, because P gives it up when P receives the name. It is refused when the dial is up, and it is up when the dial fails |
//! | accepted | a connection that is up and was claimed later | it is refused, because it is the older one |
//! | accepted | any other connection that is up | the old one is closed; when it has ended, this one is up |
//!
//! # Races
//!
//! * **Both dial at once**: the tables above. P's tables are the same with the names exchanged.
//! * **The name of a dial and an authenticated attempt**: the dial asks before it sends its name.
//!   If an accepted connection is up at that time, the dial ends without a message. If the dial may
//!   send its name, an attempt of P < L that is authenticated afterwards is held.
//! * **The peer ends between the status and the challenge**: its attempt ends, and has displaced
//!   nothing.
//! * **The peer has restarted, and its old connection is still up here**: the status is `alive`,
//!   the peer answers `true`, and the old connection is closed after the new one is authenticated.
//! * **A dial fails after P was answered `nok`**: both attempts are lost. The users that wait for
//!   the connection get the error of the dial, and the next use dials again.
//! * **A dial gets `nok`**: P's own attempt continues, and its name may arrive after the `nok`. The
//!   users that wait for a connection wait for that attempt, until the deadline of this node's
//!   attempt. If each accepted connection ends before the deadline, this node dials again. The
//!   deadline ends the wait even while accepted connections are open, because any program can claim
//!   the name of P.

use crate::cluster::handshake::Status;

/// The attempts and the connection of one peer. `C` identifies an attempt.
#[derive(Debug)]
pub(crate) struct Attempts<C> {
    /// Whether P > L.
    is_greater: bool,
    dial: Option<Dial<C>>,
    /// The accepted connections that are not authenticated, in the order of their claims.
    accepted: Vec<Claimed<C>>,
    /// The accepted connection that is authenticated, and waits for the end of the dial.
    held: Option<Claimed<C>>,
    up: Option<Claimed<C>>,
    /// The connection that waits for the end of the one that is up.
    successor: Option<Claimed<C>>,
    claims: u64,
    /// Whether this node waits for the peer's own attempt: a dial was refused because that attempt
    /// continues, and the attempt has neither ended nor reached the deadline. While this is true,
    /// there is no dial and no connection.
    yields: bool,
}

#[derive(Debug)]
struct Dial<C> {
    id: C,
    is_named: bool,
}

/// An attempt, and the order of the claims. A dial counts as claimed when it is begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Claimed<C> {
    id: C,
    number: u64,
}

/// The effect of a transition on an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action<C> {
    /// The authenticated attempt is up.
    Admit(C),
    /// The attempt is closed, in any state.
    Close(C),
}

impl<C: Copy + PartialEq> Attempts<C> {
    pub(crate) fn new(is_greater: bool) -> Self {
        Attempts {
            is_greater,
            dial: None,
            accepted: Vec::new(),
            held: None,
            up: None,
            successor: None,
            claims: 0,
            yields: false,
        }
    }

    /// Whether a use of the connection needs a dial.
    pub(crate) fn needs_dial(&self) -> bool {
        self.dial.is_none() && self.up.is_none() && !self.yields
    }

    /// Notes that a dial has begun.
    pub(crate) fn dialing(&mut self, id: C) {
        self.yields = false;
        self.dial = Some(Dial { id, is_named: false });
    }

    /// Returns the connection that is up.
    pub(crate) fn connection(&self) -> Option<C> {
        self.up.map(|up| up.id)
    }

    /// Whether a connection may come without another dial.
    pub(crate) fn is_pending(&self) -> bool {
        self.dial.is_some() || self.successor.is_some() || self.yields
    }

    /// Whether there is neither an attempt nor a connection.
    pub(crate) fn is_idle(&self) -> bool {
        !self.is_pending() && self.up.is_none() && self.accepted.is_empty()
    }

    /// Whether this node waits for the peer's own attempt.
    pub(crate) fn yields(&self) -> bool {
        self.yields
    }

    /// Returns the status for an accepted connection whose peer has given its name.
    pub(crate) fn claim(&mut self, id: C) -> Status {
        let status = match (&self.up, &self.dial) {
            (Some(_), _) => Status::Alive,
            (None, Some(_)) if self.is_greater => Status::OkSimultaneous,
            (None, Some(Dial { is_named: true, .. })) => return Status::Nok,
            _ => Status::Ok,
        };
        let number = self.next_claim();
        self.accepted.push(Claimed { id, number });
        status
    }

    fn next_claim(&mut self) -> u64 {
        self.claims += 1;
        self.claims
    }

    /// Returns whether a dial may send this node's name.
    pub(crate) fn may_send_name(&mut self, id: C) -> bool {
        match &mut self.dial {
            Some(dial) if dial.id == id && self.up.is_none() => {
                dial.is_named = true;
                true
            }
            _ => false,
        }
    }

    /// Notes that an attempt is authenticated. The attempt gets exactly one action, now or later:
    /// [`Action::Close`], which ends it, or [`Action::Admit`], which makes it the connection.
    pub(crate) fn authenticated(&mut self, id: C) -> Vec<Action<C>> {
        if self.dial.as_ref().is_some_and(|dial| dial.id == id) {
            return self.dial_authenticated(id);
        }
        let Some(at) = self.accepted.iter().position(|claimed| claimed.id == id) else {
            return vec![Action::Close(id)];
        };
        let accepted = self.accepted.remove(at);
        match (self.up, &self.dial) {
            (Some(up), _) if up.number > accepted.number => vec![Action::Close(id)],
            (Some(up), _) => {
                let older = self.successor.replace(accepted);
                let closed = older.map_or(up.id, |older| older.id);
                vec![Action::Close(closed)]
            }
            (None, Some(Dial { is_named: true, .. })) if !self.is_greater => {
                let older = self.held.replace(accepted);
                older.map(|older| Action::Close(older.id)).into_iter().collect()
            }
            (None, Some(dial)) => {
                let closed = Action::Close(dial.id);
                self.dial = None;
                vec![closed, self.admit(accepted)]
            }
            (None, None) => vec![self.admit(accepted)],
        }
    }

    fn dial_authenticated(&mut self, id: C) -> Vec<Action<C>> {
        self.dial = None;
        let number = self.next_claim();
        let mut actions = vec![self.admit(Claimed { id, number })];
        actions.extend(self.held.take().map(|held| Action::Close(held.id)));
        actions
    }

    fn admit(&mut self, admitted: Claimed<C>) -> Action<C> {
        self.yields = false;
        self.up = Some(admitted);
        Action::Admit(admitted.id)
    }

    /// Notes that a dial was refused because the peer's own attempt continues. The dial has ended.
    pub(crate) fn refused_for_own(&mut self, id: C) -> Vec<Action<C>> {
        if self.dial.as_ref().is_none_or(|dial| dial.id != id) {
            return Vec::new();
        }
        self.yields = true;
        self.ended(id)
    }

    /// Notes that the deadline of the attempt has passed.
    pub(crate) fn overdue(&mut self) {
        self.yields = false;
    }

    /// Notes that an attempt or a connection has ended.
    pub(crate) fn ended(&mut self, id: C) -> Vec<Action<C>> {
        let accepted = self.accepted.len();
        self.accepted.retain(|claimed| claimed.id != id);
        if self.accepted.is_empty() && accepted > 0 {
            self.yields = false;
        }
        let is_this = |claimed: &mut Claimed<C>| claimed.id == id;
        self.held.take_if(is_this);
        self.successor.take_if(is_this);
        let mut next = None;
        if self.up.take_if(is_this).is_some() {
            next = self.successor.take();
        } else if self.dial.take_if(|dial| dial.id == id).is_some() {
            next = self.held.take();
        }
        next.map(|next| self.admit(next)).into_iter().collect()
    }
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod two_nodes;
