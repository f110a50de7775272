//! The changes of all trees of a runtime, in order, for observations.
//!
//! **Guarantees.** While there is no observation, a change costs one load and is not made. Changes
//! are numbered in the order in which they are added. An observation that is at most [`KEPT`]
//! changes behind receives each; one that is further behind learns how many it has missed. No
//! process waits for an observation.
//!
//! **How a picture and the changes fit together.** A supervisor changes its published state and adds
//! the change to this log under one lock, that of its cell. An observation first attaches, and then
//! reads each cell and the number of the last change under the lock of that cell. So:
//!
//! | the change is made … | the reader … |
//! |---|---|
//! | before the cell is read, by a maker that found no observation | finds it in the cell; it has no number |
//! | before the cell is read, with a number | finds it in the cell, and leaves out the change, whose number is not greater than the number that was read |
//! | after the cell is read | does not find it in the cell, and receives the change: the lock of the cell orders the attachment before the load of the maker |
//!
//! **Invariants**
//! 1. Lock order: a cell, then the record of a process, then this log. Under the lock of the log no
//!    other lock is taken.
//! 2. No waker is woken and no change is dropped under a lock: [`Pushed`] does both after the
//!    caller has released its locks. A change holds reasons, whose `Drop` may be code of a user.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use crate::base::failpoint::point;
use crate::base::{NodePath, Pid, PlainMutex, SharedStr, TimeOfDay, ignore_panic};
use crate::observe::change::{Change, ChangeKind, Origin};

/// The number of changes that an observation may be behind.
pub(crate) const KEPT: usize = 1024;

/// The log of changes.
#[derive(Debug, Default)]
pub(crate) struct ChangeLog {
    observations: AtomicUsize,
    log: PlainMutex<Log>,
    /// The number of the last change, set under the lock of the log.
    last: AtomicU64,
    added: Arc<Notify>,
    is_closed: AtomicBool,
}

#[derive(Debug, Default)]
struct Log {
    /// The last changes, while there is an observation.
    kept: VecDeque<Arc<Change>>,
    /// The live topmost supervisors.
    roots: BTreeMap<Pid, Root>,
}

/// A topmost supervisor.
#[derive(Debug, Clone)]
pub(crate) struct Root {
    pub(crate) path: Arc<NodePath>,
    /// Whether its children have started.
    pub(crate) has_started: bool,
    /// When its start began.
    pub(crate) since: Instant,
}

/// A change that was added. Drop it after all locks are released: the drop wakes the observations.
#[must_use = "drop it after unlock"]
#[derive(Debug)]
pub(crate) struct Pushed {
    forgotten: Option<Arc<Change>>,
    added: Arc<Notify>,
}

impl Drop for Pushed {
    fn drop(&mut self) {
        let forgotten = self.forgotten.take();
        ignore_panic(|| self.added.notify_waiters());
        ignore_panic(|| drop(forgotten));
    }
}

/// The path, process and supervisor of a change.
#[derive(Debug)]
pub(crate) struct Subject {
    /// The topmost supervisor of the tree.
    pub(crate) root: Pid,
    pub(crate) path: SharedStr,
    pub(crate) pid: Option<Pid>,
    pub(crate) supervisor: Option<Pid>,
    pub(crate) origin: Origin,
}

/// The next change for a reader.
#[derive(Debug)]
pub(crate) enum NextChange {
    Change(Arc<Change>),
    /// This number of changes is no longer kept.
    Missed(u64),
    /// There is none yet.
    None,
    Closed,
}

impl ChangeLog {
    /// Whether there is an observation.
    #[inline]
    pub(crate) fn is_observed(&self) -> bool {
        self.observations.load(Ordering::Acquire) > 0
    }

    pub(crate) fn attach(&self) {
        self.observations.fetch_add(1, Ordering::AcqRel);
    }

    /// Ends an observation. The last one takes the kept changes with it.
    pub(crate) fn detach(&self) {
        let forgotten = {
            let mut log = self.log.lock();
            match self.observations.fetch_sub(1, Ordering::AcqRel) {
                1 => std::mem::take(&mut log.kept),
                _ => VecDeque::new(),
            }
        };
        ignore_panic(|| drop(forgotten));
    }

    /// Adds a change, if there is an observation. `make` does not run otherwise.
    #[inline]
    pub(crate) fn push(&self, make: impl FnOnce() -> (Subject, ChangeKind)) -> Option<Pushed> {
        if !self.is_observed() {
            return None;
        }
        let (subject, kind) = make();
        point!("before a change is added");
        let mut log = self.log.lock();
        // The last observation may have ended meanwhile. It has taken the kept changes with it.
        if self.is_observed() {
            return Some(self.push_now(&mut log, subject, kind));
        }
        drop(log);
        None
    }

