//! What is done with a control message that arrives.
//!
//! | operation | what is done |
//! |---|---|
//! | a message to a name | `net_kernel` answers whether it lives; an exposed server gets the call or cast; any other holder of the name gets the encoded term |
//! | a monitor of `net_kernel` | nothing: `net_kernel` lives as long as the connection |
//! | any other monitor, a link | the other node learns that there is no such process |
//! | an unlink | it is acknowledged |
//! | a message or a signal to a pid | nothing: no process here has given its pid to another node |
//!
//! An operation that is not known, or can't be decoded, ends the connection. The term of a message is
//! not decoded here: the receiver may find that it breaks the format, or exceeds its limits.

use crate::base::Pid;
use crate::cluster::connection::net_kernel::NET_KERNEL;
use crate::cluster::connection::settings::Settings;
use crate::cluster::exposed::ExposedServers;
use crate::cluster::handshake::{Flags, Session};
use crate::cluster::reply::ReturnAddress;
use crate::cluster::term::{Atom, DecodeLimits, Decoder, ExternalPid, Token};
use crate::cluster::wire::control::{Control, append_control, malformed, op};
use crate::cluster::wire::terms::{append_term, atom, encoded};
use crate::cluster::wire::{ConnectionLost, Outbox};
use crate::runtime::Runtime;

/// The flag of a signal to a name.
const TO_NAME: i64 = 8;

/// The maximum length of a request to `net_kernel` that is read.
const LONGEST_REQUEST: usize = 64 * 1024;

/// The receiver of the control messages of one connection.
pub(crate) struct Router {
    runtime: Runtime,
    /// The process of the connection, encoded: the sender of answers.
    own: Vec<u8>,
    flags: Flags,
    outbox: Outbox,
    limits: DecodeLimits,
    exposed: ExposedServers,
}

impl Router {
    pub(crate) fn new(
        (runtime, pid): (Runtime, Pid),
        settings: &Settings,
        session: &Session,
        outbox: Outbox,
    ) -> Result<Self, ConnectionLost> {
        let name = settings.local.name.as_str();
        let node = Atom::new(name).map_err(|error| malformed(&error.to_string()))?;
        let own = encoded(|encoder| {
            let [id, serial] = [0, 32].map(|shift| u32::try_from(pid.raw() >> shift & 0xffff_ffff));
            let pid = ExternalPid::new(
                node,
                id.unwrap_or_default(),
                serial.unwrap_or_default(),
                settings.local.creation,
            );
            drop(encoder.pid(&pid));
        });
        let limits =
            DecodeLimits::new().size(settings.longest_frame).integer(settings.longest_frame);
        let exposed = settings.exposed.clone();
        Ok(Router { runtime, own, flags: session.flags, outbox, limits, exposed })
    }

    /// Handles the body of a frame.
    pub(crate) fn handle(&self, body: &[u8]) -> Result<(), ConnectionLost> {
        let control = Control::decode(body, &self.limits)?;
        match control.operation {
            op::REG_SEND | op::REG_SEND_TT => self.message(control.argument(2)?, control.payload),
            op::ALTACT_SIG_SEND => {
                let flags = self.decoder(control.argument(0)?)?.next()?;
                let by_name = matches!(flags, Token::Integer(flags) if flags & TO_NAME != 0);
                if by_name { self.message(control.argument(2)?, control.payload) } else { Ok(()) }
            }
            op::MONITOR_P => {
                let (from, to) = (control.argument(0)?, control.argument(1)?);
                self.monitor(from, to, control.argument(2)?)
            }
            op::LINK => {
                let (from, to) = (control.argument(0)?, control.argument(1)?);
                self.no_process((op::EXIT, op::PAYLOAD_EXIT), &[to, from]);
                Ok(())
            }
            op::UNLINK_ID => {
                let (id, from, to) =
                    (control.argument(0)?, control.argument(1)?, control.argument(2)?);
                let push =
                    |out: &mut Vec<u8>| append_control(out, op::UNLINK_ID_ACK, &[id, to, from]);
                self.outbox.push(push);
                Ok(())
            }
            _ => Ok(()),
        }
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
        let address = |pid, tag| self.caller(control_name, pid, tag);
        if self.exposed.deliver(&self.runtime, &name, (payload, &self.limits), address) {
            return Ok(());
        }
        // Nothing is said to the sender if no process has the name, as in OTP.
        self.runtime.send_named(&name, payload.to_vec());
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
        let address = ReturnAddress::new(peer, (&self.own, name), (pid, tag), &self.limits).ok()?;
        Some((Pid::OUTSIDE, address))
    }

    fn monitor(&self, from: &[u8], to: &[u8], reference: &[u8]) -> Result<(), ConnectionLost> {
        let target = self.decoder(to)?.next()?;
        if !matches!(target, Token::Atom(name) if name == NET_KERNEL.as_str()) {
            let operations = (op::MONITOR_P_EXIT, op::PAYLOAD_MONITOR_P_EXIT);
            self.no_process(operations, &[to, from, reference]);
        }
        Ok(())
    }

    /// Sends an exit or a `DOWN` with the reason `noproc`, which is an argument or the payload.
    fn no_process(&self, (plain, with_payload): (u8, u8), arguments: &[&[u8]]) {
        self.outbox.push(|out| {
            if self.flags.has(Flags::EXIT_PAYLOAD) {
                append_control(out, with_payload, arguments);
                append_term(out, |encoder| drop(encoder.atom("noproc")));
            } else {
                append_control(out, plain, &[arguments, &[&atom("noproc")]].concat());
            }
        });
    }

    fn decoder<'t>(&self, term: &'t [u8]) -> Result<Decoder<'t>, ConnectionLost> {
        Ok(Decoder::new(term, &self.limits)?)
    }
}

/// A request that can't be decoded gets no answer, as one that is not known.
fn ignore_malformed(lost: ConnectionLost) -> Result<(), ConnectionLost> {
    if matches!(lost, ConnectionLost::Malformed(_)) { Ok(()) } else { Err(lost) }
}
