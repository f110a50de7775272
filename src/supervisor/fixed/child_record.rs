//! The record that a fixed supervisor keeps of one child.

use std::sync::{Arc, OnceLock};

use tokio::time::Instant;

use crate::base::{Pid, SharedStr};
use crate::child::{Restart, Spec};
use crate::exit::ExitReason;
use crate::process::{AnyProcess, ChildSlot};
use crate::restart::{Backoff, Counted, Exhausted, Intensity, KeptEvents, RestartState, Window};
use crate::runtime::StartCause;
use crate::supervisor::change_source::ChangeSource;
use crate::supervisor::{EndRecord, Incarnation, Position, PublishedChildState};

/// Whether a child runs, waits for a restart or is stopped.
#[derive(Debug, Clone)]
pub(crate) enum RunState {
    Running(Arc<dyn AnyProcess>),
    /// The child does not run, and waits for the retry with this id. The retry starts the child's
    /// group or, if its kind is `Requested`, the child alone.
    Restarting {
        retry_id: u64,
        /// The time at which a delayed retry is due; `None` for a retry without a delay.
        due: Option<Instant>,
        kind: RetryKind,
    },
    /// The child ended, was stopped, or never ran.
    Stopped,
    /// The child was given up: only a request starts it again.
    GivenUp,
}

/// The reason why a child waits for a retry. The reason decides which steps the retry carries out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RetryKind {
    /// A start failed, or the child is restarted without a delay. The restart counts against the
    /// window.
    Counted,
    /// The retry waits for the delay of a backoff, and is not counted.
    Delayed,
    /// The restart is decided and reported already, and waits for orphans.
    AfterOrphans,
    /// A requested start waits for orphans.
    Requested {
        /// Whether the child was given up before the request.
        was_given_up: bool,
    },
}

/// A child of a fixed supervisor.
#[derive(Debug)]
pub(crate) struct Child {
    pub(super) position: Position,
    pub(crate) spec: Arc<Spec>,
    pub(super) state: RunState,
    /// The number of starts until now, failed starts included.
    pub(crate) starts: u32,
    /// The number of starts after the first that were requested, by `restart_child` or by a hangup.
    pub(super) requested_starts: u32,
    pub(crate) restarts: RestartState,
    /// The counted restarts of this child, if it has a budget of its own.
    pub(super) window: Window,
    /// Whether a start has succeeded.
    pub(super) has_run: bool,
    /// The time at which the latest start began.
    pub(super) started: Instant,
    /// The reason of the last end, or the error of the last start if that start failed.
    pub(crate) last: Option<ExitReason>,
    /// The pid of the incarnation that ended last. `None` if the last start failed, or if no
    /// incarnation has ended.
    pub(crate) last_pid: Option<Pid>,
    /// The path at which the restarts of the child are counted. Set at the first restart.
    counted_path: OnceLock<SharedStr>,
}

impl Child {
    /// Returns the record of a child that was not started yet.
    pub(super) fn new(position: Position, spec: Arc<Spec>) -> Self {
        Child {
            position,
            spec,
            state: RunState::Stopped,
            starts: 0,
            requested_starts: 0,
            restarts: RestartState::default(),
            window: Window::default(),
            has_run: false,
            started: Instant::now(),
            last: None,
            last_pid: None,
            counted_path: OnceLock::new(),
        }
    }

    pub(crate) fn process(&self) -> Option<&Arc<dyn AnyProcess>> {
        match &self.state {
            RunState::Running(process) => Some(process),
            RunState::Restarting { .. } | RunState::Stopped | RunState::GivenUp => None,
        }
    }

    pub(crate) fn pid(&self) -> Option<Pid> {
        self.process().map(|process| process.pid())
    }

    pub(crate) fn is_restarting(&self) -> bool {
        matches!(self.state, RunState::Restarting { .. })
    }

    /// Returns the numbers that identify the latest start.
    pub(crate) fn slot(&self) -> ChildSlot {
        ChildSlot { child: self.position, start: self.starts }
    }

    /// Returns the path at which the restarts of this child are counted. `source` belongs to the
    /// supervisor of the child.
    pub(super) fn counted_path(&self, source: &ChangeSource) -> &SharedStr {
        self.counted_path.get_or_init(|| source.path().counted(&self.spec.id))
    }

