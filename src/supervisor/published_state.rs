//! What a supervisor publishes of itself, to be read without asking it.
//!
//! A supervisor serves nobody while it starts or stops a child. So it keeps a picture of itself
//! in a cell, which others read at any moment, and changes it with each change of its children.
//!
//! **Invariants**
//! 1. A picture is of one moment: one lock guards all of it, and one change of a child is one
//!    locked section. A supervisor that has noted the end of a process does not show it as
//!    running.
//! 2. The lock is held for the change of one child, or for the time it takes to copy the
//!    picture; never across an await, and nothing of a user's is dropped or run under it.
//! 3. The cell is found through the record of the supervisor's process, and goes with that.
//! 4. At most [`MAX_QUEUED_REQUESTS`] questions for a picture lie in a supervisor's mailbox, however long
//!    it is busy and however many ask meanwhile.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use crate::base::catch::with_caught_wakers;
use crate::base::pid::Pid;
use crate::base::shared_str::SharedStr;
use crate::child::{ChildType, Spec};
use crate::process::AnyProcess;
use crate::restart::budget::RestartBudget;
use crate::supervisor::history::{History, Incarnation};

/// How many questions for a picture may lie in a mailbox.
const MAX_QUEUED_REQUESTS: usize = 8;

/// The right to have one question for a picture in a supervisor's mailbox. It lies there with
/// the question, and is given back when that is handled or dropped.
pub(crate) type PublishPermit = OwnedSemaphorePermit;

/// The cell.
#[derive(Debug)]
pub(crate) struct PublishedCell {
    state: Mutex<PublishedState>,
    /// How many children a dynamic supervisor has.
    count: AtomicUsize,
    permits: Arc<Semaphore>,
}

/// A supervisor and its children at one moment.
#[derive(Debug, Clone)]
pub(crate) struct PublishedState {
    /// As OTP spells it; empty before it is known.
    pub(crate) strategy: &'static str,
    /// When it began to start its children.
    pub(crate) since: Instant,
    budget: Option<RestartBudget>,
    /// When the budget was as it is told here.
    budget_at: Instant,
    /// In start order. Of a dynamic supervisor the first hundred at most, as of the last time
    /// that it was asked, or began to stop.
    pub(crate) children: BTreeMap<u64, PublishedChild>,
    /// Children of a dynamic supervisor are started and stopped without a change here.
    pub(crate) is_partial: bool,
    pub(crate) step: Step,
    /// Since when it has been stopping, with all its children.
    pub(crate) ending: Option<Instant>,
}

/// What a supervisor is doing. Children are told by their keys in [`PublishedState::children`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// It handles messages, or waits for one.
    Serving,
    /// Its own init runs, before it starts its first child.
    RunningInit { since: Instant },
    /// It starts this child, for the how many-th time.
    Starting { key: u64, start: u32, since: Instant },
    /// It stops this child.
    Stopping { key: u64, since: Instant },
}

/// One child.
#[derive(Debug, Clone)]
pub(crate) struct PublishedChild {
    pub(crate) id: SharedStr,
    pub(crate) kind: ChildType,
    pub(crate) state: PublishedChildState,
    pub(crate) restarts: u32,
    /// When its latest start began.
    pub(crate) started: Instant,
    pub(crate) history: History,
}

/// What a start of a child is counted as.
#[derive(Debug, Clone, Copy)]
pub(crate) struct StartCounts {
    /// The how many-th it is.
    pub(crate) start: u32,
    /// How many of them, until now, its supervisor has decided on.
    pub(crate) restarts: u32,
}

/// What one child is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PublishedChildState {
    Running(Pid),
    Restarting { due: Option<Instant> },
    Stopped,
}

impl PublishedCell {
    pub(crate) fn new(strategy: &'static str, step: Step) -> Arc<Self> {
        let now = Instant::now();
        let state = PublishedState {
            strategy,
            since: now,
            budget: None,
            budget_at: now,
            children: BTreeMap::new(),
            is_partial: false,
            step,
            ending: None,
        };
        Arc::new(PublishedCell {
            state: Mutex::new(state),
            count: AtomicUsize::new(0),
            permits: Arc::new(Semaphore::new(MAX_QUEUED_REQUESTS)),
        })
    }

