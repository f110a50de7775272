//! Meters of handlers: the receivers of how long items have waited in a mailbox, and how long their
//! handlers ran.
//!
//! **Guarantees.** A server whose handlers are not tracked does nothing for meters: it neither reads
//! a clock nor a switch for them. A tracked server reads one number for each item; it makes a meter
//! when that number has changed.
//!
//! **Invariant.** No lock is held while a source or a meter runs: both may be code of a user.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::base::{PlainMutex, SharedStr};
use crate::observe::activity::Callback;

/// The meter of one server. The server owns it, and calls it between its handlers.
pub(crate) trait HandlerMeter: Send + Sync {
    /// An item has waited this long in the mailbox. Its handler begins.
    fn waited(&mut self, waited: Duration);

    /// A handler has ended after this time: it has returned, or it has failed.
    fn handled(&mut self, callback: Callback, elapsed: Duration);
}

/// Makes the meters of the servers of a runtime.
pub(crate) trait MeterSource: Send + Sync {
    /// Makes the meter of a server with this path, as in [`Counters`](crate::Counters). A server
    /// that is in no tree has no path.
    fn meter(&self, path: Option<SharedStr>) -> Box<dyn HandlerMeter>;
}

/// The sources of a runtime. The servers use the one that was added last.
#[derive(Default)]
pub(crate) struct MeterSources {
    /// The number of the source that is used; 0 if there is none.
    current: AtomicU64,
    sources: PlainMutex<Vec<(u64, Arc<dyn MeterSource>)>>,
}

impl MeterSources {
    /// Returns the number of the source that servers use; 0 if there is none.
    #[inline]
    pub(crate) fn current(&self) -> u64 {
        self.current.load(Ordering::Acquire)
    }

    /// Returns the source that servers use, and its number.
    pub(crate) fn last(&self) -> Option<(u64, Arc<dyn MeterSource>)> {
        self.sources.lock().last().cloned()
    }
}

#[cfg(feature = "metrics")]
impl MeterSources {
    /// Adds a source, which the servers use from their next items on. Returns its number.
    pub(crate) fn add(&self, source: Arc<dyn MeterSource>) -> u64 {
        // A number is not used again, since a server may still have a meter of a removed source.
        static ADDED: AtomicU64 = AtomicU64::new(0);
        let mut sources = self.sources.lock();
        let number = ADDED.fetch_add(1, Ordering::Relaxed) + 1;
        sources.push((number, source));
        self.current.store(number, Ordering::Release);
        number
    }

    /// Removes a source. The servers drop its meters at their next items.
    pub(crate) fn remove(&self, number: u64) {
        let mut sources = self.sources.lock();
        let found = sources.iter().position(|(other, _)| *other == number);
        let removed = found.map(|at| sources.remove(at));
        self.current.store(sources.last().map_or(0, |(last, _)| *last), Ordering::Release);
        drop(sources);
        drop(removed);
    }
}

impl fmt::Debug for MeterSources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MeterSources").field("current", &self.current()).finish_non_exhaustive()
    }
}