    /// Returns the entry that a restart of this child adds to the window.
    pub(crate) fn counted(&self) -> Counted {
        Counted { number: self.position, id: self.spec.id.clone() }
    }

    /// Returns whether the child is forgotten when it ends.
    pub(crate) fn is_temporary(&self) -> bool {
        self.spec.restart == Restart::Temporary
    }

    /// Returns the kind of the retry with this id, if the child waits for that retry.
    pub(super) fn retry(&self, id: u64) -> Option<RetryKind> {
        match self.state {
            RunState::Restarting { retry_id, kind, .. } if retry_id == id => Some(kind),
            _ => None,
        }
    }

    /// Returns whether the child waits for a restart of its whole group. The result is false if the
    /// child waits for a requested start or for its first start, which start the child alone.
    pub(crate) fn restarts_with_group(&self) -> bool {
        let RunState::Restarting { kind, .. } = &self.state else { return false };
        !self.is_first_start_retried() && !matches!(kind, RetryKind::Requested { .. })
    }

    /// Returns whether the first start of the child is retried: no start has succeeded, and the
    /// specification requires a retry.
    pub(crate) fn is_first_start_retried(&self) -> bool {
        self.spec.retry_first_start && !self.has_run
    }

    /// Returns whether the child has never run and waits for the retry of its first start, which
    /// starts the child alone.
    pub(crate) fn awaits_first_start(&self) -> bool {
        self.is_first_start_retried() && self.is_restarting()
    }

    pub(crate) fn is_given_up(&self) -> bool {
        matches!(self.state, RunState::GivenUp)
    }

    /// Returns whether a restart of its group starts this child. A child that has never run is
    /// started too, and its own retry becomes stale.
    pub(super) fn starts_with_group(&self) -> bool {
        matches!(self.state, RunState::Stopped) || self.awaits_first_start()
    }

    /// Returns the limit for restarts of this child. `shared` is the limit of the supervisor.
    pub(super) fn intensity(&self, shared: Intensity) -> Intensity {
        self.spec.budget.map_or(shared, |own| own.intensity)
    }

    /// Returns the consequence of a limit that this child reaches. The limit of a supervisor always
    /// ends the supervisor.
    pub(super) fn exhausted(&self) -> Exhausted {
        self.spec.budget.map_or(Exhausted::Escalate, |own| own.exhausted)
    }

    /// Resets the restart state and the budget of the child, so that earlier failures do not count
    /// after a later start.
    pub(super) fn reset_restarts(&mut self) {
        self.restarts = RestartState::default();
        self.window = Window::default();
    }

    /// Returns how often the child was started again.
    pub(super) fn attempt(&self) -> u32 {
        self.starts.saturating_sub(1)
    }

    /// Returns how often the supervisor restarted the child without a request.
    pub(crate) fn restarts(&self) -> u32 {
        self.attempt().saturating_sub(self.requested_starts)
    }

    /// Counts the next start as requested, unless it is the first start.
    pub(crate) fn count_requested_start(&mut self) {
        if self.starts > 0 {
            self.requested_starts = self.requested_starts.saturating_add(1);
        }
    }

    /// Records that a start begins. Returns the cause of the start.
    pub(super) fn begin_start(&mut self) -> StartCause {
        self.starts = self.starts.saturating_add(1);
        self.started = Instant::now();
        match self.last.clone() {
            None => StartCause::First,
            Some(previous) => StartCause::Restart { attempt: self.attempt(), previous },
        }
    }

    /// Records the end of an incarnation. `fallback` is the backoff that applies if the child has
    /// none of its own. Returns the entry for the history.
    pub(super) fn record_end(
        &mut self,
        end: EndRecord,
        fallback: Option<Backoff>,
        events: KeptEvents,
    ) -> Incarnation {
        (self.last, self.last_pid) = (Some(end.reason.clone()), end.pid);
        let backoff = self.spec.backoff.or(fallback);
        let ended = end.record(self.started, self.attempt(), &mut self.restarts, backoff);
        Incarnation { events, ..ended }
    }

    pub(super) fn published_state(&self) -> PublishedChildState {
        match &self.state {
            RunState::Running(process) => PublishedChildState::Running(process.pid()),
            RunState::Restarting { due, .. } => PublishedChildState::Restarting { due: *due },
            RunState::Stopped => PublishedChildState::Stopped,
            RunState::GivenUp => PublishedChildState::GivenUp,
        }
    }
}
