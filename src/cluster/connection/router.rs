//! Decides where a control message that has arrived goes.
//!
//! | operation | receiver or effect |
//! |---|---|
//! | a message to a name | `net_kernel` answers whether it lives; an exposed server gets the call or cast, and `rex` the call of a function; any other holder of the name gets the term |
//! | a message to a pid, a signal, a link, a monitor | [`inbound`](crate::cluster::remote::inbound); an exposed server gets its calls and casts |
//! | an answer, to an alias | the [call](crate::cluster::remote::call_table) that waits for it |
//! | a request of a process | [`rpc`](crate::cluster::rpc) |
//! | an exit signal with a priority | as one without |
//!
//! An operation that is unknown, or can't be decoded, ends the connection. The term of a message is
//! not decoded here. The receiver decodes the term, and may refuse a malformed or too large one.

use std::sync::Arc;

use crate::base::Pid;
use crate::cluster::connection::net_kernel::NET_KERNEL;
use crate::cluster::connection::settings::Settings;
use crate::cluster::exposed::{ExposedServers, Request};
use crate::cluster::handshake::Flags;
use crate::cluster::remote::inbound::Inbound;
use crate::cluster::remote::pid_terms::as_node;
use crate::cluster::reply::ReturnAddress;
use crate::cluster::rpc::{FUNCTIONS, Received, SpawnRequest};
use crate::cluster::term::{DecodeLimits, Decoder, Token};
use crate::cluster::wire::control::{Control, malformed, op};
use crate::cluster::wire::terms::{atom, encoded};
use crate::cluster::wire::{ConnectionLost, Outbox};
use crate::message::EncodedTerm;
use crate::runtime::Runtime;

/// The flag of a signal to an alias.
const TO_ALIAS: i64 = 4;
/// The flag of a signal to a name.
const TO_NAME: i64 = 8;
/// The flag of the signal of `exit/2`.
const IS_EXIT: i64 = 16;

/// The maximum length of a request to `net_kernel` that is read.
const LONGEST_REQUEST: usize = 64 * 1024;

/// The receiver of the control messages of one connection.
pub(crate) struct Router {
    runtime: Runtime,
    inbound: Arc<Inbound>,
    /// The process of the connection, encoded: the sender of answers.
    own: Arc<[u8]>,
    flags: Flags,
    outbox: Outbox,
    limits: DecodeLimits,
    exposed: ExposedServers,
    functions: Received,
}

impl Router {
    /// The router of a connection whose process is `pid`.
    pub(crate) fn new(
        pid: Pid,
        inbound: Inbound,
        settings: &Settings,
        (flags, outbox): (Flags, Outbox),
    ) -> Self {
        // The name of a node is short enough for an atom.
        let own = encoded(|encoder| drop(encoder.pid(&inbound.own.external(pid)))).into();
        let runtime = Runtime { kernel: inbound.kernel.clone() };
        let longest = settings.longest_frame;
        let limits = DecodeLimits::of_frame(longest);
        let (inbound, exposed) = (Arc::new(inbound), settings.exposed.clone());
        let functions = Received {
            runtime: runtime.clone(),
            functions: settings.functions.clone(),
            outbox: outbox.clone(),
            flags,
            own: inbound.own.clone(),
            limits: limits.clone(),
            running: settings.functions.running_of(&inbound.other.name),
            most_bytes: longest,
        };
        Router { runtime, inbound, own, flags, outbox, limits, exposed, functions }
    }

    /// Handles the body of a frame.
    pub(crate) fn handle(&self, body: &[u8]) -> Result<(), ConnectionLost> {
        let control = Control::decode(body, &self.limits)?;
        let argument = |number| control.argument(number);
        let inbound = &self.inbound;
        match control.operation {
            op::REG_SEND | op::REG_SEND_TT => self.message(argument(2)?, control.payload),
            op::SEND | op::SEND_TT | op::SEND_SENDER | op::SEND_SENDER_TT => {
                self.message_to_pid(argument(1)?, control.payload)
            }
            op::ALIAS_SEND | op::ALIAS_SEND_TT => inbound.answer(argument(1)?, control.payload),
            op::SPAWN_REQUEST | op::SPAWN_REQUEST_TT => self.spawn(&control),
            op::ALTACT_SIG_SEND => self.flagged(&control),
            op::MONITOR_P => inbound.monitor(argument(0)?, argument(1)?, argument(2)?),
            op::DEMONITOR_P => inbound.demonitor(argument(0)?, argument(2)?),
            op::MONITOR_P_EXIT => inbound.monitor_exit(argument(2)?, argument(3)?),
            op::PAYLOAD_MONITOR_P_EXIT => inbound.monitor_exit(argument(2)?, reason(&control)?),
            op::LINK => inbound.link(argument(0)?, argument(1)?),
            op::UNLINK_ID => inbound.unlink(argument(0)?, argument(1)?, argument(2)?),
            op::UNLINK_ID_ACK => {
                inbound.unlink_acknowledged(argument(0)?, argument(1)?, argument(2)?)
            }
            op::EXIT => inbound.exit(argument(0)?, argument(1)?, argument(2)?),
            op::EXIT_TT => inbound.exit(argument(0)?, argument(1)?, argument(3)?),
            op::PAYLOAD_EXIT | op::PAYLOAD_EXIT_TT => {
                inbound.exit(argument(0)?, argument(1)?, reason(&control)?)
            }
            op::EXIT2 => inbound.exit_to(argument(0)?, argument(1)?, argument(2)?),
            op::EXIT2_TT => inbound.exit_to(argument(0)?, argument(1)?, argument(3)?),
            op::PAYLOAD_EXIT2 | op::PAYLOAD_EXIT2_TT => {
                inbound.exit_to(argument(0)?, argument(1)?, reason(&control)?)
            }
            _ => Ok(()),
        }
    }

