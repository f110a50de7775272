//! The published state of a supervisor: its children and its current step, for readers that send
//! the supervisor no request.
//!
//! A fixed supervisor handles no request while it starts or stops a child, and a dynamic supervisor
//! handles none while it stops all its children. So each keeps a copy of its state in a cell that
//! can be read at any time. A fixed supervisor updates the cell with each change of its children. A
//! dynamic supervisor updates the list of children only on request and while it stops.
//!
//! **Guarantee.** A read does not wait for the supervisor, and returns a state that the supervisor
//! really had.
//!
//! **Invariants**
//! 1. A read sees one moment: one lock guards the whole [`PublishedState`], and one change of a
//!    child is one locked section. A supervisor that has recorded the end of a process does not
//!    publish that process as running.
//! 2. The lock is held for one change or one copy of the state, never across an await. Under the
//!    lock, no value of a user is dropped and no code of a user runs.
//! 3. A reader finds the cell through the record of the supervisor's process. The cell is dropped
//!    with that record.
//! 4. The mailbox of a supervisor has at most [`MAX_QUEUED_REQUESTS`] `Publish` and `Fold`
//!    requests, for any number of readers and any length of a busy time.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use crate::base::{Pid, PositionMap, SharedStr, with_caught_wakers};
use crate::child::{ChildType, Readiness};
use crate::process::AnyProcess;
use crate::restart::RestartBudget;
use crate::runtime::Runtime;
use crate::supervisor::change_source::ChangeSource;
use crate::supervisor::ended_children::{EndedChild, EndedChildren};
use crate::supervisor::{ChildInfo, ChildState, History, Partitions};

/// How many `Publish` and `Fold` requests a supervisor's mailbox may hold (invariant 4).
const MAX_QUEUED_REQUESTS: usize = 8;

/// The permission to have one `Publish` or `Fold` request in a supervisor's mailbox. The permission is part
/// of the request, and is returned when the request is handled or dropped.
pub(crate) type PublishPermit = OwnedSemaphorePermit;

/// The cell that holds the published state.
#[derive(Debug)]
pub(crate) struct PublishedCell {
    state: Mutex<PublishedState>,
    /// The number of children of a dynamic supervisor.
    count: AtomicUsize,
    /// The supervisor that publishes the state. Set when the cell is attached.
    source: OnceLock<ChangeSource>,
    /// The partitions, if the children are partitions.
    partitions: OnceLock<Arc<Partitions>>,
    permits: Arc<Semaphore>,
}

/// The state of a supervisor and its children at one moment.
#[derive(Debug, Clone)]
pub(crate) struct PublishedState {
    /// The name of the strategy in OTP, or `dynamic`; empty before the strategy is known.
    pub(crate) strategy: &'static str,
    /// The time at which the supervisor began to start its children.
    pub(crate) since: Instant,
    budget: Option<RestartBudget>,
    /// The time at which `budget` was computed.
    budget_at: Instant,
    /// The children by their positions or, under a dynamic supervisor, by the numbers of their
    /// pids. A dynamic supervisor publishes at most a hundred children: the first ones as of the
    /// last request or, while it stops, those that it waits for.
    pub(crate) children: PositionMap<PublishedChild>,
    /// The last children that ended for good and were forgotten.
    pub(crate) ended: EndedChildren<PublishedChild>,
    /// Whether children start and stop without a change of this state, as under a dynamic
    /// supervisor.
    pub(crate) is_partial: bool,
    /// The share of the children that must be ready, and the number that is ready. Only a dynamic
    /// supervisor may have one.
    pub(crate) ready_share: Option<ReadyShare>,
    pub(crate) step: Step,
    /// The time at which the supervisor began to stop itself and all its children; `None` before
    /// that.
    pub(crate) ending: Option<Instant>,
}

/// Copies of the children of [`PublishedState::children`], by ascending keys.
pub(crate) type ListedChildren = Vec<(u64, PublishedChild)>;

