//! The queues of postponed and inserted events: those of a `gen_statem` of OTP, without its
//! mailbox. `event_order` decides when an event enters and leaves them.
//!
//! **Invariants**
//! 1. The queue has events only while the machine is between two of its own events: the mailbox is
//!    read when the queue is empty.
//! 2. Postponed events are in the order in which they were received.

use std::collections::VecDeque;

use crate::machine::event::Queued;
use crate::machine::{Machine, StateMachine};
use crate::mailbox::drop_queue;
use crate::message::MessageKind;
use crate::server::ServerProcess;

pub(super) struct EventQueue<M: StateMachine> {
    process: ServerProcess<Machine<M>>,
    /// Handled before the mailbox.
    next: VecDeque<Queued<M>>,
    postponed: VecDeque<Queued<M>>,
    /// The event that the loop had at the end.
    left: Option<(MessageKind, &'static str)>,
}

impl<M: StateMachine> EventQueue<M> {
    pub(super) fn new(process: ServerProcess<Machine<M>>) -> Self {
        EventQueue { process, next: VecDeque::new(), postponed: VecDeque::new(), left: None }
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

    pub(super) fn pop(&mut self) -> Option<Queued<M>> {
        self.next.pop_front()
    }
}

/// Counts the messages that remain in the machine as unhandled. The callers of calls get the reason
/// of the end.
impl<M: StateMachine> Drop for EventQueue<M> {
    fn drop(&mut self) {
        let EventQueue { process, next, postponed, left } = self;
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