    /// Handles a signal with flags: `{37, Flags, From, To}`.
    fn flagged(&self, control: &Control<'_>) -> Result<(), ConnectionLost> {
        let Token::Integer(flags) = self.decoder(control.argument(0)?)?.next()? else {
            return Err(malformed("flags that are no integer"));
        };
        let to = control.argument(2)?;
        match flags & (TO_ALIAS | TO_NAME | IS_EXIT) {
            0 => self.message_to_pid(to, control.payload),
            TO_ALIAS => self.inbound.answer(to, control.payload),
            TO_NAME => self.message(to, control.payload),
            IS_EXIT => self.inbound.exit_to(control.argument(1)?, to, reason(control)?),
            _ => Ok(()),
        }
    }

    /// Delivers a message to a pid. If the pid belongs to an exposed server, the message is
    /// delivered as a call or a cast.
    fn message_to_pid(&self, to: &[u8], payload: &[u8]) -> Result<(), ConnectionLost> {
        if !self.exposed.is_empty()
            && let Some(pid) = self.inbound.receiver(to)?
        {
            let address = |caller, tag| self.caller(to, caller, tag);
            let message = (payload, &self.limits);
            let deliver = || self.exposed.deliver_to(&self.runtime, pid, message, address);
            if as_node(Some(&self.inbound.own), deliver) {
                return Ok(());
            }
        }
        self.inbound.message(to, payload)
    }

    /// Handles the request of a process: `{29, Reference, From, GroupLeader, Function, Options}`.
    fn spawn(&self, control: &Control<'_>) -> Result<(), ConnectionLost> {
        let request = SpawnRequest {
            request: control.argument(0)?,
            pid: control.argument(1)?,
            function: control.argument(3)?,
            options: control.argument(4)?,
            arguments: control.payload,
        };
        Ok(self.functions.spawn(&request)?)
    }

    /// Delivers a message to a name.
    fn message(&self, control_name: &[u8], payload: &[u8]) -> Result<(), ConnectionLost> {
        let Token::Atom(name) = self.decoder(control_name)?.next()? else {
            return Err(malformed("a name that is no atom"));
        };
        if payload.is_empty() {
            return Err(malformed("no message"));
        }
        if name == NET_KERNEL.as_str() {
            return self.ask_net_kernel(payload).or_else(ignore_malformed);
        }
        if name == FUNCTIONS.as_str() && !self.functions.functions.is_empty() {
            if let Request::Call { pid, tag, request } = Request::read(payload, &self.limits)
                && let Some((_, caller)) = self.caller(control_name, pid, tag)
            {
                self.functions.rex(request, caller);
            }
            return Ok(());
        }
        let address = |pid, tag| self.caller(control_name, pid, tag);
        let message = (payload, &self.limits);
        let deliver = || self.exposed.deliver(&self.runtime, &name, message, address);
        if as_node(Some(&self.inbound.own), deliver) {
            return Ok(());
        }
        // If no process has the name, the sender gets no answer, as in OTP.
        self.runtime.send_term_named(&name, EncodedTerm::unchecked(payload.to_vec()));
        Ok(())
    }

    /// Answers `{'$gen_call', {Pid, Tag}, {is_auth, Node}}` with `{Tag, yes}`. Other requests get no
    /// answer.
    fn ask_net_kernel(&self, payload: &[u8]) -> Result<(), ConnectionLost> {
        if payload.len() > LONGEST_REQUEST {
            return Ok(());
        }
        let mut decoder = self.decoder(payload)?;
        decoder.start()?;
        let is_atom = |token: &Token<'_>, text| matches!(token, Token::Atom(atom) if atom == text);
        if decoder.next()? != Token::Tuple(3) || !is_atom(&decoder.next()?, "$gen_call") {
            return Ok(());
        }
        if decoder.next()? != Token::Tuple(2) {
            return Ok(());
        }
        let (pid, tag) = (decoder.skip()?, decoder.skip()?);
        if decoder.next()? != Token::Tuple(2) || !is_atom(&decoder.next()?, "is_auth") {
            return Ok(());
        }
        if let Some((_, caller)) = self.caller(&atom(NET_KERNEL.as_str()), pid, tag) {
            caller.answer_encoded(&atom("yes"));
        }
        Ok(())
    }

    /// Returns the caller of a call to this name, or `None` if its address is malformed.
    fn caller(&self, name: &[u8], pid: &[u8], tag: &[u8]) -> Option<(Pid, ReturnAddress)> {
        let peer = (self.outbox.clone(), self.flags);
        let inbound = self.inbound.clone();
        let (ends, from) = ((self.own.clone(), name), (pid, tag));
        let address = ReturnAddress::new(inbound, peer, ends, from, &self.limits).ok()?;
        Some((self.inbound.caller(pid), address))
    }

    fn decoder<'t>(&self, term: &'t [u8]) -> Result<Decoder<'t>, ConnectionLost> {
        Ok(Decoder::new(term, &self.limits)?)
    }
}

/// Returns the payload of an exit, without its version byte.
fn reason<'f>(control: &Control<'f>) -> Result<&'f [u8], ConnectionLost> {
    control.payload.strip_prefix(&[131]).ok_or_else(|| malformed("an exit without a reason"))
}

/// A request that can't be decoded gets no answer, like an unknown request.
fn ignore_malformed(lost: ConnectionLost) -> Result<(), ConnectionLost> {
    if matches!(lost, ConnectionLost::Malformed(_)) { Ok(()) } else { Err(lost) }
}
