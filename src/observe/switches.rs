//! The switches that turn on the observation of a runtime's processes. Initially all are off.
//!
//! **Guarantee.** While the tracking of handlers and the reports of slow handlers are off, they
//! cost a server nothing. When one of them is turned on, it takes effect for every live server.
//! While spans, the watch of polls and the measurement of memory are off, and no test captures the log,
//! they cost one load each
//! for a poll of a process.
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

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tracing::{Dispatch, dispatcher};

use crate::base::PlainMutex;
use crate::observe::handler_meter::MeterSources;
use crate::observe::poll_watch::PollWatch;

/// The switches of a runtime.
#[derive(Debug, Default)]
pub(crate) struct Switches {
    track: AtomicBool,
    /// The number of observations that track handlers.
    trackers: AtomicUsize,
    /// The limit in nanoseconds; 0 while slow handlers are not reported.
    warn_after: AtomicU64,
    /// The receivers of the times of tracked handlers.
    pub(crate) meters: MeterSources,
    /// What surrounds each poll of a process: [`SPAN`], [`CAPTURE`], [`WATCH`] and [`MEMORY`].
    around_polls: AtomicU8,
    pub(crate) polls: Arc<PollWatch>,
    /// The function that says what the thread has allocated, while memory is measured.
    memory_probe: OnceLock<fn() -> i64>,
    /// The subscriber of the test that captures the log.
    capture: PlainMutex<Option<Dispatch>>,
}

const SPAN: u8 = 1;
const CAPTURE: u8 = 2;
const WATCH: u8 = 4;
const MEMORY: u8 = 8;

impl Switches {
    /// Whether handlers are tracked.
    pub(crate) fn tracks_handlers(&self) -> bool {
        self.track.load(Ordering::Relaxed) || self.trackers.load(Ordering::Relaxed) > 0
    }

    /// Tracks handlers until as many calls of [`remove_tracker`](Self::remove_tracker).
    pub(crate) fn add_tracker(&self) {
        self.trackers.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn remove_tracker(&self) {
        self.trackers.fetch_sub(1, Ordering::Relaxed);
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

    /// Whether servers note which callback they run: handlers are tracked, slow handlers are
    /// reported, or polls are watched.
    pub(crate) fn observes_handlers(&self) -> bool {
        self.tracks_handlers() || self.slow_handler_limit().is_some() || self.watches_polls()
    }

    /// Whether each process gets a span.
    pub(crate) fn gives_spans(&self) -> bool {
        self.around_polls.load(Ordering::Relaxed) & SPAN != 0
    }

    /// Whether the code of a process runs in a span, or with the subscriber of a test.
    #[inline]
    pub(crate) fn surrounds_polls(&self) -> bool {
        self.around_polls.load(Ordering::Relaxed) & (SPAN | CAPTURE) != 0
    }

    /// Whether anything surrounds or watches polls.
    #[inline]
    pub(crate) fn observes_polls(&self) -> bool {
        self.around_polls.load(Ordering::Relaxed) != 0
    }

    /// Whether polls that take long are reported.
    #[inline]
    pub(crate) fn watches_polls(&self) -> bool {
        self.around_polls.load(Ordering::Relaxed) & WATCH != 0
    }

    /// The function that says what the thread has allocated, if memory is measured.
    pub(crate) fn memory_probe(&self) -> Option<fn() -> i64> {
        match self.around_polls.load(Ordering::Relaxed) & MEMORY {
            0 => None,
            _ => self.memory_probe.get().copied(),
        }
    }

    /// Measures memory from now on. Returns false if another function does it already.
    pub(crate) fn set_memory_probe(&self, probe: fn() -> i64) -> bool {
        let is_set = self.memory_probe.set(probe).is_ok();
        self.surround_polls(MEMORY, true);
        is_set
    }

    pub(crate) fn set_watches_polls(&self, on: bool) {
        self.surround_polls(WATCH, on);
    }

    pub(crate) fn set_gives_spans(&self, on: bool) {
        self.surround_polls(SPAN, on);
    }

    fn surround_polls(&self, with: u8, on: bool) {
        if on {
            self.around_polls.fetch_or(with, Ordering::Release);
        } else {
            self.around_polls.fetch_and(!with, Ordering::Release);
        }
    }

    /// Passes the lines of the runtime to this subscriber. Returns false if they are passed to
    /// another one already.
    pub(crate) fn capture(&self, subscriber: Dispatch) -> bool {
        let mut capture = self.capture.lock();
        if capture.is_some() {
            return false;
        }
        *capture = Some(subscriber);
        self.surround_polls(CAPTURE, true);
        true
    }

    /// Ends the capture. The caller drops the subscriber outside of the lock.
    #[must_use]
    pub(crate) fn end_capture(&self) -> Option<Dispatch> {
        self.surround_polls(CAPTURE, false);
        self.capture.lock().take()
    }

    /// Runs code of this runtime that writes lines. A test that captures the log receives them.
    #[inline]
    pub(crate) fn captured<R>(&self, run: impl FnOnce() -> R) -> R {
        if self.around_polls.load(Ordering::Relaxed) & CAPTURE == 0 {
            return run();
        }
        let subscriber = self.capture.lock().clone();
        match subscriber {
            Some(subscriber) => dispatcher::with_default(&subscriber, run),
            None => run(),
        }
    }
}
