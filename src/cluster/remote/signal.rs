//! The signals that are sent to another node, and their frames.

use crate::base::{Pid, SharedStr};
use crate::cluster::handshake::Flags;
use crate::cluster::remote::incarnation::Incarnation;
use crate::cluster::remote::local_node::LocalNode;
use crate::cluster::remote::reason::write_reason;
use crate::cluster::term::{Encoder, Words};
use crate::cluster::wire::control::{begin_control, op};
use crate::exit::ExitReason;
use crate::message::EncodedTerm;

/// A signal to a process of another node. `other` is that process, `own` one of this node.
#[derive(Debug)]
pub(crate) enum Signal {
    Send {
        to: Pid,
        term: EncodedTerm,
    },
    SendName {
        own: Pid,
        name: SharedStr,
        term: EncodedTerm,
    },
    Link {
        own: Pid,
        other: Pid,
    },
    Unlink {
        own: Pid,
        other: Pid,
        removal: u64,
    },
    /// With the number of the removal and the pid as they arrived.
    UnlinkAck {
        own: Box<[u8]>,
        other: Pid,
        removal: Box<[u8]>,
    },
    /// The exit of a link.
    Exit {
        own: Pid,
        other: Pid,
        reason: ExitReason,
    },
    /// The answer to a link with a process that has ended, whose pid is as it arrived.
    NoLink {
        own: Box<[u8]>,
        other: Pid,
    },
    /// The signal of `exit/2`. The reason of a kill is the atom `kill`.
    ExitTo {
        own: Pid,
        other: Pid,
        reason: ExitReason,
        is_kill: bool,
    },
    Monitor {
        own: Pid,
        target: Target,
        id: u64,
    },
    Demonitor {
        own: Pid,
        target: Target,
        id: u64,
    },
    /// A call to a server by its name. The number is that of the call's monitor; the request is
    /// encoded, without a version byte.
    Call {
        own: Pid,
        name: SharedStr,
        id: u64,
        request: Vec<u8>,
    },
    /// The end of a process that `other` has monitored.
    Down {
        target: Target,
        other: Pid,
        reference: Words,
        reason: ExitReason,
    },
}

/// What a monitor names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Target {
    Pid(Pid),
    Name(SharedStr),
    /// As it arrived in a request.
    Encoded(Box<[u8]>),
}

/// The two nodes of a connection, and what they have agreed on.
#[derive(Debug)]
pub(crate) struct Ends<'c> {
    pub(crate) own: &'c LocalNode,
    pub(crate) other: &'c Incarnation,
    pub(crate) flags: Flags,
}

impl Signal {
    /// The process that the signal is for, if it is known by its pid.
    pub(crate) fn receiver(&self) -> Option<Pid> {
        match self {
            Signal::Send { to, .. } => Some(*to),
            Signal::Link { other, .. }
            | Signal::Unlink { other, .. }
            | Signal::UnlinkAck { other, .. }
            | Signal::Exit { other, .. }
            | Signal::NoLink { other, .. }
            | Signal::ExitTo { other, .. }
            | Signal::Down { other, .. } => Some(*other),
            Signal::Monitor { target, .. } | Signal::Demonitor { target, .. } => match target {
                Target::Pid(pid) => Some(*pid),
                Target::Name(_) | Target::Encoded(_) => None,
            },
            Signal::SendName { .. } | Signal::Call { .. } => None,
        }
    }

    /// About how many bytes the signal takes while it waits for a connection.
    pub(crate) fn size(&self) -> usize {
        let term = match self {
            Signal::Send { term, .. } | Signal::SendName { term, .. } => term.as_bytes().len(),
            Signal::Call { request, .. } => request.len(),
            _ => 0,
        };
        term + size_of::<Signal>()
    }

