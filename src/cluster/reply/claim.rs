//! The decode of a call that is in progress on this thread, and the claim of its answer.

use std::cell::RefCell;
use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde::ser::Serialize;

use crate::base::Pid;
use crate::base::user_panics::catch_panic;
use crate::call::Reply;
use crate::cluster::reply::answer::{Claimed, PendingAnswer};
use crate::cluster::term::{DecodeError, DecodeLimits, from_bytes_inside};

/// The call that this thread decodes.
struct InProgress {
    /// The address of the record of its server.
    server: usize,
    caller: Pid,
    claimed: Option<Arc<dyn Claimed>>,
}

thread_local! {
    static CALL: RefCell<Option<InProgress>> = const { RefCell::new(None) };
}

/// Why a request can't be handed to its server. The texts contain no part of the request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Undecodable {
    #[error("{0}")]
    Term(#[from] DecodeError),
    #[error("the type of the message panicked while it was decoded")]
    Panicked,
    #[error("this message has no reply, so it can't be a call")]
    NoReply,
    #[error("the casts of this server are not exposed")]
    NotExposed,
    #[error("the address of the caller is malformed")]
    Caller,
}

/// Why a reply can't be claimed, as what was expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unclaimed {
    /// The thread decodes no call.
    NoCall,
    /// The call has another reply.
    Second,
}

impl Unclaimed {
    pub(super) fn expected(self) -> &'static str {
        match self {
            Unclaimed::NoCall => "a part of a call from another node, as a reply is",
            Unclaimed::Second => "the only reply of its call",
        }
    }
}

/// Ends the decode that is in progress, however it ends.
struct End;

impl Drop for End {
    fn drop(&mut self) {
        drop(CALL.try_with(RefCell::take));
    }
}

/// Decodes a call to the server whose record has this address. Returns the call, and its answer.
pub(crate) fn decode_call<C: DeserializeOwned>(
    term: &[u8],
    limits: &DecodeLimits,
    server: usize,
    caller: Pid,
) -> Result<(C, Arc<dyn Claimed>), Undecodable> {
    CALL.set(Some(InProgress { server, caller, claimed: None }));
    let _end = End;
    let call = decode_message(term, limits)?;
    let claimed = CALL.take().and_then(|call| call.claimed);
    match claimed.filter(|claimed| claimed.is_held()) {
        Some(claimed) => Ok((call, claimed)),
        None => Err(Undecodable::NoReply),
    }
}

/// Decodes a message, from a term without a version byte.
pub(crate) fn decode_message<M: DeserializeOwned>(
    term: &[u8],
    limits: &DecodeLimits,
) -> Result<M, Undecodable> {
    let decoded = catch_panic(|| from_bytes_inside(term, limits));
    Ok(decoded.map_err(|_| Undecodable::Panicked)??)
}

/// Claims the answer of the call that this thread decodes.
pub(super) fn claim<T: Serialize + Send + 'static>() -> Result<Reply<T>, Unclaimed> {
    CALL.with_borrow_mut(|call| {
        let call = call.as_mut().ok_or(Unclaimed::NoCall)?;
        if call.claimed.as_ref().is_some_and(|claimed| claimed.is_held()) {
            return Err(Unclaimed::Second);
        }
        let (reply, answer) = PendingAnswer::new(call.server, call.caller);
        call.claimed = Some(answer);
        Ok(reply)
    })
}
