//! The record of one process: its lock, its inbox, and what sends to it.

use std::any::Any;
use std::collections::VecDeque;
use std::sync::Arc;
use std::task::Waker;

use crate::kernel::Kernel;
use crate::message::{Envelope, Received};
use crate::pid::Pid;
use crate::process::any::Refused;
use crate::process::{AnyProcess, Core, Locked, Stage, Ties, flag};
use crate::sync::Mutex;
use crate::sync::atomic::{AtomicU8, Ordering};

/// What a process' mailbox holds. Raw processes hold envelopes; a server holds its own
/// closed enum, so that its messages move by value.
pub(crate) trait Item: Send + 'static {
    fn from_envelope(envelope: Envelope) -> Self;

    /// The envelope inside, if it is one.
    fn envelope(&self) -> Option<&Envelope>;

    /// Whether a bound on the mailbox counts it.
    fn is_user(&self) -> bool;

    /// The expiry of a timer of the process' own, where it has such.
    fn from_tick(timer: u64) -> Option<Self>
    where
        Self: Sized;
}

impl Item for Envelope {
    fn from_envelope(envelope: Envelope) -> Self {
        envelope
    }

    fn envelope(&self) -> Option<&Envelope> {
        Some(self)
    }

    fn is_user(&self) -> bool {
        self.received.is_user()
    }

    fn from_tick(_: u64) -> Option<Self> {
        None
    }
}

/// One process.
pub(crate) struct Process<M> {
    pid: Pid,
    flags: AtomicU8,
    pub(crate) kernel: Arc<Kernel>,
    pub(crate) state: Mutex<State<M>>,
}

/// What the lock guards.
pub(crate) struct State<M> {
    pub(crate) core: Core,
    pub(crate) inbox: VecDeque<M>,
}

impl<M: Item> Process<M> {
    pub(crate) fn new(kernel: Arc<Kernel>, ties: Option<Box<Ties>>) -> Arc<Self> {
        Arc::new(Process {
            pid: kernel.fresh_pid(),
            flags: AtomicU8::new(0),
            kernel,
            state: Mutex::new(State { core: Core::new(ties), inbox: VecDeque::new() }),
        })
    }

    pub(crate) fn is_condemned(&self) -> bool {
        self.flags.load(Ordering::Acquire) & flag::CONDEMNED != 0
    }

    /// Queues an item of the process' own kind, or gives it back.
    pub(crate) fn send(&self, item: M) -> Result<(), (M, Refused)> {
        crate::failpoint::point!("before push");
        let mut state = self.state.lock();
        if state.core.stage != Stage::Live {
            drop(state);
            return Err((item, Refused::Dead));
        }
        if state.core.ties.is_some()
            && let Err(refused) = state.core.count_user(&item)
        {
            drop(state);
            return Err((item, refused));
        }
        push(&mut state.inbox, item);
        state.core.notify();
        if state.core.ring {
            let waker = state.core.take_rung();
            drop(state);
            wake(waker);
        }
        Ok(())
    }
}

/// The first item gets a buffer of its own size: most processes that are told of an end
/// hold no more at any time.
fn push<M>(inbox: &mut VecDeque<M>, item: M) {
    if inbox.capacity() == 0 {
        inbox.reserve_exact(1);
    }
    inbox.push_back(item);
}

fn wake(waker: Option<Waker>) {
    if let Some(waker) = waker {
        waker.wake();
    }
}

impl Core {
    /// Takes the item into the counts, if there are any.
    fn count_user<M: Item>(&mut self, item: &M) -> Result<(), Refused> {
        let Some(counts) = self.counts() else {
            return Ok(());
        };
        if item.is_user() {
            if counts.users >= counts.capacity {
                return Err(Refused::Full);
            }
            counts.users += 1;
        }
        counts.depth += 1;
        Ok(())
    }
}

impl<M: Item> Locked for State<M> {
    fn core(&mut self) -> &mut Core {
        &mut self.core
    }

    fn push(&mut self, envelope: Envelope) {
        if let Some(counts) = self.core.counts() {
            counts.depth += 1;
        }
        push(&mut self.inbox, M::from_envelope(envelope));
        self.core.notify();
    }

    fn take_queue(&mut self) -> Option<Box<dyn Any + Send>> {
        let queue = std::mem::take(&mut self.inbox);
        if queue.is_empty() { None } else { Some(Box::new(queue)) }
    }
}

impl<M: Item> AnyProcess for Process<M> {
    fn pid(&self) -> Pid {
        self.pid
    }

    fn flags(&self) -> &AtomicU8 {
        &self.flags
    }

    fn locked(&self, act: &mut dyn FnMut(&mut dyn Locked)) -> Option<Waker> {
        let mut state = self.state.lock();
        act(&mut *state);
        state.core.take_rung()
    }

    fn deliver(&self, received: Received) -> Result<(), Refused> {
        let item = M::from_envelope(Envelope::plain(received));
        self.send(item).map_err(|(item, refused)| {
            drop(item);
            refused
        })
    }

    fn tick(&self, timer: u64) {
        if let Some(item) = M::from_tick(timer) {
            // A process that is ending has no use for it.
            drop(self.send(item));
        }
    }

    fn into_any(self: Arc<Self>) -> Arc<dyn Any + Send + Sync> {
        self
    }
}

impl<M> std::fmt::Debug for Process<M> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Process({})", self.pid)
    }
}
