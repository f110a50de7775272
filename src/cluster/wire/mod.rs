//! What two nodes send each other after the handshake: frames, ticks, control messages, and the queue
//! of the frames that wait to be written.

mod loss_reason;
pub(crate) mod long_buffer;
pub(crate) mod frame;
pub(crate) mod ticks;
mod chunks;
pub(crate) mod outbox;
pub(crate) mod control;
pub(crate) mod terms;

pub(crate) use loss_reason::ConnectionLost;
pub(crate) use outbox::{Appended, Outbox};
