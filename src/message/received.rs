//! What a process takes from its mailbox.

use std::num::NonZeroU64;

use crate::base::one_line::{PAGE, excerpt};
use crate::base::pid::{MonitorRef, Pid};
use crate::base::shared_str::SharedStr;
use crate::exit::reason::ExitReason;
use crate::message::stream::StreamHandle;

/// Opaque bytes, moved into the mailbox by value: the untyped floor. Typed messages
/// are [`GenServer`](crate::GenServer)'s. OTP: any term.
pub type Message = Vec<u8>;

/// One item of a mailbox: messages, streams and signals share one queue and its order.
///
/// Variants will be added: a `match` needs an arm for the rest. OTP: what `receive` takes;
/// signals are tuples there (`{'DOWN', …}`, `{'EXIT', …}`), and can't be told from messages
/// that look alike.
///
/// # Examples
///
/// ```
/// use regrow::{ExitReason, Pid, Received};
///
/// fn tell(item: Received) -> String {
///     match item {
///         Received::Message(bytes) => format!("{} bytes", bytes.len()),
///         Received::Exit { from, reason } => format!("{from} ended: {reason}"),
///         other => format!("something else: {other:?}"),
///     }
/// }
/// assert_eq!(tell(Received::Message(b"hi".to_vec())), "2 bytes");
/// let exit = Received::Exit { from: Pid::from_raw(7), reason: ExitReason::Killed };
/// assert_eq!(tell(exit), "#7 ended: killed");
/// ```
#[derive(Debug, PartialEq)]
#[non_exhaustive]
#[repr(u64)] // a tag as wide as the fields: it is moved in words, not in odd bytes
pub enum Received {
    /// Bytes that somebody sent.
    Message(Message),
    /// A byte stream that somebody sent.
    Stream(StreamHandle),
    /// A monitored process ended, or wasn't there.
    Down {
        /// Which monitor says so.
        reference: MonitorRef,
        /// Which process ended.
        pid: Pid,
        /// Why; `NoProc` if it was not there to be watched.
        reason: ExitReason,
    },
    /// A process that was monitored by name ended, or nobody held the name.
    DownName {
        /// Which monitor says so.
        reference: MonitorRef,
        /// The name, as the monitor was given it.
        name: SharedStr,
        /// Why; `NoProc` if nobody held the name.
        reason: ExitReason,
    },
    /// An exit signal, to a process that traps them.
    Exit {
        /// Who ended or sent it: [`Pid::OUTSIDE`] if no process did.
        from: Pid,
        /// Why.
        reason: ExitReason,
    },
    /// A watched group has a member more or less.
    Group {
        /// Which monitor says so.
        reference: MonitorRef,
        /// The group.
        group: SharedStr,
        /// Who came or went.
        pid: Pid,
        /// Whether it came or went.
        change: GroupChange,
    },
}

/// What happened to a group. [`Runtime::monitor_group`](crate::Runtime::monitor_group) has
/// an example.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum GroupChange {
    /// A process joined.
    Joined,
    /// A member left, or ended.
    Left,
}

impl Received {
    /// The bytes, if it is a message; anything else is dropped.
    ///
    /// ```
    /// use regrow::{ExitReason, Pid, Received};
    ///
    /// assert_eq!(Received::Message(b"hi".to_vec()).message(), Some(b"hi".to_vec()));
    /// let exit = Received::Exit { from: Pid::OUTSIDE, reason: ExitReason::Shutdown };
    /// assert_eq!(exit.message(), None);
    /// ```
    pub fn message(self) -> Option<Message> {
        match self {
            Received::Message(message) => Some(message),
            _ => None,
        }
    }

    /// The stream, if it is one; anything else is dropped.
    ///
    /// ```
    /// use regrow::Received;
    ///
    /// let (_, reader) = regrow::stream();
    /// assert!(Received::Stream(reader).stream().is_some());
    /// assert!(Received::Message(b"hi".to_vec()).stream().is_none());
    /// ```
    pub fn stream(self) -> Option<StreamHandle> {
        match self {
            Received::Stream(stream) => Some(stream),
            _ => None,
        }
    }

    /// Whether a bound on the mailbox counts it: signals are exempt.
    /// What the log may say of it: never what a user wrote.
    pub(crate) fn outline(&self) -> String {
        match self {
            Received::Message(message) => format!("a message of {} bytes", message.len()),
            Received::Stream(_) => "a stream".to_owned(),
            signal => excerpt(format_args!("{signal:?}"), PAGE).to_string(),
        }
    }

    pub(crate) fn is_user(&self) -> bool {
        matches!(self, Received::Message(_) | Received::Stream(_))
    }
}

/// What lies in a mailbox: the item, and for a signal that can be taken back the
/// ticket without which it is not delivered.
#[derive(Debug)]
pub(crate) struct Envelope {
    pub(crate) ticket: Option<NonZeroU64>,
    pub(crate) received: Received,
}

impl Envelope {
    pub(crate) fn plain(received: Received) -> Self {
        Envelope { ticket: None, received }
    }

    pub(crate) fn ticketed(ticket: u64, received: Received) -> Self {
        Envelope { ticket: NonZeroU64::new(ticket), received }
    }
}
