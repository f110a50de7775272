//! The switches that turn on the observation of a runtime's processes. Initially all are off.
//!
//! **Guarantee.** While the tracking of handlers and the reports of slow handlers are off, they
//! cost a server nothing. When one of them is turned on, it takes effect for every live server.
//! While spans are off, they cost one load for each poll of a process.
//!
//! The [flags](crate::process::flag) of a server have one bit for these switches,
//! [`CHECK_SWITCHES`](crate::process::flag::CHECK_SWITCHES). The server reads its flags in any
//! case; if the bit is set, it reads the switches.
//!
//! **Invariants**
//! 1. The code that turns on a switch first sets the switch, and then raises the bit of all live
//!    processes.
//! 2. A server that starts is in the process table before it reads the switches. So either the code
//!    of invariant 1 finds the server in the table, or the server finds the switch on.
//! 3. A server first lowers its bit, and then reads the switches once more. If one of them is on,
//!    the server raises the bit again. So a bit that was raised in between is not lost.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

/// The switches of a runtime.
#[derive(Debug, Default)]
pub(crate) struct Switches {
    track: AtomicBool,
    /// The limit in nanoseconds; 0 while slow handlers are not reported.
    warn_after: AtomicU64,
    spans: AtomicBool,
}

impl Switches {
    /// Whether handlers are tracked.
    pub(crate) fn tracks_handlers(&self) -> bool {
        self.track.load(Ordering::Relaxed)
    }

    pub(crate) fn set_tracks_handlers(&self, on: bool) {
        self.track.store(on, Ordering::Relaxed);
    }

    /// The time after which a running handler is reported as slow; `None` if slow handlers are not
    /// reported.
    pub(crate) fn slow_handler_limit(&self) -> Option<Duration> {
        match self.warn_after.load(Ordering::Relaxed) {
            0 => None,
            nanos => Some(Duration::from_nanos(nanos)),
        }
    }

    pub(crate) fn set_slow_handler_limit(&self, limit: Option<Duration>) {
        let nanos = limit.and_then(|limit| u64::try_from(limit.as_nanos().max(1)).ok());
        self.warn_after.store(nanos.unwrap_or(0), Ordering::Relaxed);
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
