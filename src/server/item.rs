//! An item of a server's mailbox: one closed enum, so that calls and casts are moved by value and
//! not boxed.

use std::any::type_name;
use std::sync::{Arc, Weak};

use tokio::time::Instant;

use crate::call::{QueuedCall, TakenOver};
use crate::exit::ExitReason;
use crate::mailbox::{Item, Process};
use crate::message::{Envelope, MessageKind, Metadata};
use crate::process::{AnyProcess, CallLimit, SystemRequest};
use crate::server::{GenServer, System};

/// One item of a server's mailbox, as it was queued. The loop turns each item but a plain call or
/// cast into a [`Dispatch`](crate::server::dispatch::Dispatch). Rare items are boxed, so that they
/// do not enlarge the enum.
pub(crate) enum ServerItem<S: GenServer> {
    Call(S::Call),
    Cast(S::Cast),
    /// A call that its caller takes back if no handler has received it.
    /// It has a limit if it was made while deadlines are propagated.
    Returnable(QueuedCall<(S::Call, Option<Arc<CallLimit>>)>),
    /// A call that was made while deadlines are propagated.
    Limited(Box<LimitedCall<S>>),
    /// A call to a server that keeps its queue: its successor may take the call over.
    Kept(Box<KeptCall<S>>),
    /// A cast that the bound of the mailbox does not count, refuse or drop: the result of a task of
    /// the server, or the end of a stream that is piped into it.
    Exempt(Box<S::Cast>),
    /// A request to stop.
    Stop(ExitReason),
    /// A request to suspend, resume or inspect the server.
    System(Box<System>),
    /// A timer of the server itself has expired.
    Timer(u64),
    /// The next event of a state machine itself.
    Own,
    /// A message with the metadata of its sender.
    Carried(Box<Carried<S>>),
    /// Any other item with the time at which it was queued, while handlers are tracked.
    Stamped(Box<Stamped<S>>),
    /// A message, a stream or a signal.
    Envelope(Box<Envelope>),
}

/// A call, and how long its caller waits.
pub(crate) struct LimitedCall<S: GenServer> {
    pub(crate) call: S::Call,
    pub(crate) limit: Arc<CallLimit>,
}

/// A call that a successor of its server may take over.
pub(crate) struct KeptCall<S: GenServer> {
    /// The call: `Call`, `Limited` or `Returnable`.
    pub(crate) item: ServerItem<S>,
    pub(crate) origin: CallOrigin,
}

/// Where a call comes from that a successor of its server may take over.
pub(crate) struct CallOrigin {
    /// The slot that the answer is put into.
    slot: Option<Weak<dyn TakenOver>>,
    /// The address of the record that the call was sent to, which the reply has.
    sent_to: usize,
}

impl<S: GenServer> KeptCall<S> {
    /// Makes an item of a call, whose answer is put into this slot.
    pub(crate) fn item(
        item: ServerItem<S>,
        slot: Option<Weak<dyn TakenOver>>,
        server: &Arc<Process<ServerItem<S>>>,
    ) -> ServerItem<S> {
        let origin = CallOrigin { slot, sent_to: server.head.address() };
        ServerItem::Kept(Box::new(KeptCall { item, origin }))
    }
}

/// A message with the metadata of its sender. The item is never `Carried` or `Stamped` itself.
pub(crate) struct Carried<S: GenServer> {
    pub(crate) metadata: Metadata,
    pub(crate) item: ServerItem<S>,
    /// Whether the item is a cast that was given to `continue_with`.
    pub(crate) is_continued: bool,
}

/// An item with the time at which it was queued. The item is never `Stamped` itself.
pub(crate) struct Stamped<S: GenServer> {
    pub(crate) queued_at: Instant,
    pub(crate) item: ServerItem<S>,
}

impl<S: GenServer> ServerItem<S> {
    /// Whether the item is the expiry of a timer of the server itself.
    pub(crate) fn is_timer(&self) -> bool {
        match self {
            ServerItem::Timer(_) => true,
            ServerItem::Stamped(stamped) => stamped.item.is_timer(),
            _ => false,
        }
    }

    /// Whether the item is a cast that was given to `continue_with`.
    pub(crate) fn is_continued(&self) -> bool {
        matches!(self, ServerItem::Carried(carried) if carried.is_continued)
    }
}

impl<S: GenServer> Item for ServerItem<S> {
    fn from_envelope(envelope: Envelope) -> Self {
        ServerItem::Envelope(Box::new(envelope))
    }

