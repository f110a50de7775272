//! The items that a process takes from its mailbox.

use std::any::type_name;
use std::num::NonZeroU64;

use crate::base::{MonitorRef, PAGE, Pid, SharedStr, excerpt};
#[cfg(feature = "cluster")]
use crate::exit::CrashKind;
use crate::exit::ExitReason;
#[cfg(feature = "cluster")]
use crate::message::EncodedTerm;
use crate::message::metadata::Metadata;
use crate::message::{MessageKind, StreamHandle};

/// A message of a plain process: opaque bytes, moved into the mailbox by value. For typed messages
/// use a [`GenServer`](crate::GenServer). OTP: any term.
pub type Message = Vec<u8>;

/// One item of a mailbox. Messages, streams and signals share one queue, and are received in the
/// order of that queue.
///
/// Variants may be added later, so a `match` needs a wildcard arm. OTP: a term that `receive`
/// takes. In OTP, signals are tuples (`{'DOWN', …}`, `{'EXIT', …}`), which cannot be distinguished
/// from messages of the same shape.
///
/// # Examples
///
/// ```
/// use regrow::{ExitReason, Pid, Received};
///
/// fn describe(item: Received) -> String {
///     match item {
///         Received::Message(bytes) => format!("{} bytes", bytes.len()),
///         Received::Exit { from, reason } => format!("{from} ended: {reason}"),
///         other => format!("something else: {other:?}"),
///     }
/// }
/// assert_eq!(describe(Received::Message(b"hi".to_vec())), "2 bytes");
/// let exit = Received::Exit { from: Pid::from_raw(7), reason: ExitReason::Killed };
/// assert_eq!(describe(exit), "#7 ended: killed");
/// ```
#[derive(Debug, PartialEq)]
#[non_exhaustive]
#[repr(u64)] // the tag is as wide as the fields, so that a value is moved in whole words
pub enum Received {
    /// A message of bytes.
    Message(Message),
    /// A byte stream.
    Stream(StreamHandle),
    /// A term that a process of another node has sent, or a process of this one by
    /// [`Runtime::send_term`](crate::Runtime::send_term).
    #[cfg(feature = "cluster")]
    #[cfg_attr(docsrs, doc(cfg(feature = "cluster")))]
    Term(EncodedTerm),
    /// A monitored process ended, or did not exist.
    Down {
        /// The monitor.
        reference: MonitorRef,
        /// The monitored process.
        pid: Pid,
        /// Why the process ended; `NoProc` if it did not exist when the monitor was set.
        reason: ExitReason,
    },
    /// A process that was monitored by name ended, or no process held the name.
    DownName {
        /// The monitor.
        reference: MonitorRef,
        /// The name that was monitored.
        name: SharedStr,
        /// Why the process ended; `NoProc` if no process held the name.
        reason: ExitReason,
    },
    /// An exit signal, received as a message by a process that traps exits.
    Exit {
        /// The process that ended or sent the signal; [`Pid::OUTSIDE`] if code outside of
        /// processes, or a timer, sent the signal.
        from: Pid,
        /// The reason of the signal.
        reason: ExitReason,
    },
    /// A process joined or left a monitored group.
    Group {
        /// The monitor.
        reference: MonitorRef,
        /// The group.
        group: SharedStr,
        /// The process that joined or left.
        pid: Pid,
        /// Whether the process joined or left.
        change: GroupChange,
    },
    /// The node of this runtime got or lost a connection to another node:
    /// [`Runtime::monitor_nodes`](crate::Runtime::monitor_nodes).
    #[cfg(feature = "cluster")]
    #[cfg_attr(docsrs, doc(cfg(feature = "cluster")))]
    Node {
        /// The name of the other node.
        node: SharedStr,
        /// Whether there is a connection now.
        change: NodeChange,
    },
}

/// A change of the members of a group. [`Runtime::monitor_group`](crate::Runtime::monitor_group)
/// has an example.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum GroupChange {
    /// A process joined the group.
    Joined,
    /// A member left the group, or ended.
    Left,
}

