//! The switches that turn on the observation of a runtime's processes. All are off at first.
//!
//! **What they guarantee**: a server pays nothing for tracking and for reports of slow handlers
//! while they are off, and both reach every live server when they are turned on. Spans cost one
//! load for each poll of a process while they are off.
//!
//! A server has a bit for them in its [flags](crate::process::flag), which it reads in any case.
//! The bit means "read the switches".
//!
//! **Invariants**
//! 1. The code that turns a switch on first sets the switch, then raises the bit on all live
//!    processes.
//! 2. A server that starts is in the process table before it reads the switches. So either the code
//!    of invariant 1 finds the server in the table, or the server finds the switch on.
//! 3. A server lowers its bit first, and then reads the switches once more: if one is on, the
//!    server raises the bit again. So no bit is lost that was raised in between.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

/// The value of `warn_after` while slow handlers are not reported.
const NO_LIMIT: u64 = u64::MAX;

/// The switches of a runtime.
#[derive(Debug)]
pub(crate) struct Switches {
    track: AtomicBool,
    /// In nanoseconds, or [`NO_LIMIT`].
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
    /// Whether handlers are tracked.
    pub(crate) fn tracks_handlers(&self) -> bool {
        self.track.load(Ordering::Relaxed)
    }

    pub(crate) fn set_tracks_handlers(&self, on: bool) {
        self.track.store(on, Ordering::Relaxed);
    }

    /// A handler that runs longer than this is reported; `None` if none is.
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

    /// Whether handlers are tracked, or slow handlers are reported.
    pub(crate) fn observes_handlers(&self) -> bool {
        self.tracks_handlers() || self.slow_handler_limit().is_some()
    }

    /// Whether each process gets a span.
    pub(crate) fn gives_spans(&self) -> bool {
        self.spans.load(Ordering::Relaxed)
    }

    pub(crate) fn set_gives_spans(&self, on: bool) {
        self.spans.store(on, Ordering::Relaxed);
    }
}
