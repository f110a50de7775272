//! The events that a server gives to itself, as a state machine needs them: the next event of its
//! own queue, and its timers.
//!
//! **Guarantees.** The loop handles such an event as any other item, before the mailbox: the event
//! is tracked, traced, and takes part in the budget of the task. Before an event that yields, the loop
//! answers a system message that is the first item of the mailbox.
//!
//! **Invariants**
//! 1. Only the handler of the server queues events, and only one at a time. So the queue is empty
//!    when a handler begins.
//! 2. A timer that was disarmed has no entry. So its expiry, which may be queued already, is dropped.

use std::sync::Arc;
use std::time::Duration;

use crate::message::Metadata;
use crate::process::{AnyProcess, CallLimit};
use crate::server::context::continues::{Continued, Continues};
use crate::server::{Dispatch, GenServer, ServerContext, ServerItem};
use crate::time::timer_queue::TimerKey;

/// The queue of a server.
type OwnQueue<S> = Box<dyn Continues<S>>;

impl<S: GenServer> ServerContext<S> {
    /// Whether casts were given to `continue_with`.
    #[inline]
    pub(crate) fn has_continues(&mut self) -> bool {
        matches!(&self.inner().extras, Some(extras) if extras.has_continues())
    }

    /// Takes the queue with the casts that were given to `continue_with`, if any were given.
    pub(crate) fn take_continues(&mut self) -> Option<OwnQueue<S>> {
        self.inner().extras.as_mut()?.continues.take()
    }

    /// Gives a queue back.
    pub(crate) fn put_continues(&mut self, queue: OwnQueue<S>) {
        self.inner().extras().put_continues(queue);
    }

    /// Lets the loop handle this event next. `yields` is whether a system message may precede it.
    pub(crate) fn set_next_event(
        &mut self,
        (item, metadata): (ServerItem<S>, Metadata),
        yields: bool,
    ) {
        let item = match self.process.kernel.carries(&metadata) {
            true => crate::mailbox::Item::carrying(item, metadata),
            false => item,
        };
        self.inner().extras().push_continued(Continued::Event { item, yields });
    }

    /// Arms a timer of the server itself.
    pub(crate) fn arm_own_timer(&mut self, delay: Duration, metadata: Metadata) -> TimerKey {
        let key = self.process.kernel.arm_tick(self.pid(), delay);
        self.inner().extras().own_timers.insert(key.id, metadata);
        key
    }

    /// Disarms the timer. Invariant 2.
    pub(crate) fn disarm_own_timer(&mut self, key: TimerKey) {
        if let Some(extras) = &mut self.inner().extras {
            extras.own_timers.remove(&key.id);
        }
        self.process.kernel.timers.disarm(key);
    }

    /// The action for the expiry of a timer that is no timer of a cast.
    pub(crate) fn expire_own(&mut self, timer: u64) -> Dispatch<S> {
        let extras = self.inner().extras.as_mut();
        let metadata = extras.and_then(|extras| extras.own_timers.remove(&timer));
        match metadata {
            None => Dispatch::Stale,
            Some(metadata) if self.process.kernel.carries(&metadata) => {
                Dispatch::Own(Some(timer)).carrying(metadata)
            }
            Some(_) => Dispatch::Own(Some(timer)),
        }
    }

    /// The limit of the call that is being handled, while deadlines are propagated.
    pub(crate) fn handled_call_limit(&self) -> Option<Arc<CallLimit>> {
        let process: &dyn AnyProcess = &*self.process;
        process.with(|locked| locked.core().registrations()?.handled_call.clone())
    }

    /// Whether an event that yields comes next, and a system message is the first item of the mailbox.
    pub(crate) fn is_system_message_first(&mut self) -> bool {
        let inner = self.inner();
        let continues = inner.extras.as_ref().and_then(|extras| extras.continues.as_ref());
        continues.is_some_and(|continues| continues.yields())
            && inner.mailbox.is_first(is_system_message)
    }
}

fn is_system_message<S: GenServer>(item: &ServerItem<S>) -> bool {
    match item {
        ServerItem::System(_) => true,
        ServerItem::Stamped(stamped) => matches!(stamped.item, ServerItem::System(_)),
        _ => false,
    }
}