/// A change of the connection to another node, in a [`Received::Node`]. OTP: `nodeup`, `nodedown`.
#[cfg(feature = "cluster")]
#[cfg_attr(docsrs, doc(cfg(feature = "cluster")))]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NodeChange {
    /// There is a connection.
    Up,
    /// The connection is lost.
    Down,
}

impl Received {
    /// Returns the bytes, if the item is a message; any other item is dropped.
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

    /// Returns the term, if the item is a term; any other item is dropped.
    ///
    /// ```
    /// use regrow::Received;
    /// use regrow::cluster::EncodedTerm;
    ///
    /// let term = EncodedTerm::new("milk")?;
    /// assert_eq!(Received::Term(term.clone()).term(), Some(term));
    /// assert_eq!(Received::Message(b"hi".to_vec()).term(), None);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[cfg(feature = "cluster")]
    #[cfg_attr(docsrs, doc(cfg(feature = "cluster")))]
    pub fn term(self) -> Option<EncodedTerm> {
        match self {
            Received::Term(term) => Some(term),
            _ => None,
        }
    }

    /// Whether another node may have sent or caused the item, so that there may be any number of them.
    /// A `DownName` does not say of which node the process was, so each may be foreign.
    pub(crate) fn may_be_foreign(&self) -> bool {
        match self {
            #[cfg(feature = "cluster")]
            Received::Term(_) | Received::DownName { .. } | Received::Node { .. } => true,
            Received::Exit { from: pid, .. }
            | Received::Down { pid, .. }
            | Received::Group { pid, .. } => pid.is_foreign(),
            _ => false,
        }
    }

    /// Returns the stream, if the item is a stream; any other item is dropped.
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

    /// Returns the process that ended or sent the signal, and the reason, if the item is an exit
    /// signal.
    ///
    /// ```
    /// use regrow::{ExitReason, Pid, Received};
    ///
    /// let item = Received::Exit { from: Pid::from_raw(7), reason: ExitReason::Killed };
    /// assert_eq!(item.exit(), Some((Pid::from_raw(7), &ExitReason::Killed)));
    /// assert_eq!(Received::Message(b"hi".to_vec()).exit(), None);
    /// ```
    pub fn exit(&self) -> Option<(Pid, &ExitReason)> {
        match self {
            Received::Exit { from, reason } => Some((*from, reason)),
            _ => None,
        }
    }

    /// Returns the monitor, the process that ended, and the reason, if the item reports the end of a
    /// monitored process. An end that is reported by name is a [`DownName`](Self::DownName).
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// use regrow::{ExitReason, Runtime};
    ///
    /// let rt = Runtime::new();
    /// let watcher = rt.spawn_fallible(async |mut ctx| {
    ///     let target = ctx.runtime().spawn(|_| async {});
    ///     let monitor = ctx.runtime().monitor(ctx.pid(), target.pid());
    ///     let item = ctx.recv().await;
    ///     let (reference, pid, reason) = item.down().ok_or("not a `Down`")?;
    ///     assert_eq!((reference, pid), (monitor, target.pid()));
    ///     assert!(matches!(reason, ExitReason::Normal | ExitReason::NoProc));
    ///     Ok(())
    /// });
    /// assert_eq!(watcher.join().await, ExitReason::Normal);
    /// # }));
    /// ```
    pub fn down(&self) -> Option<(MonitorRef, Pid, &ExitReason)> {
        match self {
            Received::Down { reference, pid, reason } => Some((*reference, *pid, reason)),
            _ => None,
        }
    }

    /// Returns a description for the log, which contains neither the bytes of a message nor a text of
    /// another node.
    pub(crate) fn outline(&self) -> String {
        match self {
            Received::Message(message) => format!("a message of {} bytes", message.len()),
            Received::Stream(_) => "a stream".to_owned(),
            #[cfg(feature = "cluster")]
            Received::Term(term) => format!("a term of {} bytes", term.as_bytes().len()),
            Received::Exit { from, .. } if from.is_foreign() => format!("an exit signal of {from}"),
            Received::Down { pid, .. } if pid.is_foreign() => format!("the end of {pid}"),
            Received::Group { pid, .. } if pid.is_foreign() => format!("a group change of {pid}"),
            #[cfg(feature = "cluster")]
            Received::DownName { name, reason, .. } if may_quote_another_node(reason) => {
                excerpt(format_args!("the end of the process named {name:?}"), PAGE).to_string()
            }
            signal => excerpt(format_args!("{signal:?}"), PAGE).to_string(),
        }
    }

