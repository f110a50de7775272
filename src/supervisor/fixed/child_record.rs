//! The record that a fixed supervisor keeps of one child.

use std::sync::Arc;

use tokio::time::Instant;

use crate::base::pid::Pid;
use crate::child::Spec;
use crate::exit::reason::ExitReason;
use crate::process::{AnyProcess, ChildSlot};
use crate::restart::backoff::Backoff;
use crate::restart::restart_limit::Counted;
use crate::restart::restart_state::RestartState;
use crate::runtime::starting::StartCause;
use crate::supervisor::end_record::{EndRecord, StartRecord};
use crate::supervisor::fixed::child_state::{RetryKind, RunState};
use crate::supervisor::history::Incarnation;
use crate::supervisor::incarnation::{Decision, decide};
use crate::supervisor::published_state::PublishedChildState;
use crate::supervisor::spec::strategy::Position;

/// A child of a fixed supervisor.
#[derive(Debug)]
pub(crate) struct Child {
    pub(super) position: Position,
    pub(crate) spec: Arc<Spec>,
    pub(super) state: RunState,
    /// The number of its starts until now, failed ones included.
    pub(crate) starts: u32,
    /// How many of its starts, after the first, were requested: by `restart_child` or by a hangup.
    pub(super) requested_starts: u32,
    pub(crate) restarts: RestartState,
    /// When its latest start began.
    pub(super) started: Instant,
    /// The reason of its last end, or the error of its last start if that failed.
    pub(crate) last: Option<ExitReason>,
    /// The pid of the incarnation that ended last; `None` if its start failed.
    pub(crate) last_pid: Option<Pid>,
}

impl Child {
    /// A child that was not started yet.
    pub(super) fn new(position: Position, spec: Arc<Spec>) -> Self {
        Child {
            position,
            spec,
            state: RunState::Stopped,
            starts: 0,
            requested_starts: 0,
            restarts: RestartState::default(),
            started: Instant::now(),
            last: None,
            last_pid: None,
        }
    }

    pub(crate) fn state(&self) -> &RunState {
        &self.state
    }

    pub(crate) fn process(&self) -> Option<&Arc<dyn AnyProcess>> {
        match &self.state {
            RunState::Running(process) => Some(process),
            RunState::Restarting { .. } | RunState::Stopped => None,
        }
    }

    pub(crate) fn pid(&self) -> Option<Pid> {
        self.process().map(|process| process.pid())
    }

    /// Identifies its latest start.
    pub(crate) fn slot(&self) -> ChildSlot {
        ChildSlot { child: self.position, start: self.starts }
    }

    /// What the window counts a restart of this child as.
    pub(crate) fn counted(&self) -> Counted {
        Counted { number: self.position, id: self.spec.id.clone() }
    }

    /// Whether it is forgotten when it ends.
    pub(crate) fn is_temporary(&self) -> bool {
        decide(self.spec.restart, &ExitReason::Normal) == Decision::Forget
    }

    /// Whether it waits for a restart of its whole group. A requested start is of the child alone.
    pub(crate) fn restarts_with_group(&self) -> bool {
        matches!(&self.state, RunState::Restarting { retry, .. } if *retry != RetryKind::Requested)
    }

    /// How often it was started again.
    pub(super) fn attempt(&self) -> u32 {
        self.starts.saturating_sub(1)
    }

    /// How often its supervisor restarted it without a request.
    pub(crate) fn restarts(&self) -> u32 {
        self.attempt().saturating_sub(self.requested_starts)
    }

    /// How often it was started again on request.
    pub(crate) fn requested_starts(&self) -> u32 {
        self.requested_starts
    }

    /// Counts its next start as requested, unless it is the first.
    pub(crate) fn count_requested_start(&mut self) {
        if self.starts > 0 {
            self.requested_starts = self.requested_starts.saturating_add(1);
        }
    }

    /// When the incarnation that runs was started; `None` if none runs.
    pub(crate) fn running_since(&self) -> Option<Instant> {
        self.process().map(|_| self.started)
    }

    /// Begins a start. Returns its cause.
    pub(super) fn begin_start(&mut self) -> StartCause {
        self.starts = self.starts.saturating_add(1);
        self.started = Instant::now();
        match self.last.clone() {
            None => StartCause::First,
            Some(previous) => StartCause::Restart { attempt: self.attempt(), previous },
        }
    }

    /// Records the end of an incarnation. `fallback` is the backoff of a child without one of its
    /// own. Returns the entry for the history.
    pub(super) fn record_end(&mut self, end: EndRecord, fallback: Option<Backoff>) -> Incarnation {
        (self.last, self.last_pid) = (Some(end.reason.clone()), end.pid);
        let start = StartRecord { started: self.started, attempt: self.attempt() };
        end.record(start, &mut self.restarts, self.spec.backoff.or(fallback))
    }

    pub(super) fn published_state(&self) -> PublishedChildState {
        match &self.state {
            RunState::Running(process) => PublishedChildState::Running(process.pid()),
            RunState::Restarting { due, .. } => PublishedChildState::Restarting { due: *due },
            RunState::Stopped => PublishedChildState::Stopped,
        }
    }
}
