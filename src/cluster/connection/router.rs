//! What is done with a control message that arrives.
//!
//! | operation | what is done |
//! |---|---|
//! | a message to a name | `net_kernel` answers whether it lives; any other holder of the name gets the term |
//! | a message to a pid, a signal, a link, a monitor | [`inbound`](crate::cluster::remote::inbound) |
//! | an exit signal with a priority | as one without |
//!
//! An operation that is not known, or can't be decoded, ends the connection. The term of a message is
//! not decoded here: the receiver may find that it breaks the format, or exceeds its limits.

use crate::base::Pid;
use crate::cluster::connection::net_kernel::NET_KERNEL;
use crate::cluster::handshake::Flags;
use crate::cluster::remote::inbound::Inbound;
use crate::cluster::term::{DecodeLimits, Decoder, Encoder, Token};
use crate::cluster::wire::control::{Control, append_control, malformed, op};
use crate::cluster::wire::{ConnectionLost, Outbox};
use crate::message::EncodedTerm;
use crate::runtime::Runtime;

/// The flag of a signal to an alias.
const TO_ALIAS: u8 = 4;
/// The flag of a signal to a name.
const TO_NAME: i64 = 8;
/// The flag of the signal of `exit/2`.
const IS_EXIT: i64 = 16;

/// The maximum length of a request to `net_kernel` that is read.
const LONGEST_REQUEST: usize = 64 * 1024;

/// The receiver of the control messages of one connection.
pub(crate) struct Router {
    runtime: Runtime,
    inbound: Inbound,
    /// The process of the connection, encoded: the sender of answers.
    own: Vec<u8>,
    flags: Flags,
    outbox: Outbox,
    limits: DecodeLimits,
}

impl Router {
    /// The router of a connection whose process is `pid`.
    pub(crate) fn new(
        pid: Pid,
        inbound: Inbound,
        longest_frame: usize,
        (flags, outbox): (Flags, Outbox),
    ) -> Self {
        // The name of a node is short enough for an atom.
        let own = encoded(|encoder| drop(encoder.pid(&inbound.own.external(pid))));
        let runtime = Runtime { kernel: inbound.kernel.clone() };
        let limits = DecodeLimits::new().size(longest_frame).integer(longest_frame);
        Router { runtime, inbound, own, flags, outbox, limits }
    }

    /// Handles the body of a frame.
    pub(crate) fn handle(&self, body: &[u8]) -> Result<(), ConnectionLost> {
        let control = Control::decode(body, &self.limits)?;
        let argument = |number| control.argument(number);
        let inbound = &self.inbound;
        match control.operation {
            op::REG_SEND | op::REG_SEND_TT => self.message(argument(2)?, control.payload),
            op::SEND | op::SEND_TT | op::SEND_SENDER | op::SEND_SENDER_TT => {
                inbound.message(argument(1)?, control.payload)
            }
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
        match flags & (i64::from(TO_ALIAS) | TO_NAME | IS_EXIT) {
            0 => self.inbound.message(to, control.payload),
            TO_NAME => self.message(to, control.payload),
            IS_EXIT => self.inbound.exit_to(control.argument(1)?, to, reason(control)?),
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

    fn decoder<'t>(&self, term: &'t [u8]) -> Result<Decoder<'t>, ConnectionLost> {
        Ok(Decoder::new(term, &self.limits)?)
    }
}

/// Returns the payload of an exit, without its version byte.
fn reason<'f>(control: &Control<'f>) -> Result<&'f [u8], ConnectionLost> {
    control.payload.strip_prefix(&[131]).ok_or_else(|| malformed("an exit without a reason"))
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
