//! What the processes of a runtime are watched for: switches, all off at first.
//!
//! A server finds out by a bit of its own, [`flag::CHECK_SWITCHES`](crate::process::flag::CHECK_SWITCHES),
//! which it reads anyway: so what is off costs nothing. The bit says "look at the switches",
//! and whoever turns one on raises it on all that live; a server that is born meanwhile looks
//! at the switches itself, once it is in the table.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

const NEVER: u64 = u64::MAX;

#[derive(Debug)]
pub(crate) struct Watching {
    track: AtomicBool,
    /// In nanoseconds.
    warn_after: AtomicU64,
    spans: AtomicBool,
}

impl Default for Watching {
    fn default() -> Self {
        let (track, spans) = Default::default();
        Watching { track, warn_after: AtomicU64::new(NEVER), spans }
    }
}

impl Watching {
    /// Handlers are tracked.
    pub(crate) fn tracks(&self) -> bool {
        self.track.load(Ordering::Relaxed)
    }

    pub(crate) fn track(&self, on: bool) {
        self.track.store(on, Ordering::Relaxed);
    }

    /// A handler that runs longer than this is told of.
    pub(crate) fn warns_after(&self) -> Option<Duration> {
        match self.warn_after.load(Ordering::Relaxed) {
            NEVER => None,
            nanos => Some(Duration::from_nanos(nanos)),
        }
    }

    pub(crate) fn warn_after(&self, limit: Option<Duration>) {
        let nanos = limit.and_then(|limit| u64::try_from(limit.as_nanos()).ok());
        self.warn_after.store(nanos.unwrap_or(NEVER), Ordering::Relaxed);
    }

    /// Handlers are watched, for one thing or the other.
    pub(crate) fn handlers(&self) -> bool {
        self.tracks() || self.warns_after().is_some()
    }

    /// Each process has a span.
    pub(crate) fn spans(&self) -> bool {
        self.spans.load(Ordering::Relaxed)
    }

    pub(crate) fn give_spans(&self, on: bool) {
        self.spans.store(on, Ordering::Relaxed);
    }
}
