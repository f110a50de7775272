//! The outcome of a server's wait, and the action of its loop for an item.

use crate::exit::ExitReason;
use crate::message::{Envelope, Metadata};
use crate::observe::Callback;
use crate::server::item::LimitedCall;
use crate::server::{GenServer, System};

/// How a wait for an item ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WaitOutcome {
    /// There is something to handle.
    Found,
    /// A system message is the first item of the mailbox, and an event of the server itself is to be
    /// handled after it.
    System,
    /// The idle time-out has elapsed.
    IdleTimeout,
    /// The drain is over: the server stops, and what is queued is left unhandled.
    DrainOver,
}

/// The callback that the loop runs, or the action that the loop takes instead.
pub(crate) enum Dispatch<S: GenServer> {
    /// `handle_call`.
    Call(S::Call),
    /// `handle_call`, for a caller that waits up to a known limit.
    LimitedCall(Box<LimitedCall<S>>),
    /// `handle_cast`.
    Cast(S::Cast),
    /// `handle_info`.
    Info(Box<Envelope>),
    /// `handle_timeout`.
    Timeout,
    /// `handle_own`, for the timer with this number, or for the next event of the server itself.
    Own(Option<u64>),
    /// The loop ends with this reason.
    Stop(ExitReason),
    /// The loop answers the request itself.
    System(Box<System>),
    /// The callback of a message that carries metadata.
    Carried(Box<CarriedDispatch<S>>),
    /// The loop does nothing: the item is the expiry of a timer that was cancelled or replaced, or a
    /// call that its caller has taken back.
    Stale,
}

/// The callback of a message, and the metadata of the sender. It is not `Carried` itself.
pub(crate) struct CarriedDispatch<S: GenServer> {
    pub(crate) metadata: Metadata,
    pub(crate) dispatch: Dispatch<S>,
}

impl<S: GenServer> Dispatch<S> {
    /// Adds the metadata of the sender, if a callback runs.
    pub(crate) fn carrying(self, metadata: Metadata) -> Self {
        match self.callback() {
            Some(_) => Dispatch::Carried(Box::new(CarriedDispatch { metadata, dispatch: self })),
            None => self,
        }
    }

    /// Returns this action without metadata.
    pub(crate) fn plain(&self) -> &Dispatch<S> {
        match self {
            Dispatch::Carried(carried) => &carried.dispatch,
            plain => plain,
        }
    }

    /// Returns the callback that the loop runs, if it runs one.
    pub(crate) fn callback(&self) -> Option<Callback> {
        match self.plain() {
            Dispatch::Call(_) | Dispatch::LimitedCall(_) => Some(Callback::HandleCall),
            Dispatch::Cast(_) => Some(Callback::HandleCast),
            Dispatch::Info(_) => Some(Callback::HandleInfo),
            Dispatch::Timeout => Some(Callback::HandleTimeout),
            Dispatch::Own(_) => Some(Callback::HandleEvent),
            Dispatch::Stop(_) | Dispatch::System(_) | Dispatch::Carried(_) | Dispatch::Stale => {
                None
            }
        }
    }
}
