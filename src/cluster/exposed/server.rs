//! One exposed server.

use std::any::type_name;
use std::sync::Arc;

use serde::de::DeserializeOwned;

use crate::base::{Pid, SharedStr};
use crate::cluster::reply::{
    Claimed, Refusal, ReturnAddress, Undecodable, decode_call, decode_message,
};
use crate::cluster::term::DecodeLimits;
use crate::message::MessageKind;
use crate::observe::DeadLetterCause;
use crate::process::AnyProcess;
use crate::runtime::{CallError, Runtime};
use crate::server::{GenServer, ServerName, send_received_call};

/// A server of whatever type. A message that can't be decoded is returned as an error, and its caller
/// has been answered.
pub(crate) trait Exposed: Send + Sync {
    fn name(&self) -> &SharedStr;

    /// Hands a call to the server that holds the name.
    fn call(
        &self,
        runtime: &Runtime,
        call: (&[u8], &DecodeLimits),
        caller: (Pid, ReturnAddress),
    ) -> Result<(), Undecodable>;

    /// Hands a cast to the server that holds the name.
    fn cast(&self, runtime: &Runtime, cast: (&[u8], &DecodeLimits)) -> Result<(), Undecodable>;
}

type DecodeCall<S> = fn(&[u8], &DecodeLimits, usize, Pid) -> Result<DecodedCall<S>, Undecodable>;
type DecodedCall<S> = (<S as GenServer>::Call, Arc<dyn Claimed>);
type DecodeCast<S> = fn(&[u8], &DecodeLimits) -> Result<<S as GenServer>::Cast, Undecodable>;

/// A server of type `S`, by its name.
pub(crate) struct ExposedServer<S: GenServer> {
    name: SharedStr,
    decode_call: DecodeCall<S>,
    /// `None` if only calls are exposed.
    decode_cast: Option<DecodeCast<S>>,
}

impl<S: GenServer> ExposedServer<S> {
    /// Exposes the calls of a server.
    pub(crate) fn calls(name: ServerName<S>) -> Self
    where
        S::Call: DeserializeOwned,
    {
        ExposedServer { name: name.text, decode_call: decode_call::<S::Call>, decode_cast: None }
    }

    /// Exposes the casts as well.
    pub(crate) fn with_casts(self) -> Self
    where
        S::Cast: DeserializeOwned,
    {
        ExposedServer { decode_cast: Some(decode_message::<S::Cast>), ..self }
    }

    fn report(&self, runtime: &Runtime, message: (MessageKind, &'static str)) {
        let cause = DeadLetterCause::Undecodable;
        runtime.kernel.publish_dead_letter(message, None, Some(&self.name), cause);
    }
}

impl<S: GenServer> Exposed for ExposedServer<S> {
    fn name(&self) -> &SharedStr {
        &self.name
    }

    fn call(
        &self,
        runtime: &Runtime,
        (term, limits): (&[u8], &DecodeLimits),
        (pid, caller): (Pid, ReturnAddress),
    ) -> Result<(), Undecodable> {
        let server = runtime.server::<S>(self.name.clone());
        let Ok(process) = server.resolve() else {
            caller.refuse(&Refusal::NoProc);
            return Ok(());
        };
        let (call, answer) = match (self.decode_call)(term, limits, process.head.address(), pid) {
            Ok(decoded) => decoded,
            Err(undecodable) => {
                caller.refuse(&Refusal::BadRequest(undecodable.to_string()));
                self.report(runtime, (MessageKind::Call, type_name::<S::Call>()));
                return Err(undecodable);
            }
        };
        match send_received_call(&process, call, answer.for_successor()) {
            Ok(()) => {
                let process: Arc<dyn AnyProcess> = process.into_owned();
                answer.arm(process, caller);
            }
            Err(CallError::Overloaded) => caller.refuse(&Refusal::Overloaded),
            Err(_) => caller.refuse(&Refusal::NoProc),
        }
        Ok(())
    }

    fn cast(
        &self,
        runtime: &Runtime,
        (term, limits): (&[u8], &DecodeLimits),
    ) -> Result<(), Undecodable> {
        let decoded = match self.decode_cast {
            Some(decode) => decode(term, limits),
            None => Err(Undecodable::NotExposed),
        };
        match decoded {
            // A cast that is lost is a dead letter.
            Ok(cast) => drop(runtime.server::<S>(self.name.clone()).cast(cast)),
            Err(undecodable) => {
                self.report(runtime, (MessageKind::Cast, type_name::<S::Cast>()));
                return Err(undecodable);
            }
        }
        Ok(())
    }
}
