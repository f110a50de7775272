//! The callers of functions, and what they are sent.

use std::sync::Arc;

use crate::base::Pid;
use crate::cluster::handshake::Flags;
use crate::cluster::remote::local_node::LocalNode;
use crate::cluster::reply::ReturnAddress;
use crate::cluster::rpc::functions::Failure;
use crate::cluster::term::Encoder;
use crate::cluster::wire::Outbox;
use crate::cluster::wire::control::{append_control, op};
use crate::cluster::wire::terms::{append_term, encoded};

/// The flag of a reply to a spawn: the monitor was set.
const IS_MONITORED: i64 = 2;

/// The maximum length of a text that is sent.
const LONGEST_TEXT: usize = 4 * 1024;

/// The caller of a function. Each is sent one result.
pub(super) enum Caller {
    /// A caller of `rex`.
    Rex(ReturnAddress),
    /// The requester of a process, which runs `execute_call` or `execute_cast`.
    Spawn(Requester),
}

/// The requester of a process. The parts are encoded terms.
pub(super) struct Requester {
    pub(super) outbox: Outbox,
    pub(super) flags: Flags,
    pub(super) own: Arc<LocalNode>,
    /// The reference of the request, and of the monitor.
    pub(super) request: Vec<u8>,
    pub(super) pid: Vec<u8>,
    pub(super) is_monitored: bool,
    /// What the requester knows the result of `execute_call` by.
    pub(super) result: Option<Vec<u8>>,
    /// The process, encoded, once it has started.
    pub(super) process: Option<Vec<u8>>,
}

/// The function that was called. The parts are encoded terms.
pub(super) struct Called {
    pub(super) module: Vec<u8>,
    pub(super) name: Vec<u8>,
    pub(super) arguments: Arc<[u8]>,
}

impl Caller {
    /// Notes that the function runs in this process.
    pub(super) fn started(&mut self, pid: Pid) {
        if let Caller::Spawn(requester) = self {
            let process = requester.own.external(pid);
            let process = encoded(|encoder| drop(encoder.pid(&process)));
            let flags = if requester.is_monitored { IS_MONITORED } else { 0 };
            requester.reply(flags, &process);
            requester.process = Some(process);
        }
    }

    /// Sends the result.
    pub(super) fn finish(&self, called: &Called, result: &Result<Vec<u8>, Failure>) {
        match (self, result) {
            (Caller::Rex(caller), Ok(value)) => caller.answer_encoded(value),
            (Caller::Rex(caller), Err(failure)) => {
                caller.answer_encoded(&encoded(|encoder| {
                    exit_of_rex(encoder, |encoder| called.error(failure, encoder));
                }));
            }
            (Caller::Spawn(requester), result) => requester.finish(called, result),
        }
    }
}

/// Writes `{badrpc, {'EXIT', Reason}}`.
fn exit_of_rex(encoder: &mut Encoder<'_>, reason: impl FnOnce(&mut Encoder<'_>)) {
    tuple(encoder, 2, "badrpc");
    tuple(encoder, 2, "EXIT");
    reason(encoder);
}

/// Writes the head of a short tuple, and its first element.
fn tuple(encoder: &mut Encoder<'_>, count: usize, first: &str) {
    let _ = encoder.tuple(count);
    let _ = encoder.atom(first);
}

impl Called {
    /// Writes `{Reason, [{Module, Name, Arguments, []}]}`, as an error of Erlang with its stack.
    fn error(&self, failure: &Failure, encoder: &mut Encoder<'_>) {
        if matches!(failure, Failure::Killed | Failure::NotStarted) {
            return drop(encoder.atom(failure.atom()));
        }
        let _ = encoder.tuple(2);
        failure.append(encoder);
        self.append_stack(encoder);
    }

    fn append_stack(&self, encoder: &mut Encoder<'_>) {
        let _ = encoder.list(1);
        let _ = encoder.tuple(4);
        for part in [&self.module[..], &self.name, &self.arguments] {
            encoder.raw(part);
        }
        encoder.nil();
        encoder.nil();
    }
}

impl Failure {
    fn atom(&self) -> &'static str {
        match self {
            Failure::Undefined => "undef",
            Failure::BadArguments(_) => "bad_arguments",
            Failure::BadAnswer(_) => "bad_answer",
            Failure::Panicked(_) => "panic",
            Failure::Killed => "killed",
            Failure::NotStarted => "system_limit",
        }
    }

    fn append(&self, encoder: &mut Encoder<'_>) {
        match self {
            Failure::BadArguments(text) | Failure::BadAnswer(text) | Failure::Panicked(text) => {
                tuple(encoder, 2, self.atom());
                let end =
                    (0..=text.len().min(LONGEST_TEXT)).rev().find(|at| text.is_char_boundary(*at));
                let _ = encoder.binary(&text.as_bytes()[..end.unwrap_or(0)]);
            }
            _ => drop(encoder.atom(self.atom())),
        }
    }
}

impl Requester {
    /// Answers the request of a process: by its pid, or by an atom that says why there is none.
    pub(super) fn reply(&self, flags: i64, result: &[u8]) {
        let flags = encoded(|encoder| encoder.integer(flags));
        let arguments = [&self.request, &self.pid, &flags, result];
        self.outbox.push(|out| append_control(out, op::SPAWN_REPLY, &arguments));
    }

    pub(super) fn refuse(&self, reason: &str) {
        self.reply(0, &encoded(|encoder| drop(encoder.atom(reason))));
    }

    fn finish(&self, called: &Called, result: &Result<Vec<u8>, Failure>) {
        let Some(process) = &self.process else {
            return self.refuse(Failure::NotStarted.atom());
        };
        if !self.is_monitored {
            return;
        }
        self.outbox.push(|out| {
            let arguments = [process, &self.pid, &self.request].map(Vec::as_slice);
            if self.flags.has(Flags::EXIT_PAYLOAD) {
                append_control(out, op::PAYLOAD_MONITOR_P_EXIT, &arguments);
                append_term(out, |encoder| self.reason(encoder, called, result));
            } else {
                let reason = encoded(|encoder| self.reason(encoder, called, result));
                let [process, pid, request] = arguments;
                append_control(out, op::MONITOR_P_EXIT, &[process, pid, request, &reason]);
            }
        });
    }

    /// Writes the exit reason: `{Result, return, Value}`, `{Result, error, Reason, Stack}`, or that of
    /// a process that was ended, or whose requester waits for no result.
    fn reason(
        &self,
        encoder: &mut Encoder<'_>,
        called: &Called,
        result: &Result<Vec<u8>, Failure>,
    ) {
        match (&self.result, result) {
            (Some(name), Ok(value)) => {
                let _ = encoder.tuple(3);
                encoder.raw(name);
                let _ = encoder.atom("return");
                encoder.raw(value);
            }
            (_, Err(failure @ (Failure::Killed | Failure::NotStarted))) => {
                let _ = encoder.atom(failure.atom());
            }
            (Some(name), Err(failure)) => {
                let _ = encoder.tuple(4);
                encoder.raw(name);
                let _ = encoder.atom("error");
                failure.append(encoder);
                called.append_stack(encoder);
            }
            (None, Ok(_)) => drop(encoder.atom("normal")),
            (None, Err(failure)) => called.error(failure, encoder),
        }
    }
}
