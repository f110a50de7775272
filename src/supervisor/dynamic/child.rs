//! One dynamic child, and what is kept of it: of a temporary one next to nothing.

use std::sync::Arc;

use tokio::time::Instant;

use crate::base::pid::Pid;
use crate::base::shared_str::SharedStr;
use crate::call::reply::Reply;
use crate::child::{ChildType, Restart, Spec};
use crate::exit::reason::{ExitReason, Result};
use crate::exit::shutdown::Shutdown;
use crate::observe::doing::Doing;
use crate::process::{AnyProcess, ChildSlot};
use crate::restart::restart_state::RestartState;
use crate::restart::window::{Counted, Window};
use crate::runtime::starting::StartCause;
use crate::supervisor::history::History;
use crate::supervisor::info::{ChildError, ChildInfo, ChildState};
use crate::supervisor::picture::{Shown, ShownState};
use crate::supervisor::stop::StopRequest;

/// An answer that is due when a child has stopped.
pub(super) struct StopReply {
    /// The pid that the child was asked for by.
    pub(super) requested: Pid,
    pub(super) reply: Reply<Result<(), ChildError>>,
}

/// A child that a dynamic supervisor knows.
pub(super) struct Child {
    pub(super) id: SharedStr,
    pub(super) kind: ChildType,
    pub(super) restart: Restart,
    pub(super) shutdown: Shutdown,
    pub(super) state: State,
    pub(super) started: Instant,
    pub(super) slot: ChildSlot,
    /// The pid that its first start returned: the one by which its user knows it.
    pub(super) first_pid: Pid,
    /// What it takes to start it again; a temporary child's arguments are let go at once.
    pub(super) restart_record: Option<Box<RestartRecord>>,
}

/// What a child is doing.
pub(super) enum State {
    /// Its first start is under way; it is in no table.
    Starting,
    Running(Arc<dyn AnyProcess>),
    Stopping(Box<Stopping>),
    /// It ended, and is started again when this ticket is presented, or its start under this
    /// ticket has come to something.
    Restarting {
        ticket: u64,
        due: Option<Instant>,
        /// It counts against a window when it is attempted.
        counts: bool,
    },
    /// Its start is called off, and still under way.
    Cancelled(Box<Cancelled>),
    /// It used up its own restarts. It stays known.
    GivenUp(Box<GivenUp>),
}

/// A start that is called off.
pub(super) struct Cancelled {
    /// The ticket that it is under way under.
    pub(super) ticket: u64,
    pub(super) replies: Vec<StopReply>,
}

/// A stop under way.
pub(super) struct Stopping {
    pub(super) process: Arc<dyn AnyProcess>,
    pub(super) began: Instant,
    /// When it is looked at next.
    pub(super) due: Instant,
    pub(super) overran: Option<Doing>,
    pub(super) replies: Vec<StopReply>,
}

/// How a child was given up.
pub(super) struct GivenUp {
    /// When a restart would be within its budget again.
    pub(super) until: Instant,
    /// Later ones have greater numbers.
    pub(super) number: u64,
    pub(super) last: ExitReason,
}

/// The rest of a child that may be started again.
pub(super) struct RestartRecord {
    pub(super) spec: Arc<Spec>,
    pub(super) restarts: RestartState,
    /// Its own restarts, where each child has a budget.
    pub(super) window: Window,
    pub(super) last: Option<ExitReason>,
    pub(super) history: History,
}

impl Child {
    pub(super) fn new(spec: Arc<Spec>, child: u64) -> Self {
        let Spec { ref id, kind, restart, shutdown, .. } = *spec;
        Child {
            id: id.clone(),
            kind,
            restart,
            shutdown,
            state: State::Starting,
            started: Instant::now(),
            slot: ChildSlot { child, start: 1 },
            first_pid: Pid::OUTSIDE,
            restart_record: (restart != Restart::Temporary)
                .then(|| Box::new(RestartRecord::new(spec))),
        }
    }

    /// What is known of one incarnation, apart from the child: for one that is called off
    /// while it starts.
    pub(super) fn incarnation(&self) -> Self {
        Child {
            id: self.id.clone(),
            kind: self.kind,
            restart: Restart::Temporary,
            shutdown: self.shutdown,
            state: State::Starting,
            started: self.started,
            slot: self.slot,
            first_pid: Pid::OUTSIDE,
            restart_record: None,
        }
    }

    /// It runs as this process, or did until a moment ago.
    pub(super) fn process(&self) -> Option<&Arc<dyn AnyProcess>> {
        match &self.state {
            State::Running(process) => Some(process),
            State::Stopping(stopping) => Some(&stopping.process),
            State::Starting
            | State::Restarting { .. }
            | State::Cancelled(_)
            | State::GivenUp(_) => None,
        }
    }

    pub(super) fn stop_request<'a>(&'a self, process: &'a Arc<dyn AnyProcess>) -> StopRequest<'a> {
        StopRequest { id: &self.id, restart: self.restart, shutdown: self.shutdown, process }
    }

    /// What a restart of it is counted for.
    pub(super) fn counted(&self) -> Counted {
        Counted { number: self.slot.child, id: self.id.clone() }
    }

    /// Its incarnations that are over.
    fn history(&self) -> History {
        self.restart_record.as_ref().map(|record| record.history.clone()).unwrap_or_default()
    }

    /// The name of all its incarnations, if it may be started again.
    pub(super) fn name(&self) -> Option<SharedStr> {
        self.restart_record.as_ref()?.spec.name.clone()
    }

    pub(super) fn restarts(&self) -> u32 {
        self.slot.start.saturating_sub(1)
    }

    /// The next incarnation begins.
    pub(super) fn begin_incarnation(&mut self) -> StartCause {
        self.slot.start = self.slot.start.saturating_add(1);
        self.started = Instant::now();
        let last = self.restart_record.as_ref().and_then(|record| record.last.clone());
        StartCause::Restart {
            attempt: self.restarts(),
            previous: last.unwrap_or(ExitReason::Normal),
        }
    }

    pub(super) fn info(&self, pid: Pid) -> ChildInfo {
        let left = |due: Instant| due.saturating_duration_since(Instant::now());
        ChildInfo {
            id: self.id.to_string(),
            state: match &self.state {
                State::Running(_) | State::Stopping(_) => ChildState::Running(pid),
                State::Restarting { due, .. } => ChildState::Restarting { retry_in: due.map(left) },
                State::Cancelled(_) => ChildState::Restarting { retry_in: None },
                State::Starting | State::GivenUp(_) => ChildState::Stopped,
            },
            kind: self.kind,
            restarts: self.restarts(),
            starts_by_hand: 0,
            since: self.process().map(|_| self.started),
            history: self.history(),
        }
    }
}

impl Child {
    /// What is published of it.
    pub(super) fn shown(&self, pid: Pid) -> Shown {
        Shown {
            id: self.id.clone(),
            kind: self.kind,
            state: match &self.state {
                State::Running(_) | State::Stopping(_) => ShownState::Running(pid),
                State::Restarting { due, .. } => ShownState::Restarting { due: *due },
                State::Cancelled(_) => ShownState::Restarting { due: None },
                State::Starting | State::GivenUp(_) => ShownState::Stopped,
            },
            restarts: self.restarts(),
            started: self.started,
            history: self.history(),
        }
    }
}

impl RestartRecord {
    fn new(spec: Arc<Spec>) -> Self {
        let restarts = RestartState::default();
        let history = History::default();
        RestartRecord { spec, restarts, window: Window::default(), last: None, history }
    }
}
