//! The mailbox of a process: how an item is queued, what a full mailbox does with it, and how the
//! process receives and waits.
//!
//! **Uses** `base`, `message`, `process`, `kernel`.
//! **Knows nothing of** what the items are, beyond [`Item`](inbox::Item): plain processes queue
//! envelopes, servers queue calls and casts.

mod send_queue;
mod announced_wait;
mod spin;
pub(crate) mod inbox;
pub(crate) mod record;
pub(crate) mod queued_send;
mod idle_wait;
pub(crate) mod receive;
mod system_receive;
