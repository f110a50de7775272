//! The reply of a call that comes from another node, or goes to one: serde for
//! [`Reply`](crate::Reply), and what becomes of the answer.
//!
//! **Uses** `call`, `process`, `remote`, `term`, `wire`.
//! **Knows nothing of** servers, names and connections.
//!
//! # A call that arrives
//!
//! 1. **Decode.** [`decode_call`] decodes a value of the server's type of calls.
//!    The reply in it reads nothing from the term: it *claims* the answer of the call that this
//!    thread decodes. The claim fixes the type of the answer, and so how the answer is encoded.
//! 2. **Send.** The call goes into the mailbox of its server. Until then nothing has happened to the
//!    caller, so a call that can't be decoded or sent is answered as such.
//! 3. **Arm.** The claimed answer gets the address of the caller. The answer, or the reason why there
//!    is none, goes there.
//!
//! # Invariants
//!
//! 1. One decode is in progress on a thread, and only while its function runs, also when a type of
//!    the user panics.
//! 2. At most one reply of a call exists. A reply that was dropped while the decode goes on, as that of
//!    a variant that was tried in vain, can be claimed again.
//! 3. A reply is an ordinary one: what its server does with it has the meaning that it has for a
//!    local caller.
//! 4. No lock is held while an answer is encoded, because that is code of the user.
//!
//! # If the server answers or ends between two steps
//!
//! An answer that is sent before the claim is armed stays in the slot, and [`arm`](answer::Claimed::arm)
//! looks. A wake that comes while the answer is polled is noted, and the answer is polled again.

mod refusal;
mod address;
mod answer;
mod claim;
mod serde_impls;

pub(crate) use address::ReturnAddress;
pub(crate) use answer::Claimed;
pub(crate) use claim::{Undecodable, decode_call, decode_message};
pub(crate) use refusal::Refusal;