/// The share of the children of a dynamic supervisor that has to be ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ReadyShare {
    pub(crate) percent: u8,
    pub(crate) children: usize,
    pub(crate) ready: usize,
}

impl ReadyShare {
    /// Whether enough children are ready. This is the case if there are no children.
    pub(crate) fn is_reached(self) -> bool {
        self.ready as u128 * 100 >= self.children as u128 * u128::from(self.percent)
    }
}

/// The step that a supervisor carries out. A `key` is a key of [`PublishedState::children`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// The supervisor handles messages, waits for one, or ends.
    Serving,
    /// The supervisor's own init runs, before the first child is started.
    RunningInit { since: Instant },
    /// The supervisor starts this child. `start` is the number of the start, from 1.
    Starting { key: u64, start: u32, since: Instant },
    /// The supervisor stops this child.
    Stopping { key: u64, since: Instant },
}

/// The published state of one child.
#[derive(Debug, Clone)]
pub(crate) struct PublishedChild {
    pub(crate) id: SharedStr,
    pub(crate) kind: ChildType,
    pub(crate) readiness: Readiness,
    pub(crate) state: PublishedChildState,
    /// The process of a running child, so that a reader needs no look-up; only under a supervisor of
    /// a declared list. Dropped without the lock, because it may be the last reference.
    pub(crate) process: Option<Arc<dyn AnyProcess>>,
    /// Whether no start has begun since the child was reported as stopped or as added.
    pub(crate) is_stop_reported: bool,
    pub(crate) restarts: u32,
    /// The time at which the latest start of the child began.
    pub(crate) started: Instant,
    /// When the supervisor kills the running incarnation. Set if a stop of the incarnation has
    /// begun and has a time limit.
    pub(crate) stop_due: Option<Instant>,
    pub(crate) history: History,
}

/// Whether a published child runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PublishedChildState {
    Running(Pid),
    Restarting { due: Option<Instant> },
    Stopped,
    GivenUp,
}

impl PublishedCell {
    pub(crate) fn new(strategy: &'static str, step: Step) -> Arc<Self> {
        let now = Instant::now();
        let state = PublishedState {
            strategy,
            since: now,
            budget: None,
            budget_at: now,
            children: PositionMap::default(),
            ended: EndedChildren::default(),
            is_partial: false,
            ready_share: None,
            step,
            ending: None,
        };
        Arc::new(PublishedCell {
            state: Mutex::new(state),
            count: AtomicUsize::new(0),
            source: OnceLock::new(),
            partitions: OnceLock::new(),
            permits: Arc::new(Semaphore::new(MAX_QUEUED_REQUESTS)),
        })
    }

    /// Attaches the cell to the supervisor's process, where readers find the cell. Returns the
    /// source of its changes. Call this once, before a child is started.
    pub(crate) fn attach(
        self: &Arc<Self>,
        runtime: &Runtime,
        supervisor: &dyn AnyProcess,
        is_dynamic: bool,
    ) -> ChangeSource {
        let source = ChangeSource::of(runtime, supervisor, is_dynamic);
        let source = self.source.get_or_init(|| source).clone();
        let cell = self.clone();
        supervisor.with(|locked| locked.core().publish(cell));
        if is_dynamic {
            // A dynamic supervisor has no children to start.
            source.has_started();
        }
        source
    }

    pub(crate) fn set_partitions(&self, partitions: Arc<Partitions>) {
        drop(self.partitions.set(partitions));
    }

    pub(crate) fn partitions(&self) -> Option<&Arc<Partitions>> {
        self.partitions.get()
    }

    /// Returns the supervisor that publishes the state.
    pub(super) fn source(&self) -> Option<&ChangeSource> {
        self.source.get()
    }

    /// Returns the cell of this process, if the process is a supervisor whose init has begun.
    pub(crate) fn of(process: &dyn AnyProcess) -> Option<Arc<Self>> {
        let cell = process.with(|locked| locked.core().published());
        cell?.downcast().ok()
    }

