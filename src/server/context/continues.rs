//! The casts that a server has given to `continue_with`.
//!
//! The queue is behind a trait object, which `continue_with` makes. So a server that never calls it
//! compiles no queue of its own.

use std::collections::VecDeque;

use crate::message::Metadata;

/// Casts of one server, first in first out, each with the metadata that it was given with.
pub(crate) trait Continues<C>: Send {
    fn push(&mut self, cast: C, metadata: Metadata);
    fn pop(&mut self) -> Option<(C, Metadata)>;
    fn is_empty(&self) -> bool;
}

impl<C: Send> Continues<C> for VecDeque<(C, Metadata)> {
    fn push(&mut self, cast: C, metadata: Metadata) {
        self.push_back((cast, metadata));
    }

    fn pop(&mut self) -> Option<(C, Metadata)> {
        self.pop_front()
    }

    fn is_empty(&self) -> bool {
        VecDeque::is_empty(self)
    }
}
