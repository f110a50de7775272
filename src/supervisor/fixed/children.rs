//! The children of one fixed supervisor, in start order. A child is found by its position, id or
//! pid.
//!
//! Every change of a child that readers can see goes through [`Children`], which makes the same
//! change in the [published state](crate::supervisor::published_state), under one short lock.

use std::collections::HashMap;
use std::ops::RangeInclusive;
use std::sync::Arc;

use tokio::time::Instant;

use crate::base::random::MapHasher;
use crate::base::{Pid, PositionMap, SharedStr};
use crate::child::Spec;
use crate::exit::ExitReason;
use crate::process::AnyProcess;
use crate::restart::Backoff;
use crate::supervisor::fixed::{Child, RunState};
use crate::supervisor::{ChildError, EndRecord, NewIncarnation, Position, PublishedCell, Report};

#[derive(Debug)]
pub(crate) struct Children {
    pub(crate) published: Arc<PublishedCell>,
    list: PositionMap<Child>,
    by_id: HashMap<SharedStr, Position, MapHasher>,
    by_pid: HashMap<Pid, Position, MapHasher>,
    next: Position,
}

impl Children {
    /// Returns an empty list. `published` must show no children either.
    pub(crate) fn new(published: Arc<PublishedCell>) -> Self {
        Children {
            published,
            list: PositionMap::default(),
            by_id: HashMap::default(),
            by_pid: HashMap::default(),
            next: 0,
        }
    }

    /// Returns the children in start order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Child> {
        self.list.values()
    }

    /// Returns the positions in this range that have a child, in start order.
    pub(crate) fn positions(&self, range: RangeInclusive<Position>) -> Vec<Position> {
        if range.start() == range.end() {
            let only = *range.start();
            return self.list.get(only).is_some().then_some(only).into_iter().collect();
        }
        self.list.range(range).map(|(position, _)| position).collect()
    }

    /// Returns the children in this range of positions, in start order.
    pub(crate) fn range(&self, range: RangeInclusive<Position>) -> impl Iterator<Item = &Child> {
        self.list.range(range).map(|(_, child)| child)
    }

    pub(crate) fn last_position(&self) -> Option<Position> {
        self.list.last()
    }

    pub(crate) fn get(&self, position: Position) -> Option<&Child> {
        self.list.get(position)
    }

    pub(crate) fn get_mut(&mut self, position: Position) -> Option<&mut Child> {
        self.list.get_mut(position)
    }

    pub(crate) fn by_id(&self, id: &str) -> Result<&Child, ChildError> {
        let child = self.by_id.get(id).and_then(|position| self.list.get(*position));
        child.ok_or_else(|| ChildError::NotFound(id.to_owned()))
    }

    pub(crate) fn by_pid(&self, pid: Pid) -> Option<Position> {
        self.by_pid.get(&pid).copied()
    }

    /// Returns the exit reason of a running child whose `Exit` has arrived. `None` if the `Exit` is
    /// not the end of the child.
    pub(crate) fn reason_of_end(&self, position: Position, report: &Report) -> Option<ExitReason> {
        let child = self.list.get(position)?;
        report.reason_of_end(&child.spec.id, child.process()?)
    }

    /// Adds a child after the others, without starting it. Returns the position of the child.
    pub(crate) fn add(&mut self, spec: Arc<Spec>) -> Position {
        let position = self.next;
        self.next += 1;
        self.by_id.insert(spec.id.clone(), position);
        self.published.add(position, &spec);
        self.list.insert(position, Child::new(position, spec));
        position
    }

    /// Records and publishes that a start of a child begins. Returns the incarnation and the
    /// specification of the child.
    pub(crate) fn begin_start(
        &mut self,
        position: Position,
    ) -> Option<(NewIncarnation, Arc<Spec>)> {
        let child = self.list.get_mut(position)?;
        let cause = child.begin_start();
        let (slot, started) = (child.slot(), child.started);
        let (starts, restarts) = (child.starts, child.restarts());
        let history = self.published.begin_start(position, starts, restarts, started);
        let incarnation = NewIncarnation { slot, cause, started, history };
        Some((incarnation, child.spec.clone()))
    }

    /// Publishes that the stop of a child begins at `now`, if the child runs. Returns the child and
    /// its process.
    pub(crate) fn begin_stop(
        &self,
        position: Position,
        now: Instant,
    ) -> Option<(&Child, &Arc<dyn AnyProcess>)> {
        let child = self.list.get(position)?;
        let process = child.process()?;
        let due = child.spec.shutdown.deadline(now);
        self.published.begin_stop(position, process.pid(), now, due);
        Some((child, process))
    }

    /// Sets the state of a child, and updates the index of pids.
    pub(crate) fn set(&mut self, position: Position, state: RunState) {
        let Some(child) = self.list.get_mut(position) else { return };
        let before = std::mem::replace(&mut child.state, state);
        if let RunState::Running(process) = before {
            self.by_pid.remove(&process.pid());
        }
        if let RunState::Running(process) = &child.state {
            self.by_pid.insert(process.pid(), position);
        }
        self.published.set(position, child.published_state(), child.process().cloned());
    }

    /// Records the end of an incarnation of a child. `fallback` is the backoff that applies if the
    /// child has none of its own.
    pub(crate) fn record_end(
        &mut self,
        position: Position,
        end: EndRecord,
        fallback: Option<Backoff>,
    ) {
        let Some(child) = self.list.get_mut(position) else { return };
        let events = self.published.kept_events(end.pid);
        let incarnation = child.record_end(end, fallback, events);
        if let RunState::Running(process) = std::mem::replace(&mut child.state, RunState::Stopped) {
            self.by_pid.remove(&process.pid());
        }
        self.published.record_end(position, incarnation);
    }

    /// Removes a child that does not run.
    pub(crate) fn remove(&mut self, position: Position) {
        if self.take(position).is_some() {
            self.published.remove(position);
        }
    }

    /// Removes a child that the supervisor has stopped for its own end. The child ended at `ended`.
    pub(crate) fn remove_stopped(
        &mut self,
        position: Position,
        reason: ExitReason,
        ended: Instant,
    ) {
        let Some(child) = self.take(position) else { return };
        let Some(pid) = child.pid() else { return };
        let uptime = ended.saturating_duration_since(child.started);
        self.published.remove_stopped(position, pid, reason, uptime);
    }

    fn take(&mut self, position: Position) -> Option<Child> {
        let child = self.list.remove(position)?;
        self.by_id.remove(&child.spec.id);
        if let Some(process) = child.process() {
            self.by_pid.remove(&process.pid());
        }
        Some(child)
    }
}
