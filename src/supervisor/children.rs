//! The children of one supervisor: in order, and found by place, id or pid.
//!
//! All changes of a child go through [`Children`], which repeats each in the picture that the
//! supervisor [publishes](crate::supervisor::picture): one short lock a change.

use std::collections::{BTreeMap, HashMap};
use std::ops::RangeInclusive;
use std::sync::Arc;

use tokio::time::Instant;

use crate::backoff::Backoff;
use crate::child::Spec;
use crate::exit::ExitReason;
use crate::pid::Pid;
use crate::process::{AnyProcess, Seat};
use crate::shared_str::SharedStr;
use crate::starting::StartCause;
use crate::supervisor::child_state::{EndedBy, Over, Retry, Running};
use crate::supervisor::history::Incarnation;
use crate::supervisor::incarnation::{Decision, decide};
use crate::supervisor::intensity::Counted;
use crate::supervisor::picture::{Published, ShownState, StartCounts};
use crate::supervisor::restarts::{RestartState, Run};
use crate::supervisor::strategy::Place;

/// One child.
#[derive(Debug)]
pub(crate) struct Child {
    place: Place,
    pub(crate) spec: Arc<Spec>,
    state: Running,
    /// How often it was started until now, in vain or not.
    pub(crate) starts: u32,
    /// How many of its starts, after the first, were asked for: by hand or by a hangup.
    asked_for: u32,
    pub(crate) restarts: RestartState,
    /// When its present incarnation was started.
    started: Instant,
    /// Why it last ended, or did not start.
    pub(crate) last: Option<ExitReason>,
    /// The process that it then was; `None` if it did not start.
    pub(crate) last_pid: Option<Pid>,
}

impl Child {
    pub(crate) fn state(&self) -> &Running {
        &self.state
    }

    pub(crate) fn process(&self) -> Option<&Arc<dyn AnyProcess>> {
        match &self.state {
            Running::Yes(process) => Some(process),
            Running::Restarting { .. } | Running::No => None,
        }
    }

    pub(crate) fn pid(&self) -> Option<Pid> {
        self.process().map(|process| process.pid())
    }

    /// What its latest start is known by.
    pub(crate) fn seat(&self) -> Seat {
        Seat { child: self.place, start: self.starts }
    }

    /// What a restart of it is counted for.
    pub(crate) fn counted(&self) -> Counted {
        Counted { number: self.place, id: self.spec.id.clone() }
    }

    /// It is forgotten when it is over.
    pub(crate) fn is_temporary(&self) -> bool {
        decide(self.spec.restart, &ExitReason::Normal) == Decision::Forget
    }

    /// It waits for a restart of its whole group; a start by hand is its own alone.
    pub(crate) fn brings_back_its_group(&self) -> bool {
        matches!(&self.state, Running::Restarting { retry, .. } if *retry != Retry::ByHand)
    }

    /// How many times it was started again.
    fn attempt(&self) -> u32 {
        self.starts.saturating_sub(1)
    }

    /// How many times its supervisor started it again by itself.
    pub(crate) fn restarts(&self) -> u32 {
        self.attempt().saturating_sub(self.asked_for)
    }

    /// How many times it was started again because that was asked for.
    pub(crate) fn asked_for(&self) -> u32 {
        self.asked_for
    }

    /// Its next start is asked for.
    pub(crate) fn ask_for(&mut self) {
        if self.starts > 0 {
            self.asked_for = self.asked_for.saturating_add(1);
        }
    }

    /// When the incarnation that runs was started.
    pub(crate) fn since(&self) -> Option<Instant> {
        self.process().map(|_| self.started)
    }

    /// A start of it begins.
    fn begin(&mut self) -> StartCause {
        self.starts = self.starts.saturating_add(1);
        self.started = Instant::now();
        match self.last.clone() {
            None => StartCause::First,
            Some(previous) => StartCause::Restart { attempt: self.attempt(), previous },
        }
    }

    /// The incarnation that is over; `fallback` is the backoff of a child without one of its own.
    fn over(&mut self, over: Over, fallback: Option<Backoff>) -> Incarnation {
        let Over { pid, reason, at, by } = over;
        (self.last, self.last_pid) = (Some(reason.clone()), pid);
        let delay = self.restarts.delay();
        let run = Run { started: self.started, ended: at, ran: pid.is_some() };
        let backoff = self.spec.backoff.or(fallback);
        match by {
            EndedBy::Itself => self.restarts.failed(backoff, run),
            EndedBy::Supervisor => self.restarts.stopped(backoff, run),
        }
        Incarnation {
            pid,
            started: self.started,
            ended: at,
            reason,
            attempt: self.attempt(),
            delay,
        }
    }

