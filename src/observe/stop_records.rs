//! Records the stops of children while a program stops.
//!
//! Recording is on only while [`run`](crate::run) stops its tree. While it is off, a stop costs one
//! load.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use crate::base::{Pid, PlainMutex, SharedStr};
use crate::exit::ExitReason;
use crate::observe::Doing;

/// The facts about the stop of one child.
#[derive(Debug, Clone)]
pub(crate) struct StopRecord {
    pub(crate) supervisor: Pid,
    pub(crate) child: SharedStr,
    pub(crate) pid: Pid,
    /// The reason with which the child ended.
    pub(crate) reason: ExitReason,
    pub(crate) took: Duration,
    /// The activity of the child when it was killed because it overran its time; `None` if the
    /// child did not overrun its time.
    pub(crate) overran: Option<Doing>,
    /// Whether the child was killed at once, because its specification says so.
    pub(crate) killed_at_once: bool,
}

/// The records of one recording, in the order in which the stops ended.
pub(crate) type StopRecordList = Arc<PlainMutex<Vec<StopRecord>>>;

/// The recordings of a runtime.
#[derive(Debug, Default)]
pub(crate) struct StopRecords {
    on: AtomicBool,
    /// The lists of all recordings. Dropping a list ends its recording.
    lists: PlainMutex<Vec<Weak<PlainMutex<Vec<StopRecord>>>>>,
}

impl StopRecords {
    /// Records all stops from now on, until the returned list is dropped.
    pub(crate) fn start_recording(&self) -> StopRecordList {
        let list = StopRecordList::default();
        let mut lists = self.lists.lock();
        lists.push(Arc::downgrade(&list));
        self.on.store(true, Ordering::Release);
        list
    }

    /// Adds a record to all lists. `make` does not run while recording is off.
    pub(crate) fn record(&self, make: impl FnOnce() -> StopRecord) {
        if !self.on.load(Ordering::Acquire) {
            return;
        }
        let stop = make();
        let mut lists = self.lists.lock();
        lists.retain(|list| match list.upgrade() {
            Some(list) => {
                list.lock().push(stop.clone());
                true
            }
            None => false,
        });
        self.on.store(!lists.is_empty(), Ordering::Release);
    }
}