    fn envelope(&self) -> Option<&Envelope> {
        match self {
            ServerItem::Envelope(envelope) => Some(envelope),
            ServerItem::Carried(carried) => carried.item.envelope(),
            ServerItem::Stamped(stamped) => stamped.item.envelope(),
            _ => None,
        }
    }

    fn envelope_mut(&mut self) -> Option<&mut Envelope> {
        match self {
            ServerItem::Envelope(envelope) => Some(envelope),
            ServerItem::Carried(carried) => carried.item.envelope_mut(),
            ServerItem::Stamped(stamped) => stamped.item.envelope_mut(),
            _ => None,
        }
    }

    fn is_user(&self) -> bool {
        match self {
            ServerItem::Call(_)
            | ServerItem::Cast(_)
            | ServerItem::Returnable(_)
            | ServerItem::Limited(_)
            | ServerItem::Kept(_) => true,
            ServerItem::Exempt(_)
            | ServerItem::Stop(_)
            | ServerItem::System(_)
            | ServerItem::Own
            | ServerItem::Timer(_) => false,
            ServerItem::Envelope(envelope) => envelope.received.is_user(),
            ServerItem::Carried(carried) => carried.item.is_user(),
            ServerItem::Stamped(stamped) => stamped.item.is_user(),
        }
    }

    fn description(&self) -> Option<(MessageKind, &'static str)> {
        match self {
            ServerItem::Call(_) | ServerItem::Returnable(_) | ServerItem::Limited(_) => {
                Some((MessageKind::Call, type_name::<S::Call>()))
            }
            ServerItem::Cast(_) | ServerItem::Exempt(_) => {
                Some((MessageKind::Cast, type_name::<S::Cast>()))
            }
            ServerItem::Stop(_)
            | ServerItem::System(_)
            | ServerItem::Timer(_)
            | ServerItem::Own => None,
            ServerItem::Kept(kept) => kept.item.description(),
            ServerItem::Envelope(envelope) => envelope.received.description(),
            ServerItem::Carried(carried) => carried.item.description(),
            ServerItem::Stamped(stamped) => stamped.item.description(),
        }
    }

    /// The caller of a `Returnable` takes an unread call back.
    fn left_description(&self) -> Option<(MessageKind, &'static str)> {
        match self {
            ServerItem::Returnable(_) => None,
            ServerItem::Kept(kept) => kept.item.left_description(),
            ServerItem::Carried(carried) => carried.item.left_description(),
            ServerItem::Stamped(stamped) => stamped.item.left_description(),
            item => item.description(),
        }
    }

    fn sent_to(&self) -> Option<usize> {
        match self {
            ServerItem::Kept(kept) => Some(kept.origin.sent_to),
            ServerItem::Carried(carried) => carried.item.sent_to(),
            ServerItem::Stamped(stamped) => stamped.item.sent_to(),
            _ => None,
        }
    }

    fn hand_on(&self, to: &Arc<dyn AnyProcess>) {
        match self {
            ServerItem::Kept(kept) => {
                // Without a strong count, the caller has stopped waiting and the reply was moved.
                if let Some(slot) = kept.origin.slot.as_ref().and_then(Weak::upgrade) {
                    slot.hand_on(to);
                }
            }
            ServerItem::Carried(carried) => carried.item.hand_on(to),
            ServerItem::Stamped(stamped) => stamped.item.hand_on(to),
            _ => {}
        }
    }

    fn from_tick(timer: u64) -> Option<Self> {
        Some(ServerItem::Timer(timer))
    }

    fn from_system_request(request: SystemRequest) -> Option<Self> {
        Some(ServerItem::System(Box::new(System::Untyped(request))))
    }

    const HANDLED: bool = true;

    fn carries(&self) -> bool {
        self.is_user() || matches!(self, ServerItem::Exempt(_))
    }

    fn carrying(self, metadata: Metadata) -> Self {
        ServerItem::Carried(Box::new(Carried { metadata, item: self, is_continued: false }))
    }

    #[inline]
    fn stamped(self) -> Self {
        ServerItem::Stamped(Box::new(Stamped { queued_at: Instant::now(), item: self }))
    }

    fn stamp(&self) -> Option<Instant> {
        match self {
            ServerItem::Stamped(stamped) => Some(stamped.queued_at),
            _ => None,
        }
    }
}
