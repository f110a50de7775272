//! What lies in a server's mailbox: one closed enum, moved by value.

use tokio::time::Instant;

use crate::exit::reason::ExitReason;
use crate::mailbox::inbox::Item;
use crate::message::received::Envelope;
use crate::server::GenServer;
use crate::server::system_message::System;

/// One item of a server's mailbox.
pub(crate) enum Work<S: GenServer> {
    Call(S::Call),
    Cast(S::Cast),
    /// A cast that no bound counts, refuses or drops: what the server's own tasks and pipes tell
    /// it once. Boxed: so this does not make the others larger.
    Own(Box<S::Cast>),
    /// Somebody wants the server to stop.
    Stop(ExitReason),
    /// Somebody looks at the server, or holds it. Boxed: it is rare.
    System(Box<System>),
    /// A timer of the server's own is due.
    Tick(u64),
    /// Any of these, and when it was queued: where handlers are tracked.
    Stamped(Box<Stamped<S>>),
    /// Messages, streams and signals: boxed, so that calls and casts stay as small as
    /// they are.
    Envelope(Box<Envelope>),
}

/// Never one inside of another.
pub(crate) struct Stamped<S: GenServer> {
    pub(crate) at: Instant,
    pub(crate) work: Work<S>,
}

impl<S: GenServer> Item for Work<S> {
    fn from_envelope(envelope: Envelope) -> Self {
        Work::Envelope(Box::new(envelope))
    }

    fn envelope(&self) -> Option<&Envelope> {
        match self {
            Work::Envelope(envelope) => Some(envelope),
            Work::Stamped(stamped) => stamped.work.envelope(),
            _ => None,
        }
    }

    fn envelope_mut(&mut self) -> Option<&mut Envelope> {
        match self {
            Work::Envelope(envelope) => Some(envelope),
            Work::Stamped(stamped) => stamped.work.envelope_mut(),
            _ => None,
        }
    }

    fn is_user(&self) -> bool {
        match self {
            Work::Call(_) | Work::Cast(_) => true,
            Work::Own(_) | Work::Stop(_) | Work::System(_) | Work::Tick(_) => false,
            Work::Envelope(envelope) => envelope.received.is_user(),
            Work::Stamped(stamped) => stamped.work.is_user(),
        }
    }

    fn from_tick(timer: u64) -> Option<Self> {
        Some(Work::Tick(timer))
    }

    const HANDLED: bool = true;

    #[inline]
    fn stamped(self) -> Self {
        Work::Stamped(Box::new(Stamped { at: Instant::now(), work: self }))
    }

    fn stamp(&self) -> Option<Instant> {
        match self {
            Work::Stamped(stamped) => Some(stamped.at),
            _ => None,
        }
    }
}
