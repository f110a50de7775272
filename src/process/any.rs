//! A process of any message type, as the kernel sees it.

use std::any::Any;
use std::sync::Arc;
use std::task::Waker;

use crate::base::pid::Pid;
use crate::base::sync::Mutex;
use crate::base::sync::atomic::{AtomicU8, Ordering};
use crate::base::user_panics::wake;
use crate::message::received::{Message, Received};
use crate::process::{Core, Head, Locked, NotQueued, Parent, ReaderWait, Stage, SystemRequest};

/// A process of any message type: its head, its lock, and its inbox.
pub(crate) trait AnyProcess: Send + Sync {
    /// The part that is read without the lock.
    fn head(&self) -> &Head;

    /// The state that the lock guards.
    fn state(&self) -> &Mutex<Locked>;

    /// Queues a user's message or stream. Returns false if it was refused. An item that is refused
    /// because the mailbox is full is counted as dropped.
    fn deliver(&self, received: Received) -> bool;

    /// Queues a message of bytes, as [`deliver`](Self::deliver) does. Its words are written into the
    /// inbox one by one.
    fn deliver_message(&self, message: Message) -> bool;

    /// Queues the expiry of a server's own timer.
    fn tick(&self, timer: u64);

    /// Queues a request that every server answers, if the process is a server.
    fn request_system(&self, request: SystemRequest) -> Result<(), NotQueued>;

    /// Returns the process for a downcast to its concrete type. A [`ServerRef`](crate::ServerRef)
    /// that is made from a pid or a name needs this.
    fn into_any(self: Arc<Self>) -> Arc<dyn Any + Send + Sync>;
}

/// Why a message was not queued.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refused {
    /// The process is ending or has ended.
    Dead,
    /// The mailbox is full.
    Full,
    /// The server has been asked to stop, and accepts no more casts, messages and streams.
    Stopping,
}

impl dyn AnyProcess + '_ {
    pub(crate) fn pid(&self) -> Pid {
        self.head().pid
    }

    /// The bits of [`flag`](crate::process::flag).
    pub(crate) fn flags(&self) -> &AtomicU8 {
        &self.head().flags
    }

    /// Whether a wait that was [announced](crate::process::ReaderWait::Announced) has started,
    /// because the handler has returned.
    pub(crate) fn announced_wait_has_started(&self) -> bool {
        self.head().announced_wait.has_started()
    }

    /// Whether the process waits for an item.
    pub(crate) fn is_receiving(&self, core: &Core) -> bool {
        match core.reader_wait {
            ReaderWait::NotWaiting | ReaderWait::WakeDue => false,
            ReaderWait::Announced => self.announced_wait_has_started(),
            ReaderWait::Task | ReaderWait::Foreign => true,
        }
    }

    /// Returns the number of items that the process handles or has in its mailbox. Those in the mailbox
    /// are counted only if the mailbox is. Returns `usize::MAX` for a process that is ending.
    pub(crate) fn load(&self) -> usize {
        self.with(|locked| {
            let core = locked.core();
            if !core.is_open() {
                return usize::MAX;
            }
            let counts =
                core.registrations().and_then(|registrations| registrations.counts.as_ref());
            let queued = counts.map_or(0, |counts| counts.depth);
            queued + usize::from(!self.is_receiving(core))
        })
    }

    /// Runs `act` under the lock. After unlock, wakes a foreign reader that is due.
    #[inline]
    pub(crate) fn with<R>(&self, act: impl FnOnce(&mut Locked) -> R) -> R {
        let (outcome, waker) = self.with_deferred(act);
        wake(waker);
        outcome
    }

    /// Runs `act` as `with` does, but returns the waker of a foreign reader that is due. A caller
    /// that holds the lock of a table entry uses this function, and wakes that waker after it has
    /// released the entry.
    #[inline]
    pub(crate) fn with_deferred<R>(
        &self,
        act: impl FnOnce(&mut Locked) -> R,
    ) -> (R, Option<Waker>) {
        let mut locked = self.state().lock();
        let outcome = act(&mut locked);
        (outcome, locked.core.take_due_waker())
    }

    /// The supervisor of the process, or the process that started it with `start_link`.
    pub(crate) fn parent(&self) -> Option<Parent> {
        self.with(|locked| locked.core().relations()?.parent)
    }

    /// Moves the process to a later stage and raises the flag bits of that stage.
    pub(crate) fn advance(&self, core: &mut Core, stage: Stage) {
        debug_assert!(core.stage < stage, "a stage only grows");
        let before = std::mem::replace(&mut core.stage, stage);
        if before.flags() != stage.flags() {
            self.raise(stage.flags());
        }
    }

    /// Sets these flag bits. `advance` sets the bits of a stage.
    pub(crate) fn raise(&self, bits: u8) {
        self.flags().fetch_or(bits, Ordering::Release);
    }
}

impl std::fmt::Debug for dyn AnyProcess {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Process({})", self.pid())
    }
}
