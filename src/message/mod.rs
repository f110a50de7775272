//! The items that a process receives (messages, byte streams, signals as messages), what travels
//! beside them, and the destinations of timers.
//!
//! **Uses** `base`, `exit`.
//! **Knows nothing of** mailboxes: `mailbox` queues and takes items.

pub(crate) mod kind;
pub(crate) mod stream;
pub(crate) mod metadata;
#[cfg(feature = "cluster")]
mod encoded_term;
pub(crate) mod received;
pub(crate) mod dest;

pub use dest::Dest;
#[cfg(feature = "cluster")]
pub use encoded_term::EncodedTerm;
pub use kind::MessageKind;
pub use metadata::Metadata;
pub(crate) use received::Envelope;
#[cfg(feature = "cluster")]
pub use received::NodeChange;
pub use received::{GroupChange, Message, Received};
pub use stream::{StreamHandle, StreamWriter, stream, stream_with_capacity};
