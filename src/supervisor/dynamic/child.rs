//! The record of one dynamic child. A temporary child keeps no restart data, so its record is
//! small.

use std::sync::Arc;

use tokio::time::Instant;

use crate::base::{Pid, SharedStr};
use crate::call::Reply;
use crate::child::{ChildType, Readiness, Restart, Spec};
use crate::exit::{ExitReason, Result, Shutdown};
use crate::observe::Doing;
use crate::process::{AnyProcess, ChildSlot};
use crate::restart::{Counted, RestartState, Window};
use crate::runtime::StartCause;
use crate::supervisor::{ChildError, History, PublishedChild, PublishedChildState, StopRequest};

/// The reply to a request to restart a child.
pub(crate) type RestartReply = Reply<Result<Pid, ChildError>>;

/// A request to terminate a child, answered when the child has stopped.
pub(super) struct StopReply {
    /// The pid that the request named.
    pub(super) requested: Pid,
    pub(super) reply: Reply<Result<(), ChildError>>,
}

/// A child of a dynamic supervisor.
pub(super) struct Child {
    pub(super) id: SharedStr,
    pub(super) kind: ChildType,
    pub(super) restart: Restart,
    pub(super) shutdown: Shutdown,
    pub(super) state: State,
    pub(super) started: Instant,
    pub(super) slot: ChildSlot,
    /// The pid that the first start of the child returned, by which users know the child; `OUTSIDE`
    /// until this start has finished.
    pub(super) first_pid: Pid,
    /// The data for restarts. `None` for a temporary child without an `on_failure`: the
    /// specification of such a child is dropped at its start.
    pub(super) restart_record: Option<Box<RestartRecord>>,
}

/// The answers to the requests that wait for the end of one child. The usual case of one request
/// takes no allocation.
#[derive(Default)]
pub(super) struct StopReplies {
    first: Option<StopReply>,
    later: Vec<StopReply>,
}

impl StopReplies {
    pub(super) fn of(first: StopReply) -> Self {
        StopReplies { first: Some(first), later: Vec::new() }
    }

    pub(super) fn push(&mut self, reply: StopReply) {
        match self.first {
            None => self.first = Some(reply),
            Some(_) => self.later.push(reply),
        }
    }

    /// Answers that the child has been terminated.
    pub(super) fn answer(self) {
        if let Some(first) = self.first {
            first.reply.send(Ok(()));
        }
        for StopReply { requested, reply } in self.later {
            // Later requests name a child that the first one terminated.
            reply.send(Err(ChildError::NotFound(requested.to_string())));
        }
    }
}

/// The state of a child. [`server`](super::server) has a diagram of the transitions.
pub(super) enum State {
    /// The first start is in progress, and the child is not in `children` yet.
    Starting,
    Running(Arc<dyn AnyProcess>),
    Stopping(Box<Stopping>),
    /// The child has ended and waits for its restart, or its restart is in progress. An event with
    /// another retry id is ignored.
    Restarting {
        retry_id: u64,
        due: Option<Instant>,
        /// Whether the attempt counts against a restart window.
        counts: bool,
    },
    /// The restart was cancelled while its start was in progress, and this start has not finished.
    Cancelled(Box<Cancelled>),
    /// The child has used up its own restart budget, and stays known.
    GivenUp(Box<GivenUp>),
}

/// A restart that was cancelled while its start was in progress.
pub(super) struct Cancelled {
    /// The id of the retry.
    pub(super) retry_id: u64,
    pub(super) replies: StopReplies,
}

/// A stop in progress.
pub(super) struct Stopping {
    pub(super) process: Arc<dyn AnyProcess>,
    pub(super) began: Instant,
    /// When the stop is checked next.
    pub(super) due: Instant,
    /// The activity of the child when it was killed because its shutdown time was over.
    pub(super) overran: Option<Doing>,
    pub(super) then: AfterStop,
}

/// What follows the end of a child that is being stopped.
pub(super) enum AfterStop {
    /// The child is removed, and these requests are answered.
    Remove(StopReplies),
    /// The child is started again, on this request.
    Restart(RestartReply),
}

/// A child that was given up.
pub(super) struct GivenUp {
    /// The time from which a restart is within the budget of the child again.
    pub(super) until: Instant,
    /// Greater for children that were given up later.
    pub(super) number: u64,
    pub(super) last: ExitReason,
}