    /// Changes the state under the lock (invariant 2).
    pub(crate) fn change<R>(&self, change: impl FnOnce(&mut PublishedState) -> R) -> R {
        change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn read(&self) -> PublishedState {
        self.change(|state| state.clone())
    }

    /// Sets the number of children. A dynamic supervisor calls this after each event.
    pub(crate) fn set_count(&self, children: usize) {
        self.count.store(children, Ordering::Relaxed);
    }

    pub(crate) fn count(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }

    /// Waits for the permission to send one more `Publish` or `Fold` request. The result is never `None`,
    /// because the semaphore is never closed.
    pub(crate) async fn permit(&self) -> Option<PublishPermit> {
        // The supervisor drops a permit when it has handled a request, and that drop wakes the next
        // caller. A panic of the caller's waker must not reach the supervisor.
        with_caught_wakers(self.permits.clone().acquire_owned()).await.ok()
    }

    /// Returns the number of `Publish` and `Fold` requests that are in the mailbox or about to be sent.
    pub(crate) fn queued_requests(&self) -> usize {
        MAX_QUEUED_REQUESTS.saturating_sub(self.permits.available_permits())
    }
}

impl PublishedChild {
    /// Returns the information about the child. `starts_by_hand` is the number of requested starts.
    pub(crate) fn info(self, starts_by_hand: u32) -> ChildInfo {
        let left = |due: Instant| due.saturating_duration_since(Instant::now());
        let (state, since) = match self.state {
            PublishedChildState::Running(pid) => (ChildState::Running(pid), Some(self.started)),
            PublishedChildState::Restarting { due } => {
                (ChildState::Restarting { retry_in: due.map(left) }, None)
            }
            PublishedChildState::Stopped => (ChildState::Stopped, None),
            PublishedChildState::GivenUp => (ChildState::GivenUp, None),
        };
        let PublishedChild { id, kind, restarts, history, .. } = self;
        ChildInfo { id: id.to_string(), state, kind, restarts, starts_by_hand, since, history }
    }
}

impl PublishedState {
    pub(super) fn without_children(&self) -> Self {
        PublishedState {
            children: PositionMap::default(),
            ended: self.ended.clone(),
            strategy: self.strategy,
            since: self.since,
            budget: self.budget,
            budget_at: self.budget_at,
            is_partial: self.is_partial,
            ready_share: self.ready_share,
            step: self.step,
            ending: self.ending,
        }
    }

    /// Returns the budget as of the time at which it was set. If a whole period has passed since
    /// then, all restarts are left.
    pub(crate) fn budget(&self) -> Option<RestartBudget> {
        let mut budget = self.budget?;
        if self.budget_at.elapsed() >= budget.period {
            budget.left = budget.restarts;
        }
        Some(budget)
    }

    /// Sets the budget as of `now`. The time is kept, because used restarts become available again
    /// as time passes.
    pub(crate) fn set_budget(&mut self, budget: Option<RestartBudget>, now: Instant) {
        self.budget = budget;
        self.budget_at = now;
    }

    /// Keeps a child that has ended for good, if the child has crashed. If `all` is set, also keeps
    /// a child that has run and ended cleanly. Returns a child that is not kept; the caller drops
    /// it after unlock.
    #[must_use = "dropping the child runs a user's code"]
    pub(crate) fn keep_ended(
        &mut self,
        child: PublishedChild,
        all: bool,
    ) -> Option<PublishedChild> {
        match child.history.last().map(|last| last.reason.is_clean()) {
            Some(is_clean) if all || !is_clean => self.ended.push(EndedChild { child, is_clean }),
            _ => Some(child),
        }
    }

    /// Ends the step, if it is a start or a stop of this child.
    pub(crate) fn end_step(&mut self, child: u64) {
        match self.step {
            Step::Starting { key, .. } | Step::Stopping { key, .. } if key == child => {
                self.step = Step::Serving;
            }
            _ => {}
        }
    }
}
