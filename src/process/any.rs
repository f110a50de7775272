//! A process whose message type doesn't matter.

use std::any::Any;
use std::sync::Arc;
use std::task::Waker;

use crate::base::catch::wake;
use crate::base::pid::Pid;
use crate::base::sync::Mutex;
use crate::base::sync::atomic::{AtomicU8, Ordering};
use crate::message::received::Received;
use crate::process::Locked;

/// What the kernel needs of a process: to lock it, and to put signals in its inbox.
pub(crate) trait AnyProcess: Send + Sync {
    fn pid(&self) -> Pid;

    /// The [`flag`] bits.
    fn flags(&self) -> &AtomicU8;

    /// All of it that changes, behind its lock.
    fn state(&self) -> &Mutex<Locked>;

    /// Whether a wait that was [announced](crate::process::ReaderWait::Announced) has started: the
    /// handler has returned.
    fn announced_wait_has_started(&self) -> bool;

    /// Hands the process a user's message or stream. False if it takes none; one that
    /// found no room is counted.
    fn deliver(&self, received: Received) -> bool;

    /// Queues the expiry of one of a server's own timers.
    fn tick(&self, timer: u64);

    /// For a [`ServerRef`](crate::ServerRef) of a pid or name: the process itself.
    fn into_any(self: Arc<Self>) -> Arc<dyn Any + Send + Sync>;
}

/// Why a message was not queued.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refused {
    /// The process is ending or has ended.
    Dead,
    /// Its mailbox is full.
    Full,
}

impl dyn AnyProcess + '_ {
    /// Runs `act` under the lock; a foreign reader is woken after it.
    #[inline]
    pub(crate) fn with<R>(&self, act: impl FnOnce(&mut Locked) -> R) -> R {
        let (outcome, waker) = self.with_deferred(act);
        wake(waker);
        outcome
    }

    /// The same, when the caller still holds a map's entry: it wakes later.
    #[inline]
    pub(crate) fn with_deferred<R>(
        &self,
        act: impl FnOnce(&mut Locked) -> R,
    ) -> (R, Option<Waker>) {
        let mut locked = self.state().lock();
        let outcome = act(&mut locked);
        (outcome, locked.core.take_due_waker())
    }

    pub(crate) fn raise(&self, bits: u8) {
        self.flags().fetch_or(bits, Ordering::Release);
    }
}

impl std::fmt::Debug for dyn AnyProcess {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Process({})", self.pid())
    }
}
