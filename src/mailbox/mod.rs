//! The mailbox of a process: how an item is queued, what happens to an item if the mailbox is full,
//! and how the process receives and waits.
//!
//! **Uses** `base`, `exit`, `message`, `observe`, `process`, `kernel`.
//! **Knows nothing of** the items beyond [`Item`]: plain processes queue envelopes,
//! servers queue calls and casts.

mod item;
mod send_queue;
pub(crate) mod inbox;
pub(crate) mod record;
mod losses;
mod take_over;
mod send_item;
pub(crate) mod queued_send;
mod idle_wait;
pub(crate) mod receive;
mod system_receive;
pub(crate) mod stash;

pub(crate) use inbox::{Item, drop_queue};
pub(crate) use queued_send::QueuedSend;
pub(crate) use receive::Mailbox;
pub(crate) use record::{Process, Sent};
pub(crate) use stash::{CallerWaits, Stash};
