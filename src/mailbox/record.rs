//! The record of one process: its flags, the state that its lock guards, and the functions that
//! send an item to it.

use std::any::Any;
use std::sync::Arc;

use crate::base::pid::Pid;
use crate::base::sync::Mutex;
use crate::base::sync::atomic::{AtomicU8, Ordering};
use crate::base::user_panics::wake;
use crate::exit::ExitReason;
use crate::kernel::Kernel;
use crate::mailbox::inbox::{Item, Mail};
use crate::message::received::{Envelope, Message, Received};
use crate::process::any::Refused;
use crate::process::{
    AnyProcess, Core, Counts, Entry, Head, IfFull, Intake, Locked, NotQueued, ReaderWait,
    Relations, Stage, State, SystemRequest, flag,
};

/// The record of one process whose mailbox holds items of type `M`.
pub(crate) struct Process<M> {
    pub(crate) head: Head,
    pub(crate) kernel: Arc<Kernel>,
    pub(crate) state: Mutex<State<Mail<M>>>,
}

impl<M: Item> Process<M> {
    pub(crate) fn new(kernel: Arc<Kernel>, relations: Option<Box<Relations>>) -> Arc<Self> {
        let mut state = State::new(relations);
        let flags = if state.core.counts().is_some() { flag::COUNTED } else { 0 };
        let keeps_queue = state.core.registrations().is_some_and(|own| own.keeps_queue);
        Arc::new(Process {
            head: Head::new(kernel.fresh_pid(), flags, keeps_queue),
            kernel,
            state: Mutex::new(state),
        })
    }

    pub(crate) fn pid(&self) -> Pid {
        self.head.pid
    }

    pub(crate) fn flags(&self) -> &AtomicU8 {
        &self.head.flags
    }

    pub(crate) fn is_exit_pending(&self) -> bool {
        self.head.flags.load(Ordering::Acquire) & flag::EXIT_PENDING != 0
    }

    /// Whether the mailbox is counted: see [`Counts`].
    pub(crate) fn is_counted(&self) -> bool {
        self.head.flags.load(Ordering::Relaxed) & flag::COUNTED != 0
    }

    /// Calls `read` with the counts of the mailbox, under the lock. Returns `None` if the mailbox
    /// is not counted.
    pub(crate) fn with_counts<R>(&self, read: impl FnOnce(&Counts) -> R) -> Option<R> {
        if !self.is_counted() {
            return None;
        }
        self.state.lock().core.counts().map(|counts| read(counts))
    }

    /// Queues an item, or gives it back. An item that a full mailbox refuses is counted as
    /// dropped.
    pub(crate) fn send(&self, item: M) -> Result<(), (M, Refused)> {
        self.send_with(item, IfFull::Lose).map(|_| ())
    }

    /// Sends the item that `wrap` makes of `value`, as [`send_with`](Self::send_with) does. If the
    /// mailbox is not counted, the item is built in its slot of the inbox, because moving a
    /// finished item there costs more than the lock.
    #[inline]
    pub(crate) fn send_wrapped<T>(
        &self,
        value: T,
        wrap: impl FnOnce(T) -> M,
        if_full: IfFull,
    ) -> Result<Sent, (M, Refused)> {
        self.send_marked(value, wrap, |item| item, if_full)
    }

    /// Does the same as [`send_wrapped`](Self::send_wrapped). If the process keeps its queue, sends
    /// what `mark` makes of the item.
    #[inline]
    pub(crate) fn send_marked<T>(
        &self,
        value: T,
        wrap: impl FnOnce(T) -> M,
        mark: impl FnOnce(M) -> M,
        if_full: IfFull,
    ) -> Result<Sent, (M, Refused)> {
        if self.kernel.carrying.is_on() {
            let item = wrap(value);
            let item = if self.head.keeps_queue { mark(item) } else { item };
            return self.send_carrying(item, if_full);
        }
        self.send_plain(value, wrap, mark, if_full)
    }

    /// Sends an item without metadata.
    #[inline]
    pub(super) fn send_plain<T>(
        &self,
        value: T,
        wrap: impl FnOnce(T) -> M,
        mark: impl FnOnce(M) -> M,
        if_full: IfFull,
    ) -> Result<Sent, (M, Refused)> {
        crate::base::failpoint::point!("before push");
        if self.is_counted() {
            let item = wrap(value);
            let item = if self.head.keeps_queue { mark(item) } else { item };
            return self.send_counted(item, if_full);
        }
        let mut state = self.state.lock();
        if !state.core.accepts_all() {
            drop(state);
            return self.send_to_ending(wrap(value));
        }
        let tracked = state.core.tracked;
        state.mail.push_wrapped(value, wrap, tracked);
        state.core.notify();
        if state.core.reader_wait == ReaderWait::WakeDue {
            let waker = state.core.take_due_waker();
            drop(state);
            wake(waker);
        }
        Ok(Sent::Accepted)
    }

