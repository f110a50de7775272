//! The kinds of messages.

/// The kind of a message. Signals, timers and system messages are no messages in this sense. A
/// [`DeadLetter`](crate::DeadLetter) has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MessageKind {
    /// A call of a server.
    Call,
    /// A cast of a server, also the result of one of its tasks.
    Cast,
    /// Bytes.
    Message,
    /// A byte stream.
    Stream,
    /// An event for a [`TopicStream`](crate::TopicStream).
    Event,
}
