//! What the callbacks of an event have requested of their machine.

use crate::machine::StateMachine;
use crate::machine::event::Queued;
use crate::machine::timeouts::{Action, Kind};

/// What the callbacks have requested. It is done after they have returned.
pub(super) struct Requested<M: StateMachine> {
    pub(super) postponed: Vec<Queued<M>>,
    pub(super) events: Vec<Queued<M>>,
    pub(super) timeouts: Vec<(Kind, Action<M::Payload>)>,
}

impl<M: StateMachine> Requested<M> {
    pub(super) fn none() -> Self {
        Requested { postponed: Vec::new(), events: Vec::new(), timeouts: Vec::new() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.postponed.is_empty() && self.events.is_empty() && self.timeouts.is_empty()
    }
}