    fn push_now(&self, log: &mut Log, subject: Subject, kind: ChangeKind) -> Pushed {
        let Subject { root, path, pid, supervisor, origin } = subject;
        let (seq, time) = (self.last() + 1, TimeOfDay::now());
        self.last.store(seq, Ordering::Release);
        let change = Change { seq, time, path, pid, supervisor, kind, root, origin };
        log.kept.push_back(Arc::new(change));
        let forgotten = if log.kept.len() > KEPT { log.kept.pop_front() } else { None };
        Pushed { forgotten, added: self.added.clone() }
    }

    /// Returns the number of the last change. A reader that holds the lock of a maker gets a number
    /// that is not less than that of the maker's last change, and less than that of its next one.
    pub(crate) fn last(&self) -> u64 {
        self.last.load(Ordering::Acquire)
    }

    /// Returns the first change after this number.
    pub(crate) fn after(&self, seen: u64) -> NextChange {
        let log = self.log.lock();
        let last = self.last();
        if last <= seen {
            let is_closed = self.is_closed.load(Ordering::Acquire);
            return if is_closed { NextChange::Closed } else { NextChange::None };
        }
        let missing = last - seen;
        match log.kept.len().checked_sub(usize::try_from(missing).unwrap_or(usize::MAX)) {
            Some(at) => match log.kept.get(at) {
                Some(change) => NextChange::Change(change.clone()),
                None => NextChange::Missed(missing),
            },
            None => NextChange::Missed(missing),
        }
    }

    /// Notifies the observations of added changes and of the end of the runtime.
    pub(crate) fn added(&self) -> Arc<Notify> {
        self.added.clone()
    }

    /// Notes that the runtime is gone.
    pub(crate) fn close(&self) {
        self.is_closed.store(true, Ordering::Release);
        ignore_panic(|| self.added.notify_waiters());
    }

    /// Notes that a topmost supervisor begins to start.
    pub(crate) fn root_begins(&self, pid: Pid, path: &Arc<NodePath>) -> Option<Pushed> {
        let mut log = self.log.lock();
        log.roots
            .insert(pid, Root { path: path.clone(), has_started: false, since: Instant::now() });
        let kind = ChangeKind::Added { is_supervisor: true };
        self.is_observed().then(|| self.push_now(&mut log, root(pid, path), kind))
    }

    /// Notes that the children of a topmost supervisor have started.
    pub(crate) fn root_started(&self, pid: Pid, kind: ChangeKind) -> Option<Pushed> {
        let mut log = self.log.lock();
        let started = log.roots.get_mut(&pid)?;
        started.has_started = true;
        let path = started.path.clone();
        self.is_observed().then(|| self.push_now(&mut log, root(pid, &path), kind))
    }

    /// Notes the end of a process, which may be a topmost supervisor. The list of roots changes in
    /// the same step.
    pub(crate) fn root_ended(
        &self,
        pid: Pid,
        kind: impl FnOnce(Duration) -> ChangeKind,
    ) -> Option<Pushed> {
        let mut log = self.log.lock();
        let Root { path, since, .. } = log.roots.remove(&pid)?;
        let kind = || kind(since.elapsed());
        self.is_observed().then(|| self.push_now(&mut log, root(pid, &path), kind()))
    }

    /// Returns the topmost supervisors, and the number of the last change.
    pub(crate) fn roots(&self) -> (Vec<(Pid, Root)>, u64) {
        let log = self.log.lock();
        (log.roots.iter().map(|(pid, root)| (*pid, root.clone())).collect(), self.last())
    }
}

fn root(pid: Pid, path: &NodePath) -> Subject {
    Subject {
        root: pid,
        path: path.text(),
        pid: Some(pid),
        supervisor: None,
        origin: Origin::Roots,
    }
}

#[cfg(test)]
mod tests {
    use super::{ChangeLog, NextChange, Subject};
    use crate::base::pid::Pid;
    use crate::observe::change::{ChangeKind, Origin};

    fn removed() -> (Subject, ChangeKind) {
        let (root, path) = (Pid::from_raw(1), "app/job".into());
        let subject = Subject { root, path, pid: None, supervisor: None, origin: Origin::Roots };
        (subject, ChangeKind::Removed)
    }

    /// The last observation ends after the maker of a change has seen that there is one.
    #[test]
    fn a_change_that_is_made_while_the_last_observation_ends_is_not_kept() {
        let log = ChangeLog::default();
        log.attach();
        let pushed = log.push(|| {
            log.detach();
            removed()
        });
        assert!(pushed.is_none());
        assert_eq!((log.last(), log.log.lock().kept.len()), (0, 0));
        // Another observation has attached meanwhile: it receives the change.
        log.attach();
        let pushed = log.push(|| {
            log.attach();
            log.detach();
            removed()
        });
        assert!(pushed.is_some());
        assert!(matches!(log.after(0), NextChange::Change(change) if change.path == "app/job"));
        drop(pushed);
        log.detach();
        assert_eq!(log.log.lock().kept.len(), 0);
        assert!(log.push(|| panic!("no observation")).is_none());
    }
}
