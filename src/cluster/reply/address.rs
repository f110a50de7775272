//! Where the answer of a call from another node goes.
//!
//! A caller gives `{Pid, Tag}`. The tag names an alias, to which the answer goes, and the caller's
//! monitor of the server:
//!
//! | tag | from | alias | monitor |
//! |---|---|---|---|
//! | `[alias|Ref]` | `gen_server:call`, `send_request` | `Ref` | `Ref` |
//! | `[[alias|Ref]|Monitor]` | `gen_server:multi_call` | `Ref` | `Monitor` |
//! | `{Ref,Node}` | `gen_server:multi_call` of OTP 25 | none: the answer goes to the pid | not known |
//! | `Ref` | nodes before OTP 24 | none: the answer goes to the pid | `Ref` |
//! | anything else | other programs | none | none |
//!
//! A call that gets no answer although its server lives is refused by a `DOWN` for that monitor. So
//! its caller exits at once, with the reason of the refusal. A caller whose monitor is not known waits
//! for its own time limit.

use std::ops::Range;
use std::sync::{Arc, Weak};

use serde::ser::Serialize;

use crate::base::user_panics::catch_panic;
use crate::cluster::handshake::Flags;
use crate::cluster::remote::inbound::Inbound;
use crate::cluster::remote::pid_terms::as_node;
use crate::cluster::remote::relations::AwaitedCall;
use crate::cluster::reply::refusal::Refusal;
use crate::cluster::term::{DecodeError, DecodeLimits, Decoder, Token, write_value};
use crate::cluster::wire::control::{append_control, op};
use crate::cluster::wire::terms::{append_term, atom, encoded};
use crate::cluster::wire::{ConnectionLost, Outbox};

/// The flag of a signal to an alias.
const TO_ALIAS: u8 = 4;

/// The caller of a call. All parts are encoded terms, without version bytes.
pub(crate) struct ReturnAddress {
    inbound: Arc<Inbound>,
    outbox: Outbox,
    flags: Flags,
    /// The sender of the answer.
    own: Arc<[u8]>,
    /// What the caller monitors, which is the name or the pid of the server; then the pid of the caller;
    /// then its tag.
    parts: Box<[u8]>,
    pid: usize,
    tag: usize,
    /// The parts of the tag.
    alias: Option<Range<usize>>,
    monitor: Option<Range<usize>>,
}

impl ReturnAddress {
    /// Reads the tag of a call. `own` is the sender of the answer, and `server` what was called.
    pub(crate) fn new(
        inbound: Arc<Inbound>,
        (outbox, flags): (Outbox, Flags),
        (own, server): (Arc<[u8]>, &[u8]),
        (pid, tag): (&[u8], &[u8]),
        limits: &DecodeLimits,
    ) -> Result<Self, DecodeError> {
        let (alias, monitor) = read_tag(tag, limits)?;
        let parts = [server, pid, tag].concat().into();
        let (pid, tag) = (server.len(), server.len() + pid.len());
        Ok(ReturnAddress { inbound, outbox, flags, own, parts, pid, tag, alias, monitor })
    }

    fn server(&self) -> &[u8] {
        &self.parts[..self.pid]
    }

    fn pid(&self) -> &[u8] {
        &self.parts[self.pid..self.tag]
    }

    fn tag(&self) -> &[u8] {
        &self.parts[self.tag..]
    }

    fn alias(&self) -> Option<&[u8]> {
        self.alias.clone().map(|alias| &self.tag()[alias])
    }

    fn monitor(&self) -> Option<&[u8]> {
        self.monitor.clone().map(|monitor| &self.tag()[monitor])
    }

    /// Sends an answer. One that can't be encoded is a refusal.
    pub(crate) fn answer<T: Serialize + ?Sized>(&self, value: &T) {
        let refusal = self.outbox.try_push(|out| {
            self.begin_answer(out);
            let write = || catch_panic(|| write_value(value, out));
            match as_node(Some(&self.inbound.own), write) {
                Ok(Ok(())) => Ok(()),
                Ok(Err(error)) => Err(error.to_string()),
                Err(_) => Err("the type of the answer panicked while it was encoded".to_owned()),
            }
        });
        if let Err(refusal) = refusal {
            self.refuse(&Refusal::BadAnswer(refusal));
        }
    }

    /// Sends an answer that is encoded, without a version byte.
    pub(crate) fn answer_encoded(&self, term: &[u8]) {
        self.outbox.push(|out| {
            self.begin_answer(out);
            out.extend_from_slice(term);
        });
    }

