//! The signals that are sent to another node, and their frames.

use crate::base::{Pid, SharedStr};
use crate::cluster::remote::node_pair::{NodePair, Target, atom};
use crate::cluster::remote::reason::{reason_size, write_reason};
use crate::cluster::term::{Encoder, Words};
use crate::cluster::wire::control::{begin_control, op};
use crate::cluster::wire::frame::append_frame;
use crate::exit::ExitReason;
use crate::message::EncodedTerm;

/// How often the frames of a signal contain the name of each node, at most.
const MOST_NAMES: usize = 5;
/// The maximum length of the frames of a signal without names, reasons and terms: at most three pids
/// and two references, of 16 and 30 bytes, an integer, and the heads of tuples and lists.
const LONGEST_REST: usize = 240;

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
    /// A call to a server by its name: the monitor of the name, and the request. The number is that of
    /// the monitor; the request is encoded, without a version byte.
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

    /// Returns an upper bound of the bytes of the signal, while it waits for a connection and in its
    /// frames. `names` is the length of the names of both nodes.
    pub(crate) fn size(&self, names: usize) -> usize {
        let content = match self {
            Signal::Send { term, .. } => term.as_bytes().len(),
            Signal::SendName { name, term, .. } => name.len() + term.as_bytes().len(),
            Signal::Call { name, request, .. } => 2 * name.len() + request.len(),
            Signal::UnlinkAck { own, removal, .. } => own.len() + removal.len(),
            Signal::NoLink { own, .. } => own.len(),
            Signal::Exit { reason, .. } | Signal::ExitTo { reason, .. } => reason_size(reason),
            Signal::Monitor { target, .. } | Signal::Demonitor { target, .. } => target.size(),
            Signal::Down { target, reason, .. } => target.size() + reason_size(reason),
            Signal::Link { .. } | Signal::Unlink { .. } => 0,
        };
        content + MOST_NAMES * names + LONGEST_REST + size_of::<Signal>()
    }

    /// Appends the frame of the signal; those of a call are two.
    pub(crate) fn append(&self, frames: &mut Vec<u8>, nodes: &NodePair<'_>) {
        if let Signal::Call { own, name, id, .. } = self {
            let target = Target::Name(name.clone());
            append_frame(frames, |out| {
                nodes.monitor(&mut Encoder::new(out), op::MONITOR_P, (*own, &target), *id);
            });
        }
        append_frame(frames, |out| self.write(&mut Encoder::new(out), nodes));
    }

    /// Writes the control message, and the payload if there is one.
    fn write(&self, encoder: &mut Encoder<'_>, nodes: &NodePair<'_>) {
        match self {
            Signal::Send { to, term } => write_message(encoder, nodes, *to, term),
            Signal::SendName { own, name, term } => {
                begin_control(encoder, op::REG_SEND, 3);
                nodes.write(encoder, *own);
                atom(encoder, "");
                atom(encoder, name);
                encoder.raw(term.as_bytes());
            }
            Signal::Link { own, other } => {
                begin_control(encoder, op::LINK, 2);
                nodes.write_both(encoder, *own, *other);
            }
            Signal::Unlink { own, other, removal } => {
                begin_control(encoder, op::UNLINK_ID, 3);
                encoder.unsigned(*removal);
                nodes.write_both(encoder, *own, *other);
            }
            Signal::UnlinkAck { own, other, removal } => {
                begin_control(encoder, op::UNLINK_ID_ACK, 3);
                [removal, own].iter().for_each(|argument| encoder.raw(argument));
                nodes.write(encoder, *other);
            }
            Signal::Monitor { own, target, id } => {
                nodes.monitor(encoder, op::MONITOR_P, (*own, target), *id);
            }
            Signal::Demonitor { own, target, id } => {
                nodes.monitor(encoder, op::DEMONITOR_P, (*own, target), *id);
            }
            Signal::Call { own, name, id, request } => {
                nodes.call(encoder, (*own, name), *id, request);
            }
            end => end.write_end(encoder, nodes),
        }
    }

    /// Writes the end of a process, or an exit signal. Any other signal writes nothing.
    fn write_end(&self, encoder: &mut Encoder<'_>, nodes: &NodePair<'_>) {
        match self {
            Signal::Exit { own, other, reason } => {
                let operations = (op::EXIT, op::PAYLOAD_EXIT);
                let write = |encoder: &mut Encoder<'_>| write_reason(reason, encoder);
                nodes.exit(encoder, operations, (&Target::Pid(*own), *other), write);
            }
            Signal::NoLink { own, other } => {
                let (operations, own) =
                    ((op::EXIT, op::PAYLOAD_EXIT), Target::Encoded(own.clone()));
                nodes.exit(encoder, operations, (&own, *other), |encoder| atom(encoder, "noproc"));
            }
            Signal::ExitTo { own, other, reason, is_kill } => {
                let operations = (op::EXIT2, op::PAYLOAD_EXIT2);
                let write = |encoder: &mut Encoder<'_>| match is_kill {
                    true => atom(encoder, "kill"),
                    false => write_reason(reason, encoder),
                };
                nodes.exit(encoder, operations, (&Target::Pid(*own), *other), write);
            }
            Signal::Down { target, other, reference, reason } => {
                nodes.down(encoder, (target, *other), *reference, reason);
            }
            _ => {}
        }
    }
}

/// Appends the frame of a message, as [`Signal::Send`] has it.
pub(super) fn append_message(
    frames: &mut Vec<u8>,
    nodes: &NodePair<'_>,
    to: Pid,
    term: &EncodedTerm,
) {
    append_frame(frames, |out| write_message(&mut Encoder::new(out), nodes, to, term));
}

fn write_message(encoder: &mut Encoder<'_>, nodes: &NodePair<'_>, to: Pid, term: &EncodedTerm) {
    begin_control(encoder, op::SEND, 2);
    atom(encoder, "");
    nodes.write(encoder, to);
    encoder.raw(term.as_bytes());
}

#[cfg(test)]
mod tests;