    /// From here on it is found by the supervisor's process.
    pub(crate) fn attach(self: &Arc<Self>, supervisor: &dyn AnyProcess) {
        let cell = self.clone();
        supervisor.with(|locked| locked.core().publish(cell));
    }

    /// What this process publishes, if it is a supervisor that has begun.
    pub(crate) fn of(process: &dyn AnyProcess) -> Option<Arc<Self>> {
        let cell = process.with(|locked| locked.core().published());
        cell?.downcast().ok()
    }

    pub(crate) fn change<R>(&self, change: impl FnOnce(&mut PublishedState) -> R) -> R {
        change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn read(&self) -> PublishedState {
        self.change(|state| state.clone())
    }

    /// Of a dynamic supervisor, after each event.
    pub(crate) fn set_count(&self, children: usize) {
        self.count.store(children, Ordering::Relaxed);
    }

    pub(crate) fn count(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }

    /// Waits until there is room for one more question. `None` does not come.
    pub(crate) async fn permit(&self) -> Option<PublishPermit> {
        // The supervisor gives the turn back, and wakes the next that waits.
        with_caught_wakers(self.permits.clone().acquire_owned()).await.ok()
    }

    /// How many questions lie in its mailbox.
    pub(crate) fn queued_requests(&self) -> usize {
        MAX_QUEUED_REQUESTS.saturating_sub(self.permits.available_permits())
    }
}

/// What becomes of a child of a supervisor that shows all of them.
impl PublishedCell {
    /// It is added after the others, not running.
    pub(crate) fn add(&self, key: u64, spec: &Spec) {
        let child = PublishedChild {
            id: spec.id.clone(),
            kind: spec.kind,
            state: PublishedChildState::Stopped,
            restarts: 0,
            started: Instant::now(),
            history: History::default(),
        };
        drop(self.change(|state| state.children.insert(key, child)));
    }

    /// Its start begins.
    pub(crate) fn begin_start(&self, key: u64, counts: StartCounts, since: Instant) {
        let StartCounts { start, restarts } = counts;
        self.change(|state| {
            state.step = Step::Starting { key, start, since };
            if let Some(child) = state.children.get_mut(&key) {
                (child.restarts, child.started) = (restarts, since);
            }
        });
    }

    /// Its stop began then.
    pub(crate) fn begin_stop(&self, key: u64, since: Instant) {
        self.change(|state| state.step = Step::Stopping { key, since });
    }

    pub(crate) fn set(&self, key: u64, state: PublishedChildState) {
        self.change(|published| {
            published.end_step(key);
            if let Some(child) = published.children.get_mut(&key) {
                child.state = state;
            }
        });
    }

    /// Its incarnation is over, and goes into its history.
    pub(crate) fn record_end(&self, key: u64, incarnation: Incarnation) {
        let oldest = self.change(|state| {
            state.end_step(key);
            let Some(child) = state.children.get_mut(&key) else { return vec![incarnation] };
            child.state = PublishedChildState::Stopped;
            child.history.push(incarnation)
        });
        drop(oldest);
    }

    /// The incarnations of a child that are over.
    pub(crate) fn history(&self, key: u64) -> History {
        let history = |state: &mut PublishedState| Some(state.children.get(&key)?.history.clone());
        self.change(history).unwrap_or_default()
    }

    /// It is forgotten.
    pub(crate) fn remove(&self, key: u64) {
        drop(self.change(|state| {
            state.end_step(key);
            state.children.remove(&key)
        }));
    }
}

impl PublishedState {
    /// The restarts that are left, as of the last restart; from a period after that on, all.
    pub(crate) fn budget(&self) -> Option<RestartBudget> {
        let mut budget = self.budget?;
        if self.budget_at.elapsed() >= budget.period {
            budget.left = budget.restarts;
        }
        Some(budget)
    }

    /// What is left of the budget at this moment: it grows by itself as time passes.
    pub(crate) fn set_budget(&mut self, budget: Option<RestartBudget>, now: Instant) {
        self.budget = budget;
        self.budget_at = now;
    }

    /// A start or a stop of this child is over.
    pub(crate) fn end_step(&mut self, child: u64) {
        match self.step {
            Step::Starting { key, .. } | Step::Stopping { key, .. } if key == child => {
                self.step = Step::Serving;
            }
            _ => {}
        }
    }
}
