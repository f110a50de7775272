//! What a fixed supervisor knows of one child.

use std::sync::Arc;

use tokio::time::Instant;

use crate::base::pid::Pid;
use crate::child::Spec;
use crate::exit::reason::ExitReason;
use crate::process::{AnyProcess, ChildSlot};
use crate::restart::backoff::Backoff;
use crate::restart::restart_state::RestartState;
use crate::restart::window::Counted;
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
    /// How often it was started until now, in vain or not.
    pub(crate) starts: u32,
    /// How many of its starts, after the first, were asked for: by hand or by a hangup.
    pub(super) requested_starts: u32,
    pub(crate) restarts: RestartState,
    /// When its present incarnation was started.
    pub(super) started: Instant,
    /// Why it last ended, or did not start.
    pub(crate) last: Option<ExitReason>,
    /// The process that it then was; `None` if it did not start.
    pub(crate) last_pid: Option<Pid>,
}

impl Child {
    /// One that does not run.
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

    /// What its latest start is known by.
    pub(crate) fn slot(&self) -> ChildSlot {
        ChildSlot { child: self.position, start: self.starts }
    }

    /// What a restart of it is counted for.
    pub(crate) fn counted(&self) -> Counted {
        Counted { number: self.position, id: self.spec.id.clone() }
    }

    /// It is forgotten when it is over.
    pub(crate) fn is_temporary(&self) -> bool {
        decide(self.spec.restart, &ExitReason::Normal) == Decision::Forget
    }

    /// It waits for a restart of its whole group; a start by hand is its own alone.
    pub(crate) fn restarts_with_group(&self) -> bool {
        matches!(&self.state, RunState::Restarting { retry, .. } if *retry != RetryKind::Requested)
    }

    /// How many times it was started again.
    pub(super) fn attempt(&self) -> u32 {
        self.starts.saturating_sub(1)
    }

    /// How many times its supervisor started it again by itself.
    pub(crate) fn restarts(&self) -> u32 {
        self.attempt().saturating_sub(self.requested_starts)
    }

    /// How many times it was started again because that was asked for.
    pub(crate) fn requested_starts(&self) -> u32 {
        self.requested_starts
    }

    /// Its next start is asked for.
    pub(crate) fn count_requested_start(&mut self) {
        if self.starts > 0 {
            self.requested_starts = self.requested_starts.saturating_add(1);
        }
    }

    /// When the incarnation that runs was started.
    pub(crate) fn since(&self) -> Option<Instant> {
        self.process().map(|_| self.started)
    }

    /// A start of it begins.
    pub(super) fn begin_start(&mut self) -> StartCause {
        self.starts = self.starts.saturating_add(1);
        self.started = Instant::now();
        match self.last.clone() {
            None => StartCause::First,
            Some(previous) => StartCause::Restart { attempt: self.attempt(), previous },
        }
    }

    /// The incarnation that is over; `fallback` is the backoff of a child without one of its own.
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