    /// Appends the control message, and the payload if there is one.
    pub(crate) fn append(&self, out: &mut Vec<u8>, ends: &Ends<'_>) {
        let mut encoder = Encoder::new(out);
        let encoder = &mut encoder;
        match self {
            Signal::Send { to, term } => {
                begin_control(encoder, op::SEND, 2);
                atom(encoder, "");
                ends.write(encoder, *to);
                encoder.raw(term.as_bytes());
            }
            Signal::SendName { own, name, term } => {
                begin_control(encoder, op::REG_SEND, 3);
                ends.write(encoder, *own);
                atom(encoder, "");
                atom(encoder, name);
                encoder.raw(term.as_bytes());
            }
            Signal::Link { own, other } => {
                begin_control(encoder, op::LINK, 2);
                ends.write_both(encoder, *own, *other);
            }
            Signal::Unlink { own, other, removal } => {
                begin_control(encoder, op::UNLINK_ID, 3);
                encoder.unsigned(*removal);
                ends.write_both(encoder, *own, *other);
            }
            Signal::UnlinkAck { own, other, removal } => {
                begin_control(encoder, op::UNLINK_ID_ACK, 3);
                encoder.raw(removal);
                encoder.raw(own);
                ends.write(encoder, *other);
            }
            Signal::Exit { own, other, reason } => {
                let operations = (op::EXIT, op::PAYLOAD_EXIT);
                let write = |encoder: &mut Encoder<'_>| write_reason(reason, encoder);
                ends.exit(encoder, operations, (&Target::Pid(*own), *other), write);
            }
            Signal::NoLink { own, other } => {
                let (operations, own) =
                    ((op::EXIT, op::PAYLOAD_EXIT), Target::Encoded(own.clone()));
                ends.exit(encoder, operations, (&own, *other), |encoder| atom(encoder, "noproc"));
            }
            Signal::ExitTo { own, other, reason, is_kill } => {
                let operations = (op::EXIT2, op::PAYLOAD_EXIT2);
                let write = |encoder: &mut Encoder<'_>| match is_kill {
                    true => atom(encoder, "kill"),
                    false => write_reason(reason, encoder),
                };
                ends.exit(encoder, operations, (&Target::Pid(*own), *other), write);
            }
            Signal::Monitor { own, target, id } => {
                ends.monitor(encoder, op::MONITOR_P, (*own, target), *id);
            }
            Signal::Demonitor { own, target, id } => {
                ends.monitor(encoder, op::DEMONITOR_P, (*own, target), *id);
            }
            Signal::Call { own, name, id, request } => {
                begin_control(encoder, op::REG_SEND, 3);
                ends.write(encoder, *own);
                atom(encoder, "");
                atom(encoder, name);
                ends.call(encoder, *own, *id, request);
            }
            Signal::Down { target, other, reference, reason } => {
                let has_payload = ends.flags.has(Flags::EXIT_PAYLOAD);
                let (operation, count) = if has_payload {
                    (op::PAYLOAD_MONITOR_P_EXIT, 3)
                } else {
                    (op::MONITOR_P_EXIT, 4)
                };
                begin_control(encoder, operation, count);
                ends.target(encoder, target);
                ends.write(encoder, *other);
                let _ = encoder.reference(&ends.other.reference(*reference));
                if has_payload {
                    encoder.start();
                }
                write_reason(reason, encoder);
            }
        }
    }
}

/// A name of this crate is short enough, or was checked.
fn atom(encoder: &mut Encoder<'_>, name: &str) {
    let _ = encoder.atom(name);
}

impl Ends<'_> {
    /// Writes a pid of either node. The caller has made sure that it is of one of them.
    fn write(&self, encoder: &mut Encoder<'_>, pid: Pid) {
        let external = if pid.is_foreign() { self.other.external(pid) } else { None };
        // The names of nodes are short enough.
        let _ = encoder.pid(&external.unwrap_or_else(|| self.own.external(pid)));
    }

    fn write_both(&self, encoder: &mut Encoder<'_>, own: Pid, other: Pid) {
        self.write(encoder, own);
        self.write(encoder, other);
    }

    /// Writes `{'$gen_call', {Pid, [alias | Reference]}, Request}`.
    fn call(&self, encoder: &mut Encoder<'_>, own: Pid, id: u64, request: &[u8]) {
        encoder.start();
        let _ = encoder.tuple(3);
        atom(encoder, "$gen_call");
        let _ = encoder.tuple(2);
        self.write(encoder, own);
        let _ = encoder.list(1);
        atom(encoder, "alias");
        let _ = encoder.reference(&self.own.reference(id));
        encoder.raw(request);
    }

    fn target(&self, encoder: &mut Encoder<'_>, target: &Target) {
        match target {
            Target::Pid(pid) => self.write(encoder, *pid),
            Target::Name(name) => atom(encoder, name),
            Target::Encoded(term) => encoder.raw(term),
        }
    }

    fn monitor(
        &self,
        encoder: &mut Encoder<'_>,
        operation: u8,
        (own, target): (Pid, &Target),
        id: u64,
    ) {
        begin_control(encoder, operation, 3);
        self.write(encoder, own);
        self.target(encoder, target);
        let _ = encoder.reference(&self.own.reference(id));
    }

    /// Writes an exit, whose reason is an argument or the payload.
    fn exit(
        &self,
        encoder: &mut Encoder<'_>,
        (plain, with_payload): (u8, u8),
        (own, other): (&Target, Pid),
        write: impl FnOnce(&mut Encoder<'_>),
    ) {
        if self.flags.has(Flags::EXIT_PAYLOAD) {
            begin_control(encoder, with_payload, 2);
        } else {
            begin_control(encoder, plain, 3);
        }
        self.target(encoder, own);
        self.write(encoder, other);
        if self.flags.has(Flags::EXIT_PAYLOAD) {
            encoder.start();
        }
        write(encoder);
    }
}
