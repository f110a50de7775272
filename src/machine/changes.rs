//! What is noted of a machine's changes of state: for observers, and for tests.

use std::collections::BTreeSet;
use std::sync::Arc;

use tokio::time::Instant;

use crate::base::PlainMutex;
use crate::machine::Transition;
use crate::observe::{StateChange, StateRecord};

/// The number of changes for which the clock is read once, if the machine does not wait between them.
const AT_ONE_TIME: u32 = 32;

/// The transitions that a test has seen.
pub(crate) type Seen = Arc<PlainMutex<BTreeSet<Transition>>>;

#[derive(Default)]
pub(super) struct Changes {
    record: Option<Arc<StateRecord>>,
    /// The time of the last change since the last wait, and how many changes may still have it.
    time: Option<(Instant, u32)>,
    /// The name of the first state.
    initial: &'static str,
    seen: Option<Seen>,
}

impl Changes {
    /// Begins with the first state.
    pub(super) fn begin(&mut self, record: Arc<StateRecord>, initial: &'static str) {
        (self.record, self.initial) = (Some(record), initial);
    }

    pub(super) fn set_postponed(&self, count: usize) {
        if let Some(record) = &self.record {
            record.set_postponed(count);
        }
    }

    /// Notes that the machine has entered a state.
    pub(super) fn note(&mut self, from: &'static str, to: &'static str, event: &'static str) {
        let at = self.time();
        if let Some(record) = &self.record {
            record.change(StateChange { from, to, event, at });
        }
        self.see(|| Transition::new(from, event, to));
    }

    /// Returns the time of a change. To read a clock costs more than all other work on a change.
    #[inline]
    fn time(&mut self) -> Instant {
        let (at, left) = match self.time {
            Some((at, left)) if left > 0 => (at, left - 1),
            _ => (Instant::now(), AT_ONE_TIME - 1),
        };
        self.time = Some((at, left));
        at
    }

    /// Notes that the machine waits, or has waited.
    #[inline]
    pub(super) fn forget_time(&mut self) {
        self.time = None;
    }

    /// Notes a transition, if a test watches.
    #[inline]
    pub(super) fn see(&self, transition: impl FnOnce() -> Transition) {
        if let Some(seen) = &self.seen {
            // `transition` runs code of the user, so it is called without the lock.
            let transition = transition();
            seen.lock().insert(transition);
        }
    }

    /// Lets a test watch the transitions.
    pub(super) fn watch(&mut self, seen: Seen) {
        seen.lock().insert(Transition::initial(self.initial));
        self.seen = Some(seen);
    }
}
