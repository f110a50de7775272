//! What a server handles next, before its mailbox: the casts that it has given to `continue_with`,
//! and the events that a state machine has queued for itself.
//!
//! The queue is behind a trait object, which is made when it is first used. So a server that never
//! uses it compiles no queue of its own.

use std::collections::VecDeque;

use crate::message::Metadata;
use crate::server::{GenServer, ServerItem};

/// What a server handles before its mailbox.
pub(crate) enum Continued<S: GenServer> {
    /// A cast that was given to `continue_with`, with the metadata that it was given with.
    Cast(S::Cast, Metadata),
    /// An event of a state machine, and whether a system message may precede it.
    Event { item: ServerItem<S>, yields: bool },
}

/// A queue, first in first out.
pub(crate) trait Continues<S: GenServer>: Send {
    fn push(&mut self, continued: Continued<S>);
    fn pop(&mut self) -> Option<Continued<S>>;
    fn is_empty(&self) -> bool;
    /// Whether a system message may precede the first entry.
    fn yields(&self) -> bool;
}

impl<S: GenServer> Continues<S> for VecDeque<Continued<S>> {
    fn push(&mut self, continued: Continued<S>) {
        self.push_back(continued);
    }

    fn pop(&mut self) -> Option<Continued<S>> {
        self.pop_front()
    }

    fn is_empty(&self) -> bool {
        VecDeque::is_empty(self)
    }

    fn yields(&self) -> bool {
        matches!(self.front(), Some(Continued::Event { yields: true, .. }))
    }
}
