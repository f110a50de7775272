//! What a supervisor's stops of its children came to, remembered while a program stops.
//!
//! Off but for the time in which [`run`](crate::run) stops its tree; off, a stop pays one
//! load for it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use crate::base::pid::Pid;
use crate::base::shared_str::SharedStr;
use crate::exit::reason::ExitReason;
use crate::observe::doing::Doing;

/// How the stop of one child went.
#[derive(Debug, Clone)]
pub(crate) struct StopRecord {
    pub(crate) supervisor: Pid,
    pub(crate) child: SharedStr,
    pub(crate) pid: Pid,
    /// What it ended with.
    pub(crate) reason: ExitReason,
    pub(crate) took: Duration,
    /// Its time was up, and it was killed while it did this.
    pub(crate) overran: Option<Doing>,
    /// It was killed at once, as its spec says.
    pub(crate) killed_at_once: bool,
}

/// What one who asked has been told, in the order in which the stops ended.
pub(crate) type StopRecordList = Arc<Mutex<Vec<StopRecord>>>;

#[derive(Debug, Default)]
pub(crate) struct StopRecords {
    on: AtomicBool,
    /// Of all who remember them; who has forgotten is told no more.
    lists: Mutex<Vec<Weak<Mutex<Vec<StopRecord>>>>>,
}

impl StopRecords {
    /// Of all stops from here on, as long as that is kept.
    pub(crate) fn start_recording(&self) -> StopRecordList {
        let list = StopRecordList::default();
        let mut lists = lock(&self.lists);
        lists.push(Arc::downgrade(&list));
        self.on.store(true, Ordering::Release);
        list
    }

    pub(crate) fn record(&self, make: impl FnOnce() -> StopRecord) {
        if !self.on.load(Ordering::Acquire) {
            return;
        }
        let stop = make();
        let mut lists = lock(&self.lists);
        lists.retain(|list| match list.upgrade() {
            Some(list) => {
                lock(&list).push(stop.clone());
                true
            }
            None => false,
        });
        self.on.store(!lists.is_empty(), Ordering::Release);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
