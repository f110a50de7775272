//! What a supervisor's stops of its children came to, remembered while a program stops.
//!
//! Off but for the time in which [`run`](crate::run) stops its tree; off, a stop pays one
//! load for it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::doing::Doing;
use crate::exit::ExitReason;
use crate::pid::Pid;
use crate::shared_str::SharedStr;

/// How the stop of one child went.
#[derive(Debug, Clone)]
pub(crate) struct Stop {
    pub(crate) supervisor: Pid,
    pub(crate) child: SharedStr,
    pub(crate) pid: Pid,
    /// What it ended with.
    pub(crate) reason: ExitReason,
    pub(crate) took: Duration,
    /// Its time was up, and it was killed while it did this.
    pub(crate) overran: Option<Doing>,
    /// It was killed at once, as its spec says.
    pub(crate) brutally: bool,
}

#[derive(Debug, Default)]
pub(crate) struct Stops {
    on: AtomicBool,
    list: Mutex<Vec<Stop>>,
}

impl Stops {
    pub(crate) fn remember(&self) {
        self.on.store(true, Ordering::Release);
    }

    pub(crate) fn record(&self, make: impl FnOnce() -> Stop) {
        if self.on.load(Ordering::Acquire) {
            let stop = make();
            self.list.lock().unwrap_or_else(PoisonError::into_inner).push(stop);
        }
    }

    /// All of them, in the order in which the stops ended; remembers no more.
    pub(crate) fn take(&self) -> Vec<Stop> {
        self.on.store(false, Ordering::Release);
        std::mem::take(&mut *self.list.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
