//! A process whose message type doesn't matter.

use std::any::Any;
use std::num::NonZeroU64;
use std::sync::Arc;
use std::task::Waker;

use tokio::time::Instant;

use crate::message::{Envelope, Received};
use crate::pid::Pid;
use crate::process::Core;
use crate::sync::atomic::{AtomicU8, Ordering};

/// What the kernel needs of a process: to lock it, and to put signals in its inbox.
pub(crate) trait AnyProcess: Send + Sync {
    fn pid(&self) -> Pid;

    /// The [`flag`] bits.
    fn flags(&self) -> &AtomicU8;

    /// Runs `act` under the process' lock, and returns a foreign reader to be woken.
    fn locked(&self, act: &mut dyn FnMut(&mut dyn Locked)) -> Option<Waker>;

    /// Hands the process a user's message or stream. False if it takes none; one that
    /// found no room is counted.
    fn deliver(&self, received: Received) -> bool;

    /// Queues the expiry of one of a server's own timers.
    fn tick(&self, timer: u64);

    /// For a [`ServerRef`](crate::ServerRef) of a pid or name: the process itself.
    fn into_any(self: Arc<Self>) -> Arc<dyn Any + Send + Sync>;
}

/// A locked process.
pub(crate) trait Locked {
    fn core(&mut self) -> &mut Core;

    /// Queues a signal and wakes the reader. No bound holds it up.
    fn push(&mut self, envelope: Envelope);

    /// Turns the tracking of its handlers on or off, if it has any.
    fn track(&mut self, on: bool);

    /// When the first in the inbox was queued, where that is tracked.
    fn oldest_queued(&self) -> Option<Instant>;

    /// Takes everything queued out, to be dropped after unlock.
    fn take_queue(&mut self) -> Option<Box<dyn Any + Send>>;
}

impl dyn Locked + '_ {
    /// Queues an exit; that of a link carries its number, and can be taken back by it.
    pub(crate) fn push_exit(&mut self, link: u64, from: Pid, envelope: &mut Option<Envelope>) {
        let Some(envelope) = envelope.take() else { return };
        if link != 0 {
            self.core().ties_mut().exits.push((link, from));
        }
        self.push(Envelope { ticket: NonZeroU64::new(link), ..envelope });
    }
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
    pub(crate) fn with<R>(&self, act: impl FnOnce(&mut dyn Locked) -> R) -> R {
        let (outcome, waker) = self.with_deferred(act);
        if let Some(waker) = waker {
            waker.wake();
        }
        outcome
    }

    /// The same, when the caller still holds a map's entry: it wakes later.
    pub(crate) fn with_deferred<R>(
        &self,
        act: impl FnOnce(&mut dyn Locked) -> R,
    ) -> (R, Option<Waker>) {
        let mut act = Some(act);
        let mut outcome = None;
        let waker = self.locked(&mut |locked| {
            if let Some(act) = act.take() {
                outcome = Some(act(locked));
            }
        });
        (outcome.expect("`locked` runs its closure exactly once"), waker)
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
