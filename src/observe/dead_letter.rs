//! Dead letters: messages that were sent and will not be handled, as values.

use crate::base::{Pid, SharedStr};
use crate::message::MessageKind;

/// A message that was sent and will never be handled.
///
/// [`Runtime::dead_letters`](crate::Runtime::dead_letters) returns the stream of dead letters, and
/// has an example. A dead letter describes the message and never contains it: a sender that needs
/// the message back uses [`try_cast`](crate::ServerRef::try_cast), which returns it.
///
/// OTP has no counterpart: a message to a process that does not exist vanishes.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeadLetter {
    /// The kind of the message.
    pub kind: MessageKind,
    /// The name of the type of the message: of a call or a cast, the server's
    /// [`Call`](crate::GenServer::Call) or [`Cast`](crate::GenServer::Cast). Use this text in logs
    /// only, as [`std::any::type_name`] says.
    pub message_type: &'static str,
    /// The process that the message was sent to; `None` if no process held the name.
    pub pid: Option<Pid>,
    /// The name that the sender used; `None` if the sender used a pid or a direct handle, and for a
    /// message that had been queued.
    pub name: Option<SharedStr>,
    /// The process that sent the message; `None` if code outside of processes or a timer sent it,
    /// and for a message that had been queued.
    pub from: Option<Pid>,
    /// Why the message is not handled.
    pub cause: DeadLetterCause,
}

/// Why a message is not handled. [`Runtime::dead_letters`](crate::Runtime::dead_letters) has an
/// example.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DeadLetterCause {
    /// The process has ended or is ending, or no process holds the name. The sender got an error.
    NoProcess,
    /// The process is one of another node, and the message is no term: see
    /// [`Runtime::send`](crate::Runtime::send). The sender got an error. Or it is an event for other
    /// nodes that has no term: see `TopicRelay` of the feature `cluster`.
    NotATerm,
    /// The server has been asked to stop, and accepts no more casts, messages and streams. The
    /// sender got an error.
    Stopping,
    /// The process that holds the name is a server of another type. The sender got an error.
    WrongType,
    /// The mailbox was full and refused the message. The sender got an error. Or the message is an
    /// event for another node, and more than half of the send buffer of that node waited.
    Full,
    /// The mailbox was full and dropped the message, because its policy is
    /// [`DropNewest`](crate::Overflow::DropNewest).
    Dropped,
    /// The message was queued in a full mailbox and was dropped for a newer one, because the policy
    /// is [`DropOldest`](crate::Overflow::DropOldest).
    Evicted,
    /// The message was queued when its process ended.
    Unhandled,
    /// The message came from another node, and is no message of the exposed server, or no event of the
    /// topics that are shared. Requires the feature `cluster`.
    #[cfg(feature = "cluster")]
    Undecodable,
}
