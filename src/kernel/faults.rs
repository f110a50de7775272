//! The faults that a chaos run injects into the processes of its runtime: processes that are not
//! polled for a while, first polls that come late or fail, and messages that are lost.
//!
//! Only the runtime of a chaos run has [`Faults`]. In any other runtime the hooks read one empty
//! cell: at the spawn and the end of a process, and at the send to a counted mailbox.
//!
//! **Guarantee.** A fault delays or replaces the work of a body, or keeps a user's message back. It
//! changes no signal, no link and no name: a process that hangs can be killed, and its end is torn
//! down as usual.
//!
//! **Invariants**
//! 1. The lock is held for a few reads and stores. No user code runs under it: a lost message is
//!    only moved, and the observer is called after unlock.
//! 2. A lost message is kept until its receiver ends, and is dropped with the body of the receiver.
//!    So its caller is neither answered nor refused while the receiver lives, and gets the exit
//!    reason when the receiver ends.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::base::pid::Pid;
use crate::base::shared_str::SharedStr;
use crate::base::sync::PlainMutex;
use crate::process::AnyProcess;
use crate::time::timer_queue::after;

/// A message that was lost, until its receiver ends.
pub(crate) type LostMessage = Box<dyn Send>;

/// Called after each poll of a body, and after the end of a process.
type Observer = Arc<dyn Fn() + Send + Sync>;

/// The fault of a start of a child.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StartFault {
    /// The process is first polled after this time.
    Late(Duration),
    /// The process ends at its first poll with an error, before its body runs.
    Fails,
}

/// The faults of one runtime.
#[derive(Default)]
pub(crate) struct Faults {
    pending: PlainMutex<Pending>,
    observer: PlainMutex<Option<Observer>>,
}

/// The faults that have not taken effect yet, or whose effect lasts.
#[derive(Default)]
struct Pending {
    /// The time until which a process is not polled.
    hangs: BTreeMap<Pid, Instant>,
    /// The processes that lose messages.
    losses: BTreeMap<Pid, Losses>,
    /// The faults of the next starts of a child, by its supervisor and its id, the next one last.
    starts: BTreeMap<(Pid, SharedStr), Vec<StartFault>>,
}

#[derive(Default)]
struct Losses {
    /// The number of messages that are still to be lost.
    left: usize,
    /// Invariant 2.
    lost: Vec<LostMessage>,
}

impl Faults {
    /// Stops the polls of this process until then.
    pub(crate) fn hang(&self, pid: Pid, until: Instant) {
        let mut pending = self.pending.lock();
        let hang = pending.hangs.entry(pid).or_insert(until);
        *hang = until.max(*hang);
    }

    /// The time until which this process is not polled; `None` if it may be polled.
    pub(crate) fn hang_of(&self, pid: Pid, now: Instant) -> Option<Instant> {
        let mut pending = self.pending.lock();
        let until = *pending.hangs.get(&pid)?;
        if until <= now {
            pending.hangs.remove(&pid);
            return None;
        }
        Some(until)
    }

    /// Loses the next `count` messages that users send to this process.
    pub(crate) fn lose(&self, pid: Pid, count: usize) {
        let mut pending = self.pending.lock();
        let losses = pending.losses.entry(pid).or_default();
        losses.left = losses.left.saturating_add(count);
    }

    /// Returns a message that is being sent, unless it is to be lost.
    pub(crate) fn unless_lost<M: Send + 'static>(&self, to: Pid, message: M) -> Option<M> {
        let mut pending = self.pending.lock();
        match pending.losses.get_mut(&to) {
            Some(losses) if losses.left > 0 => {
                losses.left -= 1;
                losses.lost.push(Box::new(message));
                None
            }
            _ => {
                drop(pending);
                Some(message)
            }
        }
    }

    /// Adds a fault for the next start of this child that has none yet.
    pub(crate) fn add_start_fault(&self, supervisor: Pid, child: SharedStr, fault: StartFault) {
        let mut pending = self.pending.lock();
        pending.starts.entry((supervisor, child)).or_default().insert(0, fault);
    }

    /// Takes the fault of the start of this process, if it has one.
    pub(crate) fn take_start_fault(&self, process: &dyn AnyProcess) -> Option<StartFault> {
        let parent = process.parent()?;
        let label =
            process.with(|locked| locked.core().relations().and_then(|own| own.label.clone()))?;
        let mut pending = self.pending.lock();
        let key = (parent.pid, label);
        let faults = pending.starts.get_mut(&key)?;
        let fault = faults.pop();
        if faults.is_empty() {
            pending.starts.remove(&key);
        }
        if let Some(StartFault::Late(by)) = fault {
            let until = after(Instant::now(), by);
            pending.hangs.insert(process.pid(), until);
        }
        fault
    }

    /// Forgets the faults of a process that ends. Returns the messages that it has lost.
    pub(crate) fn forget(&self, pid: Pid) -> Vec<LostMessage> {
        let mut pending = self.pending.lock();
        pending.hangs.remove(&pid);
        pending.losses.remove(&pid).map(|losses| losses.lost).unwrap_or_default()
    }

    /// Calls `observer` after each poll of a body and each end of a process from now on; `None` calls nothing.
    pub(crate) fn observe(&self, observer: Option<Observer>) {
        let before = std::mem::replace(&mut *self.observer.lock(), observer);
        drop(before);
    }

    /// Calls the observer. Called after each poll of a body, and after the end of each process.
    pub(crate) fn step(&self) {
        let observer = self.observer.lock().clone();
        if let Some(observer) = observer {
            observer();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::Instant;

    use super::Faults;
    use crate::base::pid::Pid;

    #[test]
    fn a_hang_during_a_longer_one_does_not_shorten_it() {
        let (faults, pid, now) = (Faults::default(), Pid::from_raw(1), Instant::now());
        let later = now + Duration::from_secs(2);
        faults.hang(pid, later);
        faults.hang(pid, now + Duration::from_secs(1));
        assert_eq!(faults.hang_of(pid, now), Some(later));
        assert_eq!(faults.hang_of(pid, later), None);
    }
}
