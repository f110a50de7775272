//! Handles the requests of a [`SupervisorRef`](crate::SupervisorRef).

use std::sync::Arc;

use tokio::time::Instant;

use crate::base::pid::Pid;
use crate::child::{ChildSpec, Spec};
use crate::exit::reason::Result;
use crate::process::ChildStop;
use crate::runtime::errors::start_error::StartError;
use crate::supervisor::fixed::child_record::Child;
use crate::supervisor::fixed::child_state::RunState;
use crate::supervisor::fixed::server::FixedServer;
use crate::supervisor::info::{ChildCounts, ChildError, ChildInfo, ChildState};
use crate::supervisor::spec::check_child;
use crate::supervisor::spec::strategy::Position;

impl FixedServer {
    pub(crate) async fn start_child(&mut self, spec: Arc<Spec>) -> Result<Pid, StartError> {
        check_child(&spec, self.auto_shutdown)?;
        if let Some((_, present)) = self.children.by_id(&spec.id) {
            return Err(match present.pid() {
                Some(pid) => StartError::AlreadyRunning { id: spec.id.to_string(), pid },
                None => StartError::AlreadyPresent(spec.id.to_string()),
            });
        }
        let position = self.children.add(spec);
        match self.start_incarnation(position).await {
            Ok(()) => self.pid_of(position).ok_or(StartError::Ignored),
            Err(error) => {
                self.mark_stopped(position);
                self.children.remove(position);
                Err(error)
            }
        }
    }

    pub(crate) fn delete_child(&mut self, id: &str) -> Result<(), ChildError> {
        let position = self.stopped_position(id)?;
        self.mark_stopped(position);
        self.children.remove(position);
        Ok(())
    }

    /// Stops a child. If the child waits for its restart, cancels the restart of its whole group.
    pub(crate) async fn terminate_child(&mut self, id: &str) -> Result<(), ChildError> {
        let position = self.position_of(id)?;
        let state = self.children.get(position).map(Child::state);
        let waits = matches!(state, Some(RunState::Restarting { .. }));
        self.stop_incarnation(position, ChildStop::ForGood, Instant::now()).await;
        self.mark_stopped(position);
        if waits {
            self.cancel_group_restart(position);
        }
        Ok(())
    }

    /// Marks as stopped the members of this child's group that waited for the cancelled restart.
    fn cancel_group_restart(&mut self, position: Position) {
        for member in self.children.positions(self.strategy.group(position)) {
            let state = self.children.get(member).map(Child::state);
            if matches!(state, Some(RunState::Stopped)) {
                self.mark_stopped(member);
            }
        }
    }

    pub(crate) fn which_child(&self, id: &str) -> Result<ChildInfo, ChildError> {
        match self.children.by_id(id) {
            Some((position, child)) => Ok(self.info(position, child)),
            None => Err(ChildError::NotFound(id.to_owned())),
        }
    }

    pub(crate) fn child_spec(&self, id: &str) -> Result<ChildSpec, ChildError> {
        match self.children.by_id(id) {
            Some((_, child)) => Ok(ChildSpec { spec: child.spec.clone() }),
            None => Err(ChildError::NotFound(id.to_owned())),
        }
    }

    pub(crate) fn which_children(&self) -> Vec<ChildInfo> {
        let children = self.children.iter();
        children.map(|child| self.info(child.slot().child, child)).collect()
    }

    pub(crate) fn count_children(&self) -> ChildCounts {
        let children = self.children.iter();
        ChildCounts::of(children.map(|child| (child.spec.kind, child.pid().is_some())))
    }

    fn info(&self, position: Position, child: &Child) -> ChildInfo {
        let left = |due: Instant| due.saturating_duration_since(Instant::now());
        ChildInfo {
            id: child.spec.id.to_string(),
            state: match child.state() {
                RunState::Running(process) => ChildState::Running(process.pid()),
                RunState::Restarting { due, .. } => {
                    ChildState::Restarting { retry_in: due.map(left) }
                }
                RunState::Stopped => ChildState::Stopped,
            },
            kind: child.spec.kind,
            restarts: child.restarts(),
            starts_by_hand: child.requested_starts(),
            since: child.running_since(),
            history: self.children.published().history(position),
        }
    }

    fn position_of(&self, id: &str) -> Result<Position, ChildError> {
        let found = self.children.by_id(id);
        found.map(|(position, _)| position).ok_or_else(|| ChildError::NotFound(id.to_owned()))
    }

    fn pid_of(&self, position: Position) -> Option<Pid> {
        self.children.get(position)?.pid()
    }

    /// Returns the position of a child that is stopped, and an error if the child runs or waits for
    /// its restart.
    pub(crate) fn stopped_position(&self, id: &str) -> Result<Position, ChildError> {
        let position = self.position_of(id)?;
        let Some(child) = self.children.get(position) else { return Ok(position) };
        let id = || child.spec.id.to_string();
        match child.state() {
            RunState::Running(process) => Err(ChildError::Running { id: id(), pid: process.pid() }),
            RunState::Restarting { .. } => Err(ChildError::Restarting(id())),
            RunState::Stopped => Ok(position),
        }
    }
}