/// The data for the restarts of a child.
pub(super) struct RestartRecord {
    pub(super) spec: Arc<Spec>,
    pub(super) restarts: RestartState,
    /// The counted restarts of this child, if each child has a budget of its own.
    pub(super) window: Window,
    pub(super) last: Option<ExitReason>,
    pub(super) history: History,
    /// The starts on request, which are no restarts.
    pub(super) requested_starts: u32,
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
            restart_record: (restart != Restart::Temporary || spec.decides_failures())
                .then(|| Box::new(RestartRecord::new(spec))),
        }
    }

    /// Returns the specification, if it is kept.
    pub(super) fn kept_spec(&self) -> Option<&Spec> {
        self.restart_record.as_ref().map(|record| &*record.spec)
    }

    /// Returns a record of the incarnation that starts, without restart data. The record is used if
    /// the supervisor no longer knows the child when the start finishes.
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

    /// Returns the process of a child that runs or is being stopped. The process may have ended
    /// already.
    pub(super) fn process(&self) -> Option<&Arc<dyn AnyProcess>> {
        match &self.state {
            State::Running(process) => Some(process),
            State::Stopping(stopping) => Some(&stopping.process),
            _ => None,
        }
    }

    pub(super) fn stop_request<'a>(&'a self, process: &'a Arc<dyn AnyProcess>) -> StopRequest<'a> {
        StopRequest { id: &self.id, restart: self.restart, shutdown: self.shutdown, process }
    }

    /// Returns the entry for a restart of this child in a restart window.
    pub(super) fn counted(&self) -> Counted {
        Counted { number: self.slot.child, id: self.id.clone() }
    }

    /// Returns the name that the specification gives; `None` also for a temporary child, whose
    /// specification is not kept.
    pub(super) fn name(&self) -> Option<SharedStr> {
        self.restart_record.as_ref()?.spec.name.clone()
    }

    /// Releases the value that is kept for the next incarnation. A child that was given up has
    /// released its value before.
    pub(super) fn release(&self) {
        let record = self.restart_record.as_ref();
        if let Some(record) = record.filter(|_| !matches!(self.state, State::GivenUp(_))) {
            record.spec.release();
        }
    }

    /// Returns the pid of the incarnation that ended last, if the child was restarted. Starts may
    /// have failed since then.
    pub(super) fn last_pid(&self) -> Option<Pid> {
        self.restart_record.as_ref()?.history.last_pid()
    }

    /// The number of starts after the first one.
    pub(super) fn attempt(&self) -> u32 {
        self.slot.start.saturating_sub(1)
    }

    /// The number of times that this child was restarted, without the starts on request.
    pub(super) fn restarts(&self) -> u32 {
        self.attempt().saturating_sub(self.requested_starts())
    }

    /// The number of starts on request.
    pub(super) fn requested_starts(&self) -> u32 {
        self.restart_record.as_ref().map_or(0, |record| record.requested_starts)
    }

    /// Counts the next incarnation, and returns the cause that it is started with.
    pub(super) fn begin_incarnation(&mut self) -> StartCause {
        self.slot.start = self.slot.start.saturating_add(1);
        self.started = Instant::now();
        let last = self.restart_record.as_ref().and_then(|record| record.last.clone());
        StartCause::Restart {
            attempt: self.attempt(),
            previous: last.unwrap_or(ExitReason::Normal),
        }
    }

    /// Returns the child as it is published for snapshots. A temporary child has no history.
    pub(super) fn shown(&self, pid: Pid) -> PublishedChild {
        PublishedChild {
            id: self.id.clone(),
            kind: self.kind,
            // The readiness of a dynamic child counts only in `ready_share`.
            readiness: Readiness::Ignored,
            state: match &self.state {
                State::Running(_) | State::Stopping(_) => PublishedChildState::Running(pid),
                State::Restarting { due, .. } => PublishedChildState::Restarting { due: *due },
                State::Cancelled(_) => PublishedChildState::Restarting { due: None },
                State::Starting => PublishedChildState::Stopped,
                State::GivenUp(_) => PublishedChildState::GivenUp,
            },
            process: None,
            is_stop_reported: false,
            restarts: self.restarts(),
            started: self.started,
            stop_due: match &self.state {
                State::Stopping(stopping) => self.shutdown.deadline(stopping.began),
                _ => None,
            },
            history: self
                .restart_record
                .as_ref()
                .map_or_else(History::default, |record| record.history.clone()),
        }
    }
}

impl RestartRecord {
    fn new(spec: Arc<Spec>) -> Self {
        let (restarts, history) = (RestartState::default(), History::default());
        RestartRecord {
            spec,
            restarts,
            window: Window::default(),
            last: None,
            history,
            requested_starts: 0,
        }
    }

    /// Resets the restart state and the budget of the child, so that earlier failures do not count
    /// after a later start.
    pub(super) fn reset_restarts(&mut self) {
        self.restarts = RestartState::default();
        self.window = Window::default();
    }
}
