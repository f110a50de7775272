//! One item of a mailbox.

use std::sync::Arc;

use tokio::time::Instant;

use crate::message::received::Envelope;
use crate::message::{MessageKind, Metadata};
use crate::process::{AnyProcess, SystemRequest};

/// One item of a mailbox. The item of a plain process is an [`Envelope`]. The item of a server is
/// a closed enum, so that its calls and casts move by value.
pub(crate) trait Item: Send + 'static {
    fn from_envelope(envelope: Envelope) -> Self;

    /// The envelope, if the item is or contains one.
    fn envelope(&self) -> Option<&Envelope>;

    /// Does the same as [`envelope`](Self::envelope), but returns a mutable reference.
    fn envelope_mut(&mut self) -> Option<&mut Envelope>;

    /// Whether the item counts towards the bound of the mailbox. Messages, streams, calls and casts
    /// count, except for exempt casts. Signals, timers, and requests to stop, suspend or inspect a
    /// server do not count.
    fn is_user(&self) -> bool;

    /// The kind and the type of a message, also of an exempt cast. `None` for signals, timers, and
    /// requests to stop, suspend or inspect a server.
    fn description(&self) -> Option<(MessageKind, &'static str)>;

    /// The [description](Self::description) of a message that is lost if it is left in the mailbox at
    /// the end of the process.
    fn left_description(&self) -> Option<(MessageKind, &'static str)> {
        self.description()
    }

    /// The address of the record that a call was sent to, if another process may take the call over.
    fn sent_to(&self) -> Option<usize> {
        None
    }

    /// Tells the caller of a call that this process takes the call over.
    fn hand_on(&self, _to: &Arc<dyn AnyProcess>) {}

    /// Whether a server refuses the item while it stops: a message, a stream, or a cast, also an
    /// exempt one.
    fn is_refused_by_stop(&self) -> bool {
        matches!(self.description(), Some((kind, _)) if kind != MessageKind::Call)
    }

    /// Returns the item for the expiry of a timer that the process itself set, or `None` if
    /// processes with these items have no such timers.
    fn from_tick(_timer: u64) -> Option<Self>
    where
        Self: Sized,
    {
        None
    }

    /// Returns the item for a request that every server answers, or `None` if processes with these
    /// items are no servers.
    fn from_system_request(_request: SystemRequest) -> Option<Self>
    where
        Self: Sized,
    {
        None
    }

    /// Whether the reader has handlers, which can be tracked.
    const HANDLED: bool = false;

    /// Whether the item carries the metadata of its sender.
    fn carries(&self) -> bool {
        self.is_user()
    }

    /// Adds the metadata of the sender.
    fn carrying(self, metadata: Metadata) -> Self
    where
        Self: Sized;

    /// Adds the current time to the item, if items of this type are tracked.
    fn stamped(self) -> Self
    where
        Self: Sized,
    {
        self
    }

    /// Returns the time that [`stamped`](Self::stamped) has added.
    fn stamp(&self) -> Option<Instant> {
        None
    }
}

impl Item for Envelope {
    fn from_envelope(envelope: Envelope) -> Self {
        envelope
    }

    fn envelope(&self) -> Option<&Envelope> {
        Some(self)
    }

    fn envelope_mut(&mut self) -> Option<&mut Envelope> {
        Some(self)
    }

    fn is_user(&self) -> bool {
        self.received.is_user()
    }

    fn description(&self) -> Option<(MessageKind, &'static str)> {
        self.received.description()
    }

    fn carrying(self, metadata: Metadata) -> Self {
        Envelope { metadata, ..self }
    }
}
