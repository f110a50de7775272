//! What the context of a server owns: its mailbox, and the state that few servers need.
//!
//! The rare state is in one box, which is made at the first use of a field. What depends on the type of
//! the casts is behind trait objects, which are made by the methods that use them. So a server
//! compiles, and keeps in memory, only what it uses.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use tokio::sync::Semaphore;

use crate::base::random::MapHasher;
use crate::mailbox::{Mailbox, Stash};
use crate::message::Metadata;
use crate::runtime::StartError;
use crate::server::context::continues::{Continued, Continues};
use crate::server::context::idle::IdleTimeout;
use crate::server::context::schedule::Schedule;
use crate::server::item::CallOrigin;
use crate::server::tracking::Watch;
use crate::server::{GenServer, ServerItem, WaitOutcome};

/// What the context of a server owns.
pub(crate) struct Inner<S: GenServer> {
    pub(crate) mailbox: Mailbox<ServerItem<S>>,
    pub(crate) extras: Option<Box<Extras<S>>>,
}

/// State that few servers need.
pub(crate) struct Extras<S: GenServer> {
    pub(crate) idle: IdleTimeout,
    pub(crate) watch: Option<Box<Watch>>,
    /// What is handled before the mailbox. `None` if there is nothing.
    pub(super) continues: Option<Box<dyn Continues<S>>>,
    /// The queue of `continues`, while it is empty.
    pub(super) spare: Option<Box<dyn Continues<S>>>,
    /// Whether the item that is dispatched next is an event that a state machine has queued.
    pub(crate) is_own_event: bool,
    /// The timers of a state machine, each with the metadata that it was set with.
    pub(super) own_timers: HashMap<u64, Metadata, MapHasher>,
    pub(super) schedule: Option<Box<dyn Schedule<S::Cast>>>,
    /// The limit of the tasks that run at once.
    pub(super) tasks: Option<Arc<Semaphore>>,
    /// The items that the handlers have put aside.
    pub(super) stash: Option<Box<Stash<ServerItem<S>>>>,
    /// Where the call comes from that is handled, or was handled last, if the server keeps its queue.
    pub(crate) origin: Option<CallOrigin>,
    /// The error that the start returns, if `init` returns the reason that was made with this
    /// error.
    pub(super) refusal: Option<StartError>,
}

impl<S: GenServer> Extras<S> {
    #[inline]
    pub(crate) fn has_continues(&self) -> bool {
        self.continues.is_some()
    }

    /// Queues what is handled before the mailbox.
    pub(super) fn push_continued(&mut self, continued: Continued<S>) {
        let kept = self.continues.take().or_else(|| self.spare.take());
        let mut queue = kept.unwrap_or_else(|| Box::<VecDeque<Continued<S>>>::default());
        queue.push(continued);
        self.continues = Some(queue);
    }

    /// Keeps a queue as what is handled before the mailbox, or as spare if it is empty.
    pub(super) fn put_continues(&mut self, queue: Box<dyn Continues<S>>) {
        let place = if queue.is_empty() { &mut self.spare } else { &mut self.continues };
        *place = Some(queue);
    }
}

impl<S: GenServer> Inner<S> {
    /// Whether the server waits for nothing but an item of its mailbox, and notes no item.
    #[inline]
    pub(crate) fn is_plain(&self) -> bool {
        match &self.extras {
            None => true,
            Some(extras) => {
                extras.idle.is_off() && extras.watch.is_none() && !extras.has_continues()
            }
        }
    }

    pub(crate) fn is_watched(&self) -> bool {
        matches!(&self.extras, Some(extras) if extras.watch.is_some())
    }

    /// Takes the outcome of the wait after which the server yielded.
    pub(crate) fn take_found(&mut self) -> Option<WaitOutcome> {
        self.extras.as_mut()?.watch.as_mut()?.found.take()
    }

    pub(crate) fn next_continue(&mut self) -> Option<Continued<S>> {
        let extras = self.extras.as_mut()?;
        let mut queue = extras.continues.take()?;
        let next = queue.pop();
        extras.put_continues(queue);
        next
    }

    /// Whether the item that is dispatched is an event that a state machine has queued.
    pub(crate) fn take_is_own_event(&mut self) -> bool {
        self.extras.as_mut().is_some_and(|extras| std::mem::take(&mut extras.is_own_event))
    }

    pub(crate) fn interrupt_idle_timeout(&mut self) {
        if let Some(extras) = &mut self.extras {
            extras.idle.interrupt();
        }
    }

    pub(crate) fn extras(&mut self) -> &mut Extras<S> {
        self.extras.get_or_insert_with(|| {
            Box::new(Extras {
                idle: IdleTimeout::default(),
                watch: None,
                continues: None,
                spare: None,
                is_own_event: false,
                own_timers: HashMap::default(),
                schedule: None,
                tasks: None,
                stash: None,
                origin: None,
                refusal: None,
            })
        })
    }

    /// Frees the box, if nothing is in it.
    pub(crate) fn drop_unused_extras(&mut self) {
        let Some(extras) = &self.extras else { return };
        let Extras {
            idle,
            watch,
            continues,
            spare: _,
            is_own_event,
            own_timers,
            schedule,
            tasks,
            stash,
            origin,
            refusal,
        } = &**extras;
        let is_used = !idle.is_off()
            || watch.is_some()
            || continues.is_some()
            || *is_own_event
            || !own_timers.is_empty()
            || schedule.is_some()
            || tasks.is_some()
            || stash.is_some()
            || origin.is_some()
            || refusal.is_some();
        if !is_used {
            self.extras = None;
        }
    }
}
