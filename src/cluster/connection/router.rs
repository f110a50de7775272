//! What is done with a control message that arrives.
//!
//! | operation | what is done |
//! |---|---|
//! | a message to a name | `net_kernel` answers whether it lives; any other holder of the name gets the encoded term |
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
use crate::cluster::handshake::{Flags, Session};
use crate::cluster::term::{Atom, DecodeLimits, Decoder, Encoder, ExternalPid, Token};
use crate::cluster::wire::control::{Control, append_control, malformed, op};
use crate::cluster::wire::{ConnectionLost, Outbox};
use crate::runtime::Runtime;

/// The flag of a signal to an alias.
const TO_ALIAS: u8 = 4;
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
        Ok(Router { runtime, own, flags: session.flags, outbox, limits })
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
    fn message(&self, name: &[u8], payload: &[u8]) -> Result<(), ConnectionLost> {
        let Token::Atom(name) = self.decoder(name)?.next()? else {
            return Err(malformed("a name that is no atom"));
        };
        if payload.is_empty() {
            return Err(malformed("no message"));
        }
        if name == NET_KERNEL.as_str() {
            return self.ask_net_kernel(payload).or_else(ignore_malformed);
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
        self.reply(pid, tag, "yes")
    }

    /// Sends `{Tag, Answer}` to the caller, by the alias in the tag if it has one.
    fn reply(&self, pid: &[u8], tag: &[u8], answer: &str) -> Result<(), ConnectionLost> {
        let alias = self.alias(tag)?;
        self.outbox.push(|out| {
            match alias {
                Some(alias) if self.flags.has(Flags::ALTACT_SIG) => {
                    let flags = encoded(|encoder| encoder.integer(TO_ALIAS.into()));
                    append_control(out, op::ALTACT_SIG_SEND, &[&flags, &self.own, alias]);
                }
                Some(alias) => append_control(out, op::ALIAS_SEND, &[&self.own, alias]),
                None if self.flags.has(Flags::SEND_SENDER) => {
                    append_control(out, op::SEND_SENDER, &[&self.own, pid]);
                }
                None => append_control(out, op::SEND, &[&atom(""), pid]),
            }
            append_term(out, |encoder| {
                let _ = encoder.tuple(2);
                encoder.raw(tag);
                let _ = encoder.atom(answer);
            });
        });
        Ok(())
    }

    /// Returns the alias of a tag, which is `[alias|Ref]` or `[[alias|Ref]|Tag]`.
    fn alias<'t>(&self, tag: &'t [u8]) -> Result<Option<&'t [u8]>, ConnectionLost> {
        let mut decoder = self.decoder(tag)?;
        let mut token = decoder.next()?;
        while token == Token::List(1) {
            token = decoder.next()?;
        }
        let is_alias = matches!(&token, Token::Atom(atom) if atom == "alias");
        Ok(if is_alias { Some(decoder.skip()?) } else { None })
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

/// Encodes a term without its version byte.
fn encoded(write: impl FnOnce(&mut Encoder<'_>)) -> Vec<u8> {
    let mut bytes = Vec::new();
    write(&mut Encoder::new(&mut bytes));
    bytes
}

/// Encodes a short atom without its version byte.
fn atom(text: &str) -> Vec<u8> {
    encoded(|encoder| drop(encoder.atom(text)))
}

/// Appends a payload.
fn append_term(out: &mut Vec<u8>, write: impl FnOnce(&mut Encoder<'_>)) {
    let mut encoder = Encoder::new(out);
    encoder.start();
    write(&mut encoder);
}
