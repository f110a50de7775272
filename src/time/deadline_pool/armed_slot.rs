//! A slot while a caller waits on it.

use std::sync::atomic::Ordering;
use std::task::Waker;

use crate::time::deadline_pool::slot_cache::Bell;
use crate::time::deadline_pool::slot_pool::Shelf;
use crate::time::deadline_pool::{Bells, FAR};

/// A slot in use; dropping it takes it back.
#[derive(Debug)]
pub(crate) struct ArmedBell<'a> {
    pub(super) place: Place<'a>,
    pub(super) due: u64,
    pub(super) bells: &'a Bells,
}

/// Where it came from, and is given back to.
#[derive(Debug)]
pub(super) enum Place<'a> {
    Stand(&'a Bell),
    Shelf(&'a Shelf, usize),
}

impl ArmedBell<'_> {
    /// Whether the sweeper's next look comes in time for it. To be asked at once where the slot
    /// is kept: to move it after its parts are written costs as much as to arm it.
    #[inline]
    pub(crate) fn is_in_time(&self) -> bool {
        let next = self.bells.next.load(Ordering::SeqCst);
        next <= self.due && self.due - next < FAR
    }

    pub(crate) fn register(&self, waker: &Waker) {
        match self.place {
            Place::Stand(bell) => bell.register(waker),
            Place::Shelf(shelf, at) => shelf.register(at, waker),
        }
    }
}

impl Drop for ArmedBell<'_> {
    fn drop(&mut self) {
        match self.place {
            Place::Stand(bell) => bell.disarm(),
            Place::Shelf(shelf, at) => shelf.disarm(at),
        }
        if self.bells.closed.load(Ordering::Relaxed) {
            self.bells.end_if_idle();
        }
    }
}
