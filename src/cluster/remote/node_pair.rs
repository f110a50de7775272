//! The two nodes of a connection, and how the pids of their processes are written in a frame.

use crate::base::{Pid, SharedStr};
use crate::cluster::handshake::Flags;
use crate::cluster::remote::incarnation::Incarnation;
use crate::cluster::remote::local_node::LocalNode;
use crate::cluster::remote::reason::write_reason;
use crate::cluster::term::{Encoder, Words};
use crate::cluster::wire::control::{begin_control, op};
use crate::exit::ExitReason;

/// What a monitor names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Target {
    Pid(Pid),
    Name(SharedStr),
    /// As it arrived in a request.
    Encoded(Box<[u8]>),
}

impl Target {
    /// Returns the bytes of a target that is no pid.
    pub(crate) fn size(&self) -> usize {
        match self {
            Target::Pid(_) => 0,
            Target::Name(name) => name.len(),
            Target::Encoded(term) => term.len(),
        }
    }
}

/// The two nodes of a connection, and what they have agreed on.
#[derive(Debug)]
pub(crate) struct NodePair<'c> {
    pub(crate) own: &'c LocalNode,
    pub(crate) other: &'c Incarnation,
    pub(crate) flags: Flags,
}

/// A name of this crate is short enough, or was checked.
pub(super) fn atom(encoder: &mut Encoder<'_>, name: &str) {
    let _ = encoder.atom(name);
}

impl NodePair<'_> {
    /// Writes a pid of either node. The caller has made sure that it is of one of them.
    pub(super) fn write(&self, encoder: &mut Encoder<'_>, pid: Pid) {
        let other = pid.is_foreign().then(|| self.other.parts(pid)).flatten();
        match other {
            Some((id, serial)) => self.other.ids.write_pid(encoder, id, serial),
            None => self.own.write_pid(pid, encoder),
        }
    }

    pub(super) fn write_both(&self, encoder: &mut Encoder<'_>, own: Pid, other: Pid) {
        self.write(encoder, own);
        self.write(encoder, other);
    }

    /// Writes a message to a name: `{'$gen_call', {Pid, [alias | Reference]}, Request}`.
    pub(super) fn call(
        &self,
        encoder: &mut Encoder<'_>,
        (own, name): (Pid, &str),
        id: u64,
        request: &[u8],
    ) {
        begin_control(encoder, op::REG_SEND, 3);
        self.write(encoder, own);
        atom(encoder, "");
        atom(encoder, name);
        encoder.start();
        let _ = encoder.tuple(3);
        atom(encoder, "$gen_call");
        let _ = encoder.tuple(2);
        self.write(encoder, own);
        let _ = encoder.list(1);
        atom(encoder, "alias");
        self.own.write_monitor(id, encoder);
        encoder.raw(request);
    }

    pub(super) fn target(&self, encoder: &mut Encoder<'_>, target: &Target) {
        match target {
            Target::Pid(pid) => self.write(encoder, *pid),
            Target::Name(name) => atom(encoder, name),
            Target::Encoded(term) => encoder.raw(term),
        }
    }

    pub(super) fn monitor(
        &self,
        encoder: &mut Encoder<'_>,
        operation: u8,
        (own, target): (Pid, &Target),
        id: u64,
    ) {
        begin_control(encoder, operation, 3);
        self.write(encoder, own);
        self.target(encoder, target);
        self.own.write_monitor(id, encoder);
    }

    /// Writes an exit, whose reason is an argument or the payload.
    pub(super) fn exit(
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

    /// Writes the end of a monitored process, whose reason is an argument or the payload.
    pub(super) fn down(
        &self,
        encoder: &mut Encoder<'_>,
        (target, other): (&Target, Pid),
        reference: Words,
        reason: &ExitReason,
    ) {
        let has_payload = self.flags.has(Flags::EXIT_PAYLOAD);
        match has_payload {
            true => begin_control(encoder, op::PAYLOAD_MONITOR_P_EXIT, 3),
            false => begin_control(encoder, op::MONITOR_P_EXIT, 4),
        }
        self.target(encoder, target);
        self.write(encoder, other);
        self.other.ids.write_reference(encoder, reference);
        if has_payload {
            encoder.start();
        }
        write_reason(reason, encoder);
    }
}
