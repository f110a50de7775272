//! The queues of postponed and inserted events: those of a `gen_statem` of OTP, without its
//! mailbox. `event_order` decides when an event enters and leaves them.
//!
//! **Invariants**
//! 1. The queue has events only while the machine is between two of its own events: the mailbox is
//!    read when the queue is empty.
//! 2. Postponed events are in the order in which they were received.
//! 3. A call whose caller is known, and waits no longer, is dropped when it is the next event. So is
//!    each such call when the queue of postponed events is full, at the latest when an eighth as
//!    many events as it holds were refused: a search costs time that grows with the queue, and a
//!    search for each refused event would cost most of the time of an overloaded machine.

use std::collections::VecDeque;

use crate::machine::event::Queued;
use crate::machine::{Machine, StateMachine};
use crate::mailbox::drop_queue;
use crate::message::MessageKind;
use crate::server::ServerProcess;

/// The number of calls that are dropped in a row before the machine lets other tasks run, because their
/// callers have given up.
const DROPPED_AT_ONCE: usize = 128;

pub(super) struct EventQueue<M: StateMachine> {
    process: ServerProcess<Machine<M>>,
    /// Handled before the mailbox.
    next: VecDeque<Queued<M>>,
    postponed: VecDeque<Queued<M>>,
    /// How many events may be postponed.
    limit: usize,
    /// How many events are refused before the next search. Invariant 3.
    refusals: usize,
    /// The event that the loop had at the end.
    left: Option<(MessageKind, &'static str)>,
}

impl<M: StateMachine> EventQueue<M> {
    pub(super) fn new(process: ServerProcess<Machine<M>>) -> Self {
        let of_mailbox = || process.with_counts(|counts| counts.capacity);
        let limit = M::MAX_POSTPONED.or_else(of_mailbox).unwrap_or(usize::MAX);
        let (next, postponed) = (VecDeque::new(), VecDeque::new());
        EventQueue { process, next, postponed, limit, refusals: 0, left: None }
    }

    /// Whether one more event can be postponed, besides so many that the callback has postponed. If
    /// not, makes room by invariant 3.
    pub(super) fn has_room(&mut self, requested: usize) -> bool {
        let has_room = |queue: &Self| queue.postponed.len() + requested < queue.limit;
        if has_room(self) {
            return true;
        }
        if self.refusals > 0 {
            self.refusals -= 1;
            return false;
        }
        let (mut given_up, awaited): (VecDeque<_>, _) =
            self.postponed.drain(..).partition(Queued::is_given_up);
        self.postponed = awaited;
        if given_up.is_empty() {
            self.refusals = self.postponed.len() / 8;
        }
        drop_queue(&mut given_up);
        has_room(self)
    }

    pub(super) fn postponed(&self) -> usize {
        self.postponed.len()
    }

    pub(super) fn has_next(&self) -> bool {
        !self.next.is_empty()
    }

    pub(super) fn postpone(&mut self, event: Queued<M>) {
        self.postponed.push_back(event);
    }

    /// Puts the postponed events before all others, because the state has changed.
    pub(super) fn replay(&mut self) {
        if self.next.is_empty() {
            std::mem::swap(&mut self.next, &mut self.postponed);
            return;
        }
        while let Some(event) = self.postponed.pop_back() {
            self.next.push_front(event);
        }
    }

    /// Puts these events before all others, in their order.
    pub(super) fn insert(&mut self, events: &mut Vec<Queued<M>>) {
        events.drain(..).rev().for_each(|event| self.next.push_front(event));
    }

    /// Counts this event as left, too.
    pub(super) fn leave(&mut self, left: Option<(MessageKind, &'static str)>) {
        self.left = left;
    }

    /// Takes the next event. Invariant 3. Returns `None` while there are more, if as many calls were
    /// dropped as are dropped at once.
    pub(super) fn pop(&mut self) -> Option<Queued<M>> {
        for _ in 0..DROPPED_AT_ONCE {
            let queued = self.next.pop_front()?;
            if !queued.is_given_up() {
                return Some(queued);
            }
            let process = &self.process;
            process.kernel.catch_destructor(process.pid(), || drop(queued));
        }
        None
    }
}

/// Counts the messages that remain in the machine as unhandled. The callers of calls get the reason
/// of the end.
impl<M: StateMachine> Drop for EventQueue<M> {
    fn drop(&mut self) {
        let EventQueue { process, next, postponed, left, .. } = self;
        if next.is_empty() && postponed.is_empty() && left.is_none() {
            return;
        }
        let queued = postponed.iter().chain(next.iter());
        let queued = queued.filter_map(|queued| queued.event.description());
        let mut left = left.take().into_iter().chain(queued);
        process.kernel.note_unhandled(&**process, &mut left);
        drop_queue(postponed);
        drop_queue(next);
    }
}