    fn shown_state(&self) -> ShownState {
        match &self.state {
            Running::Yes(process) => ShownState::Running(process.pid()),
            Running::Restarting { due, .. } => ShownState::Restarting { due: *due },
            Running::No => ShownState::Stopped,
        }
    }
}

/// All children of a supervisor.
#[derive(Debug)]
pub(crate) struct Children {
    published: Arc<Published>,
    list: BTreeMap<Place, Child>,
    by_id: HashMap<SharedStr, Place, foldhash::fast::RandomState>,
    by_pid: HashMap<Pid, Place, foldhash::fast::RandomState>,
    next: Place,
}

impl Children {
    /// None, and none in what is published.
    pub(crate) fn new(published: Arc<Published>) -> Self {
        Children {
            published,
            list: BTreeMap::new(),
            by_id: HashMap::default(),
            by_pid: HashMap::default(),
            next: 0,
        }
    }

    pub(crate) fn published(&self) -> &Published {
        &self.published
    }

    /// In start order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Child> {
        self.list.values()
    }

    /// The places in this range, in start order.
    pub(crate) fn places(&self, range: RangeInclusive<Place>) -> Vec<Place> {
        if range.start() == range.end() {
            let only = *range.start();
            return self.list.contains_key(&only).then_some(only).into_iter().collect();
        }
        self.list.range(range).map(|(place, _)| *place).collect()
    }

    /// The children at these places, in start order.
    pub(crate) fn range(&self, range: RangeInclusive<Place>) -> impl Iterator<Item = &Child> {
        self.list.range(range).map(|(_, child)| child)
    }

    pub(crate) fn last_place(&self) -> Option<Place> {
        self.list.last_key_value().map(|(place, _)| *place)
    }

    pub(crate) fn get(&self, place: Place) -> Option<&Child> {
        self.list.get(&place)
    }

    pub(crate) fn get_mut(&mut self, place: Place) -> Option<&mut Child> {
        self.list.get_mut(&place)
    }

    pub(crate) fn by_id(&self, id: &str) -> Option<(Place, &Child)> {
        let place = *self.by_id.get(id)?;
        Some((place, self.list.get(&place)?))
    }

    pub(crate) fn by_pid(&self, pid: Pid) -> Option<Place> {
        self.by_pid.get(&pid).copied()
    }

    /// Adds a child after the others, not running.
    pub(crate) fn add(&mut self, spec: Arc<Spec>) -> Place {
        let place = self.next;
        self.next += 1;
        self.by_id.insert(spec.id.clone(), place);
        self.published.add(place, &spec);
        let child = Child {
            place,
            spec,
            state: Running::No,
            starts: 0,
            asked_for: 0,
            restarts: RestartState::default(),
            started: Instant::now(),
            last: None,
            last_pid: None,
        };
        self.list.insert(place, child);
        place
    }

    /// A start of a child begins: why, and what is known of it.
    pub(crate) fn begin(&mut self, place: Place) -> Option<(StartCause, &Child)> {
        let child = self.list.get_mut(&place)?;
        let cause = child.begin();
        let counts = StartCounts { start: child.starts, restarts: child.restarts() };
        self.published.begin(place, counts, child.started);
        Some((cause, child))
    }

    /// A stop of a child begins at this moment, if it runs.
    pub(crate) fn begin_stop(
        &self,
        place: Place,
        now: Instant,
    ) -> Option<(&Child, &Arc<dyn AnyProcess>)> {
        let child = self.list.get(&place)?;
        let process = child.process()?;
        self.published.begin_stop(place, now);
        Some((child, process))
    }

    /// Sets what a child is doing, and keeps the index of pids true.
    pub(crate) fn set(&mut self, place: Place, state: Running) {
        let Some(child) = self.list.get_mut(&place) else { return };
        let before = std::mem::replace(&mut child.state, state);
        if let Running::Yes(process) = before {
            self.by_pid.remove(&process.pid());
        }
        if let Running::Yes(process) = &child.state {
            self.by_pid.insert(process.pid(), place);
        }
        self.published.set(place, child.shown_state());
    }

    /// An incarnation of a child is over; `fallback` is the backoff of a child that has none of
    /// its own.
    pub(crate) fn over(&mut self, place: Place, over: Over, fallback: Option<Backoff>) {
        let Some(child) = self.list.get_mut(&place) else { return };
        let incarnation = child.over(over, fallback);
        if let Running::Yes(process) = std::mem::replace(&mut child.state, Running::No) {
            self.by_pid.remove(&process.pid());
        }
        self.published.over(place, incarnation);
    }

    /// Forgets a child.
    pub(crate) fn remove(&mut self, place: Place) {
        let Some(child) = self.list.remove(&place) else { return };
        self.by_id.remove(&child.spec.id);
        if let Some(process) = child.process() {
            self.by_pid.remove(&process.pid());
        }
        self.published.remove(place);
    }
}