    #[inline]
    fn deliver_wrapped<T>(&self, value: T, wrap: impl FnOnce(T) -> M) -> bool {
        match self.send_wrapped(value, wrap, IfFull::Lose) {
            Ok(_) => true,
            Err((item, refused)) => {
                self.kernel.report_dead_letter(self.head.pid, item.description(), refused.into());
                false
            }
        }
    }

    /// Queues a request to stop, and refuses casts, messages and streams from then on. Returns false
    /// if the process is ending.
    pub(crate) fn send_stop(&self, request: M, reason: &ExitReason) -> bool {
        let mut state = self.state.lock();
        if state.core.stage != Stage::Live {
            drop(state);
            return false;
        }
        state.queue(request);
        let refused = self.kernel.close_intake(self, &mut *state, Intake::Closed, reason);
        let waker = state.core.take_due_waker();
        drop(state);
        wake(waker.into_iter().chain(refused));
        true
    }

    #[inline(never)]
    fn send_counted(&self, item: M, if_full: IfFull) -> Result<Sent, (M, Refused)> {
        #[cfg(feature = "chaos")]
        let Some(item) = self.unless_lost(item) else { return Ok(Sent::Accepted) };
        let mut state = self.state.lock();
        if let Some(refused) = refusal(&state.core, &item) {
            drop(state);
            return Err((item, refused));
        }
        let entry = state.decide_entry(&item, if_full);
        let (mut sent, mut evicted) = (Sent::Accepted, None);
        match entry {
            Entry::Queue => state.queue(item),
            Entry::Evict => {
                evicted = state.evict_oldest();
                state.queue(item);
            }
            Entry::Drop => evicted = Some(item),
            Entry::SendQueue => {
                let number = self.kernel.fresh_id();
                state.mail.send_queue.push(number, item);
                sent = Sent::InSendQueue(number);
            }
            Entry::Lose | Entry::GiveBack => {
                drop(state);
                if entry == Entry::Lose {
                    self.kernel.count_refused();
                }
                return Err((item, Refused::Full));
            }
        }
        let waker = state.core.take_due_waker();
        drop(state);
        wake(waker);
        if let Some(evicted) = evicted {
            self.drop_for_bound(evicted, entry);
        }
        Ok(sent)
    }
}

/// Returns why an item is refused because the process ends, or is a server that stops.
pub(super) fn refusal<M: Item>(core: &Core, item: &M) -> Option<Refused> {
    if core.stage != Stage::Live {
        return Some(Refused::Dead);
    }
    (core.is_stopping() && item.is_refused_by_stop()).then_some(Refused::Stopping)
}

/// The result of a send that was not refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sent {
    /// The item is in the mailbox, or was dropped by the policy of the full mailbox.
    Accepted,
    /// The item is in the send queue, under this number.
    InSendQueue(u64),
}

impl<M: Item> AnyProcess for Process<M> {
    fn head(&self) -> &Head {
        &self.head
    }

    fn state(&self) -> &Mutex<Locked> {
        &self.state
    }

    fn deliver(&self, received: Received) -> bool {
        self.deliver_wrapped(received, |received| M::from_envelope(Envelope::plain(received)))
    }

    fn deliver_message(&self, message: Message) -> bool {
        let wrap = |message| M::from_envelope(Envelope::plain(Received::Message(message)));
        self.deliver_wrapped(message, wrap)
    }

    fn tick(&self, timer: u64) {
        if let Some(item) = M::from_tick(timer) {
            // If the process is ending, the tick is dropped.
            drop(self.send(item));
        }
    }

    fn request_system(&self, request: SystemRequest) -> Result<(), NotQueued> {
        let item = M::from_system_request(request).ok_or(NotQueued::NotAServer)?;
        self.send(item).map(drop).map_err(|_| NotQueued::Ended)
    }

    fn into_any(self: Arc<Self>) -> Arc<dyn Any + Send + Sync> {
        self
    }
}

impl<M> std::fmt::Debug for Process<M> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Process({})", self.head.pid)
    }
}
