//! What the processes of a runtime are watched for: switches, all off at first.
//!
//! A server finds out by a bit of its own, [`flag::OBSERVED`](crate::process::flag::OBSERVED),
//! which it reads anyway: so what is off costs nothing. The bit says "look at the switches",
//! and whoever turns one on raises it on all that live; a server that is born meanwhile looks
//! at the switches itself, once it is in the table.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

const NO_LIMIT: u64 = u64::MAX;

#[derive(Debug)]
pub(crate) struct Switches {
    track: AtomicBool,
    /// In nanoseconds.
    warn_after: AtomicU64,
    spans: AtomicBool,
}

impl Default for Switches {
    fn default() -> Self {
        let (track, spans) = Default::default();
        Switches { track, warn_after: AtomicU64::new(NO_LIMIT), spans }
    }
}

impl Switches {
    /// Handlers are tracked.
    pub(crate) fn tracks_handlers(&self) -> bool {
        self.track.load(Ordering::Relaxed)
    }

    pub(crate) fn set_tracks_handlers(&self, on: bool) {
        self.track.store(on, Ordering::Relaxed);
    }

    /// A handler that runs longer than this is told of.
    pub(crate) fn slow_handler_limit(&self) -> Option<Duration> {
        match self.warn_after.load(Ordering::Relaxed) {
            NO_LIMIT => None,
            nanos => Some(Duration::from_nanos(nanos)),
        }
    }

    pub(crate) fn set_slow_handler_limit(&self, limit: Option<Duration>) {
        let nanos = limit.and_then(|limit| u64::try_from(limit.as_nanos()).ok());
        self.warn_after.store(nanos.unwrap_or(NO_LIMIT), Ordering::Relaxed);
    }

    /// Handlers are watched, for one thing or the other.
    pub(crate) fn observes_handlers(&self) -> bool {
        self.tracks_handlers() || self.slow_handler_limit().is_some()
    }

    /// Each process has a span.
    pub(crate) fn gives_spans(&self) -> bool {
        self.spans.load(Ordering::Relaxed)
    }

    pub(crate) fn set_gives_spans(&self, on: bool) {
        self.spans.store(on, Ordering::Relaxed);
    }
}