    /// Writes what stands before an answer: the control message, and the begin of `{Tag, Answer}`.
    fn begin_answer(&self, out: &mut Vec<u8>) {
        match self.alias() {
            Some(alias) if self.flags.has(Flags::ALTACT_SIG) => {
                let flags = encoded(|encoder| encoder.integer(TO_ALIAS.into()));
                append_control(out, op::ALTACT_SIG_SEND, &[&flags, &self.own, alias]);
            }
            Some(alias) => append_control(out, op::ALIAS_SEND, &[&self.own, alias]),
            None if self.flags.has(Flags::SEND_SENDER) => {
                append_control(out, op::SEND_SENDER, &[&self.own, self.pid()]);
            }
            None => append_control(out, op::SEND, &[&atom(""), self.pid()]),
        }
        append_term(out, |encoder| {
            let _ = encoder.tuple(2);
            encoder.raw(self.tag());
        });
    }

    /// Notes the call at the monitor of the caller, so that the call ends with the monitor. False if
    /// the connection is lost.
    pub(crate) fn note_call(&self, call: Weak<dyn AwaitedCall>) -> bool {
        let Some(monitor) = self.monitor() else { return true };
        // A reference of a third node is that of no monitor.
        let noted = self.inbound.note_call(monitor, call);
        !matches!(noted, Err(ConnectionLost::Closed))
    }

    /// Ends the call without an answer.
    pub(crate) fn refuse(&self, refusal: &Refusal) {
        let Some(monitor) = self.monitor() else { return };
        // The other node removes its entry by the `DOWN`, and sends no removal. An error says that the
        // connection is lost.
        let _ = self.inbound.demonitor(self.pid(), monitor);
        self.outbox.push(|out| {
            let arguments = [self.server(), self.pid(), monitor];
            if self.flags.has(Flags::EXIT_PAYLOAD) {
                append_control(out, op::PAYLOAD_MONITOR_P_EXIT, &arguments);
                append_term(out, |encoder| refusal.append(encoder));
            } else {
                let reason = encoded(|encoder| refusal.append(encoder));
                let [server, pid, monitor] = arguments;
                append_control(out, op::MONITOR_P_EXIT, &[server, pid, monitor, &reason]);
            }
        });
    }
}

/// Where a reference stands in a tag.
type Reference = Option<Range<usize>>;

/// Returns the alias and the monitor that a tag names.
fn read_tag(tag: &[u8], limits: &DecodeLimits) -> Result<(Reference, Reference), DecodeError> {
    let mut decoder = Decoder::new(tag, limits)?;
    decoder.start_inside();
    match decoder.next()? {
        Token::Reference(_) => Ok((None, Some(0..tag.len()))),
        Token::List(1) => {
            let start = decoder.offset();
            let head = decoder.pass()?;
            let (monitor_start, monitor) = (decoder.offset(), decoder.pass()?);
            if !is_reference(monitor, limits)? {
                return Ok((None, None));
            }
            let monitor = monitor_start..decoder.offset();
            let alias = if is_alias(head, limits)? {
                Some(monitor.clone())
            } else {
                let alias = alias_of(head, limits)?;
                alias.map(|alias| start + alias.start..start + alias.end)
            };
            Ok((alias, Some(monitor)))
        }
        _ => Ok((None, None)),
    }
}

/// Returns where the reference of `[alias|Ref]` stands.
fn alias_of(term: &[u8], limits: &DecodeLimits) -> Result<Reference, DecodeError> {
    let mut decoder = Decoder::new(term, limits)?;
    decoder.start_inside();
    if decoder.next()? != Token::List(1) || !is_alias(decoder.skip()?, limits)? {
        return Ok(None);
    }
    let start = decoder.offset();
    let reference = decoder.skip()?;
    Ok(is_reference(reference, limits)?.then(|| start..decoder.offset()))
}

fn is_alias(term: &[u8], limits: &DecodeLimits) -> Result<bool, DecodeError> {
    let token = first_step(term, limits)?;
    Ok(matches!(token, Token::Atom(atom) if atom == "alias"))
}

fn is_reference(term: &[u8], limits: &DecodeLimits) -> Result<bool, DecodeError> {
    Ok(matches!(first_step(term, limits)?, Token::Reference(_)))
}

fn first_step<'t>(term: &'t [u8], limits: &DecodeLimits) -> Result<Token<'t>, DecodeError> {
    let mut decoder = Decoder::new(term, limits)?;
    decoder.start_inside();
    decoder.next()
}
