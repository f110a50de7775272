//! What really happened, counted by the program itself where it happens.
//!
//! Each number is counted by the process that causes it, before it causes it, and by no code of the
//! library. A process that is killed never ends by itself, and one that fails is never killed, so
//! that each end has one cause.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use regrow::{Pid, StartCause};

/// A number that only grows.
#[derive(Default)]
pub(crate) struct Count(AtomicU64);

impl Count {
    pub(crate) fn add(&self, more: u64) {
        self.0.fetch_add(more, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

#[derive(Default)]
pub(crate) struct Truth {
    /// Processes that failed by a panic or an error, and processes that were killed.
    pub(crate) panics: Count,
    pub(crate) errors: Count,
    pub(crate) kills: Count,
    /// Supervisors that gave up.
    pub(crate) give_ups: Count,
    /// Starts of workers, and those of them that followed a failure or a kill.
    pub(crate) starts: Count,
    pub(crate) restarts: Count,
    /// Sessions that were started.
    pub(crate) sessions: Count,
    /// Casts that were accepted, that a full mailbox refused, and that a handler began to handle.
    pub(crate) accepted: Count,
    pub(crate) refused: Count,
    pub(crate) handled: Count,
    /// Calls by their results.
    pub(crate) answered: Count,
    pub(crate) timed_out: Count,
    pub(crate) failed: Count,
    /// The processes that may be killed.
    pub(crate) victims: Mutex<BTreeSet<Pid>>,
}

impl Truth {
    /// Counts the start of a worker.
    pub(crate) fn started(&self, cause: &StartCause) {
        self.starts.add(1);
        // The siblings that a supervisor restarts with a failed child were stopped.
        if let StartCause::Restart { previous, .. } = cause
            && !previous.is_clean()
        {
            self.restarts.add(1);
        }
    }

    /// Takes the victim at this position, counted from the first.
    pub(crate) fn victim(&self, at: usize) -> Option<Pid> {
        let mut victims = self.victims.lock().expect("no holder panics");
        let pid = *victims.iter().nth(at % victims.len().max(1))?;
        victims.remove(&pid);
        Some(pid)
    }
}