    /// Whether the item counts towards the capacity of a mailbox. Signals do not.
    pub(crate) fn is_user(&self) -> bool {
        match self {
            Received::Message(_) | Received::Stream(_) => true,
            #[cfg(feature = "cluster")]
            Received::Term(_) => true,
            _ => false,
        }
    }

    /// The kind and the type of a message or a stream; `None` for signals.
    pub(crate) fn description(&self) -> Option<(MessageKind, &'static str)> {
        match self {
            Received::Message(_) => Some((MessageKind::Message, type_name::<Message>())),
            Received::Stream(_) => Some((MessageKind::Stream, type_name::<StreamHandle>())),
            #[cfg(feature = "cluster")]
            Received::Term(_) => Some((MessageKind::Message, type_name::<EncodedTerm>())),
            _ => None,
        }
    }
}

/// Whether a reason may have a text of another node. Such a reason is an error without a location.
#[cfg(feature = "cluster")]
fn may_quote_another_node(reason: &ExitReason) -> bool {
    match reason {
        ExitReason::Crashed(crash) => {
            crash.kind() == CrashKind::Error && crash.location().is_none()
        }
        ExitReason::ShutdownWith(_) => true,
        _ => false,
    }
}

/// A queued item, and the ticket of a signal that can be revoked.
#[derive(Debug)]
pub(crate) struct Envelope {
    /// The metadata of a message.
    pub(crate) metadata: Metadata,
    /// The ticket: the signal is delivered only while the ticket is valid. `None` for an item that
    /// can't be revoked.
    pub(crate) ticket: Option<NonZeroU64>,
    pub(crate) received: Received,
}

impl Envelope {
    pub(crate) fn plain(received: Received) -> Self {
        Envelope { metadata: Metadata::default(), ticket: None, received }
    }

    pub(crate) fn into_received(self) -> Received {
        self.received
    }

    pub(crate) fn ticketed(ticket: u64, received: Received) -> Self {
        Envelope { ticket: NonZeroU64::new(ticket), ..Envelope::plain(received) }
    }
}

#[cfg(test)]
mod tests {
    use super::Received;
    use crate::base::Pid;
    use crate::exit::ExitReason;

    #[test]
    fn the_outline_of_an_exit_of_another_node_has_no_reason() {
        let exit = |from| Received::Exit { from, reason: ExitReason::crashed("a long text") };
        let (local, foreign) = (exit(Pid::from_raw(7)), exit(Pid::from_raw(1 << 48 | 7)));
        assert!(!local.may_be_foreign() && local.outline().contains("a long text"));
        assert!(foreign.may_be_foreign());
        assert_eq!(foreign.outline(), format!("an exit signal of {}", Pid::from_raw(1 << 48 | 7)));
    }

    /// Such a `Down` may be that of another node, and nothing in it says so.
    #[cfg(feature = "cluster")]
    #[test]
    fn the_outline_of_an_end_by_name_has_no_text_that_another_node_may_have_written() {
        let reference = crate::base::MonitorRef::new(1, Pid::from_raw(7));
        let down = |reason| Received::DownName { reference, name: "prices".into(), reason };
        let foreign = down(ExitReason::from_library("a long text"));
        assert!(foreign.may_be_foreign());
        assert_eq!(foreign.outline(), "the end of the process named \"prices\"");
        let detail = down(ExitReason::shutdown_with("a long text"));
        assert!(!detail.outline().contains("a long text"));
        assert!(down(ExitReason::NoConnection).outline().contains("NoConnection"));
        assert!(down(ExitReason::crashed("here")).outline().contains("here"));
    }
}
