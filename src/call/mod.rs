//! How a call gets its answer: the [`Reply`] handle that the request contains, the slot that stores
//! the answer, the `Reply` handles that a server drops without an answer, calls that a caller
//! takes back, and the deadline that a handler can read and hand on.
//!
//! **Uses** `base`, `exit`, `process`, `mailbox`.
//! **Knows nothing of** servers and of waits: `runtime` waits with a deadline, `server` sends the
//! request.

pub(crate) mod call_deadline;
mod taken_over;
mod unanswered_list;
pub(crate) mod reply_slot;
pub(crate) mod unanswered;
pub(crate) mod reply;
pub(crate) mod returnable;

pub use call_deadline::CallDeadline;
pub(crate) use call_deadline::handed_on;
pub use reply::Reply;
pub(crate) use reply_slot::{Answer, AwaitedReply, Lost, ReplySlot};
#[cfg(feature = "tower")]
pub(crate) use returnable::reserved;
pub(crate) use returnable::{QueuedCall, Receipt, returnable};
pub(crate) use taken_over::TakenOver;
pub(crate) use unanswered_list::resolve_handed_over;
