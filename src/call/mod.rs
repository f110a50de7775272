//! The answer of a call: the reply that travels in the request, the slot that the answer is put
//! into, and the replies that a server drops without sending them.
//!
//! **Uses** `base`, `exit`, `process`, `mailbox`.
//! **Knows nothing of** servers and deadlines: `runtime` waits with a deadline, `server` sends the
//! request.

pub(crate) mod reply_slot;
pub(crate) mod unanswered;
pub(crate) mod reply;

pub use reply::Reply;
pub(crate) use reply_slot::{Answer, AwaitedReply, Lost, ReplySlot, resolve_handed_over};
