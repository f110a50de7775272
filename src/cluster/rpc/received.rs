//! Requests of functions, as they arrive.

use std::sync::Arc;

use crate::cluster::handshake::Flags;
use crate::cluster::remote::local_node::LocalNode;
use crate::cluster::reply::{Refusal, ReturnAddress};
use crate::cluster::rpc::caller::{Called, Caller, Requester};
use crate::cluster::rpc::functions::{Call, Failure, Function, Functions};
use crate::cluster::rpc::request::Request;
use crate::cluster::rpc::running::Running;
use crate::cluster::rpc::server::{Cast, FUNCTIONS};
use crate::cluster::term::{DecodeError, DecodeLimits, Decoder, Token};
use crate::cluster::wire::Outbox;
use crate::runtime::Runtime;

/// A function, and what its result is known by.
type Executed = (Called, Option<Vec<u8>>);

/// What a request of a function needs of the connection that it has come by.
pub(crate) struct Received {
    pub(crate) runtime: Runtime,
    pub(crate) functions: Functions,
    pub(crate) outbox: Outbox,
    pub(crate) flags: Flags,
    pub(crate) own: Arc<LocalNode>,
    pub(crate) limits: DecodeLimits,
    /// What runs for the other node.
    pub(crate) running: Arc<Running>,
    /// The bytes of arguments that the functions of the other node may hold.
    pub(crate) most_bytes: usize,
}

/// The arguments of a `SPAWN_REQUEST`, and its payload, which is the list of the arguments of the
/// function. All are encoded; the payload has a version byte.
pub(crate) struct SpawnRequest<'f> {
    pub(crate) request: &'f [u8],
    pub(crate) pid: &'f [u8],
    pub(crate) function: &'f [u8],
    pub(crate) options: &'f [u8],
    pub(crate) arguments: &'f [u8],
}

impl Received {
    /// A call of `rex`: `{call, Module, Name, Arguments, GroupLeader}`.
    pub(crate) fn rex(&self, request: &[u8], caller: ReturnAddress) {
        match self.call_of_rex(request) {
            Ok(Some(called)) => self.run(Caller::Rex(caller), called),
            Ok(None) => caller.refuse(&Refusal::BadRequest("`rex` answers `call` only".into())),
            Err(error) => caller.refuse(&Refusal::BadRequest(error.to_string())),
        }
    }

    fn call_of_rex(&self, request: &[u8]) -> Result<Option<Called>, DecodeError> {
        let mut decoder = Decoder::new(request, &self.limits)?;
        decoder.start_inside();
        if decoder.next()? != Token::Tuple(5) || !is_atom(&decoder.next()?, "call") {
            return Ok(None);
        }
        read_called(&mut decoder).map(Some)
    }

    /// The request of a process.
    pub(crate) fn spawn(&self, spawn: &SpawnRequest<'_>) -> Result<(), DecodeError> {
        let mut requester = Requester {
            outbox: self.outbox.clone(),
            flags: self.flags,
            own: self.own.clone(),
            request: spawn.request.to_vec(),
            pid: spawn.pid.to_vec(),
            is_monitored: false,
            result: None,
            process: None,
        };
        let options = self.options(spawn.options)?;
        let Some(is_monitored) = options.filter(|_| !self.functions.is_empty()) else {
            requester.refuse("notsup");
            return Ok(());
        };
        requester.is_monitored = is_monitored;
        match self.executed(spawn)? {
            Some((called, result)) => {
                requester.result = result;
                self.run(Caller::Spawn(requester), called);
            }
            None => requester.refuse("notsup"),
        }
        Ok(())
    }

    /// Returns whether the options ask for a monitor, or `None` if they ask for more.
    fn options(&self, options: &[u8]) -> Result<Option<bool>, DecodeError> {
        let mut decoder = Decoder::new(options, &self.limits)?;
        decoder.start_inside();
        let count = match decoder.next()? {
            Token::Nil => return Ok(Some(false)),
            Token::List(count) => count,
            _ => return Ok(None),
        };
        let mut is_monitored = false;
        for _ in 0..count {
            match decoder.next()? {
                Token::Atom(option) if option == "monitor" => is_monitored = true,
                // When the requester wants a reply; it takes one at any time.
                Token::Tuple(2) if is_atom(&decoder.next()?, "reply") => drop(decoder.skip()?),
                _ => return Ok(None),
            }
        }
        Ok(Some(is_monitored))
    }

    /// Returns the function that the process calls, and what its result is known by. `None` if the
    /// process would run anything else.
    fn executed(&self, spawn: &SpawnRequest<'_>) -> Result<Option<Executed>, DecodeError> {
        let mut decoder = Decoder::new(spawn.function, &self.limits)?;
        decoder.start_inside();
        if decoder.next()? != Token::Tuple(3) || !is_atom(&decoder.next()?, "erpc") {
            return Ok(None);
        }
        let (name, arity) = (decoder.next()?, decoder.next()?);
        let has_result = match (&name, arity) {
            (Token::Atom(name), Token::Integer(4)) if name == "execute_call" => true,
            (Token::Atom(name), Token::Integer(3)) if name == "execute_cast" => false,
            _ => return Ok(None),
        };
        let mut arguments = Decoder::new(spawn.arguments, &self.limits)?;
        arguments.start()?;
        let count = if has_result { 4 } else { 3 };
        if arguments.next()? != Token::List(count) {
            return Ok(None);
        }
        let result = if has_result { Some(arguments.skip()?.to_vec()) } else { None };
        Ok(Some((read_called(&mut arguments)?, result)))
    }

    /// Hands a request to the server that starts its process.
    fn run(&self, caller: Caller, called: Called) {
        let call = self.begin(&called).unwrap_or(Err(Failure::Undefined));
        if let (Caller::Rex(_), Err(failure)) = (&caller, &call) {
            return caller.finish(&called, &Err(failure.clone()));
        }
        let counted = self.running.count(called.arguments.len(), self.most_bytes);
        let has_room = counted.is_some();
        let request = Request::new(caller, called, call, counted);
        if has_room {
            // A request that is lost is answered by its drop.
            self.runtime.server(FUNCTIONS).cast(Cast::Run(request));
        }
    }

    fn begin(&self, called: &Called) -> Result<Result<Call, Failure>, DecodeError> {
        let first = |term| {
            let mut decoder = Decoder::new(term, &self.limits)?;
            decoder.start_inside();
            decoder.next()
        };
        let function = match (first(&called.module)?, first(&called.name)?) {
            (Token::Atom(module), Token::Atom(name)) => self.functions.find(&module, &name),
            _ => None,
        };
        let call = |function: Arc<Function>| {
            function(called.arguments.clone(), self.limits.clone(), self.own.clone())
        };
        Ok(function.map(call).ok_or(Failure::Undefined))
    }
}

fn is_atom(token: &Token<'_>, text: &str) -> bool {
    matches!(token, Token::Atom(atom) if atom == text)
}

/// Reads a module, a name and arguments.
fn read_called(decoder: &mut Decoder<'_>) -> Result<Called, DecodeError> {
    let [module, name] = [decoder.skip()?, decoder.skip()?].map(<[u8]>::to_vec);
    Ok(Called { module, name, arguments: decoder.skip()?.into() })
}
