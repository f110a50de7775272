//! The error of a stash.

use std::error::Error;
use std::fmt;

/// A message that was not put aside, because the stash has as many items as it holds at most. The
/// message is given back: handle it, answer it with an error of your protocol, or drop it.
///
/// `Display` and `Debug` do not show the message, so messages need not be `Debug`. If the message is
/// not `Sync`, `?` in a process needs `.map_err(|full| full.to_string())`. Akka:
/// `StashOverflowException`. OTP has no counterpart: there the postponed events have no bound.
///
/// [`ServerContext::stash_call`](crate::ServerContext::stash_call) and
/// [`Context::stash_capacity`](crate::Context::stash_capacity) have examples.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct StashFull<T> {
    /// The message, given back.
    pub message: T,
    /// How many items the stash holds at most.
    pub capacity: usize,
}

impl<T> StashFull<T> {
    pub(crate) fn new(message: T, capacity: usize) -> Self {
        StashFull { message, capacity }
    }
}

impl<T> fmt::Display for StashFull<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let capacity = self.capacity;
        write!(f, "the stash is full: it holds {capacity} items. `unstash_all` makes room, and ")?;
        write!(f, "`stash_capacity` sets another bound")
    }
}

impl<T> fmt::Debug for StashFull<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StashFull").field("capacity", &self.capacity).finish_non_exhaustive()
    }
}

impl<T> Error for StashFull<T> {}
