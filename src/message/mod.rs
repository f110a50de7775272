//! What a process receives: messages, streams of bytes, signals as messages; and what a message
//! is addressed to.
//!
//! **Uses** `base`, `exit`.
//! **Knows nothing of** mailboxes: how a message is queued and taken is in `mailbox`.

pub(crate) mod stream;
pub(crate) mod received;
pub(crate) mod dest;
