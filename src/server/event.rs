//! What the loop of a server does next.

use crate::exit::reason::ExitReason;
use crate::message::received::Received;
use crate::observe::activity::Callback;
use crate::server::GenServer;
use crate::server::system_message::System;

/// How a wait for something to handle ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Waited {
    ForWork,
    /// The idle time was up.
    InVain,
}

/// What the loop does next.
pub(crate) enum Event<S: GenServer> {
    Call(S::Call),
    Cast(S::Cast),
    Info(Received),
    /// Nothing came for as long as was asked.
    Timeout,
    Stop(ExitReason),
    System(Box<System>),
    /// Nothing to be handled after all.
    Stale,
}

impl<S: GenServer> Event<S> {
    /// What handles it.
    pub(crate) fn callback(&self) -> Option<Callback> {
        match self {
            Event::Call(_) => Some(Callback::HandleCall),
            Event::Cast(_) => Some(Callback::HandleCast),
            Event::Info(_) => Some(Callback::HandleInfo),
            Event::Timeout => Some(Callback::HandleTimeout),
            Event::Stop(_) | Event::System(_) | Event::Stale => None,
        }
    }
}
