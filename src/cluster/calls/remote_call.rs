//! One call to a server of another node, from its request to its end.
//!
//! # Steps
//!
//! 1. The call is added to the table of its node, and its monitor and its request are sent, under one
//!    lock.
//! 2. The caller waits for the answer, the end of the server, the loss of the connection, or its
//!    deadline.
//!
//! **If the connection is lost** before step 1, the call belongs to the next connection. If it is lost
//! after it, the loss removes the call from the table, and step 2 ends at once.
//! **If the caller is dropped** in step 2, the call is removed from the table, and its monitor at the
//! other node as well; an answer that comes later goes to an alias that is not known, and is dropped.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::ser::Serialize;
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::base::{SharedStr, with_caught_wakers};
use crate::cluster::node_name::NodeName;
use crate::cluster::remote::call_table::{CallEnd, PendingCall};
use crate::cluster::remote::nodes::Nodes;
use crate::cluster::remote::peer::Peer;
use crate::cluster::remote::pid_terms::as_node;
use crate::cluster::remote::reason::read_reason;
use crate::cluster::reply::Refusal;
use crate::cluster::term::{
    DecodeError, DecodeLimits, Decoder, Token, from_bytes_inside, is_too_long, write_value,
};
use crate::exit::ExitReason;
use crate::runtime::{CallError, Runtime, until};
use crate::server::limited;
use crate::time::timer_queue::after;

/// A call in the table of its node. Its drop removes it.
struct Waiting {
    peer: Arc<Peer>,
    id: u64,
}

impl Drop for Waiting {
    fn drop(&mut self) {
        // The removed entry is dropped without the lock.
        drop(self.peer.request(None, |relations| match relations.calls.remove(self.id) {
            Some((call, demonitor)) => (Some(call), Some(demonitor)),
            None => (None, None),
        }));
    }
}

/// The server of a call.
pub(super) struct Callee<'c> {
    pub(super) runtime: &'c Runtime,
    pub(super) node: &'c NodeName,
    pub(super) name: &'c SharedStr,
}

/// Encodes a request, without a version byte.
pub(super) fn encode<M: Serialize + ?Sized>(
    runtime: &Runtime,
    request: &M,
) -> Result<Vec<u8>, CallError> {
    let mut term = Vec::new();
    let own = Nodes::of(&runtime.kernel).local();
    let written = as_node(own.as_ref(), || write_value(request, &mut term));
    written.map_err(|error| CallError::InvalidRequest(error.to_string().into()))?;
    Ok(term)
}

impl Callee<'_> {
    /// Sends an encoded request, and waits for the answer.
    pub(super) async fn call<T: DeserializeOwned>(
        &self,
        request: Vec<u8>,
        limit: Option<Duration>,
    ) -> Result<T, CallError> {
        let kernel = &self.runtime.kernel;
        if is_too_long(self.name) {
            return Err(CallError::NoHolder(self.name.clone()));
        }
        let due = limit.map(|limit| limited(kernel, after(Instant::now(), limit)));
        let (waiting, ended) = self.send(request);
        let end = until(kernel, due, pin!(with_caught_wakers(ended))).await;
        drop(waiting);
        match end {
            None => {
                kernel.counters.count_time_out();
                Err(CallError::Timeout)
            }
            Some(Err(_)) => Err(CallError::NoConnection),
            Some(Ok(CallEnd::Exit(reason))) => Err(self.error(&reason)),
            Some(Ok(CallEnd::Answer(payload))) => {
                let own = Nodes::of(kernel).local();
                let answer = as_node(own.as_ref(), || decode_answer(&payload));
                answer.map_err(|e| CallError::InvalidAnswer(e.to_string().into()))
            }
        }
    }

    fn send(&self, request: Vec<u8>) -> (Waiting, oneshot::Receiver<CallEnd>) {
        let kernel = &self.runtime.kernel;
        let (own, id) = (self.runtime.current_pid(), kernel.fresh_id());
        let (end, ended) = oneshot::channel();
        let peer = Nodes::of(kernel).peer(self.node);
        let waiting = Waiting { peer: peer.clone(), id };
        let call = PendingCall { own, name: self.name.clone(), end };
        // Only a request to a pid can fail.
        let _ = peer.request(None, |relations| ((), Some(relations.calls.add(id, call, request))));
        (waiting, ended)
    }

    /// Returns the error for the end of the server.
    fn error(&self, reason: &[u8]) -> CallError {
        match Refusal::read(reason) {
            Some(Refusal::NoReply) => return CallError::NoReply,
            Some(Refusal::Overloaded) => return CallError::Overloaded,
            Some(Refusal::BadRequest(why)) => return CallError::InvalidRequest(why.into()),
            Some(Refusal::BadAnswer(why)) => return CallError::InvalidAnswer(why.into()),
            Some(Refusal::NoProc) | None => {}
        }
        match read_reason(reason) {
            ExitReason::NoProc => CallError::NoHolder(self.name.clone()),
            ExitReason::NoConnection => CallError::NoConnection,
            reason => CallError::Exited(reason),
        }
    }
}

/// Decodes `{Tag, Answer}`. The tag has been looked up by the alias. The connection has limited the
/// length of the payload.
fn decode_answer<T: DeserializeOwned>(payload: &[u8]) -> Result<T, DecodeError> {
    let limits = DecodeLimits::of_frame(payload.len());
    let mut decoder = Decoder::new(payload, &limits)?;
    decoder.start()?;
    if decoder.next()? != Token::Tuple(2) {
        return from_bytes_inside(&[], &limits);
    }
    decoder.skip()?;
    from_bytes_inside(&payload[decoder.offset()..], &limits)
}

#[cfg(test)]
mod tests {
    use crate::cluster::term::Term;

    use super::decode_answer;

    /// Encodes `{Tag, Binary}` as the payload of an answer.
    fn answer_with_binary(length: usize) -> Vec<u8> {
        let mut payload = vec![131, 104, 2, 97, 1, 109];
        payload.extend((length as u32).to_be_bytes());
        payload.resize(payload.len() + length, b'x');
        payload
    }

    #[test]
    fn an_answer_may_be_as_long_as_the_frame_that_brought_it() {
        let default = 128 << 20;
        let answer: String = decode_answer(&answer_with_binary(default + 1)).unwrap();
        assert_eq!(answer.len(), default + 1);
    }

    #[test]
    fn an_integer_of_an_answer_may_be_as_long_as_the_answer() {
        let mut payload = vec![131, 104, 2, 97, 1, 111];
        payload.extend([0, 0, 0x14, 0, 0]); // 5,120 bytes, positive
        payload.extend([7; 5_120]);
        assert!(decode_answer::<Term>(&payload).is_ok());
    }
}
