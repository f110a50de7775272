//! Queries about the children of a dynamic supervisor, and the state that it publishes for
//! snapshots.

use std::cmp::Reverse;
use std::iter;

use tokio::time::Instant;

use crate::base::{Pid, PositionMap, TimeOfDay};
use crate::observe::ChangeKind;
use crate::supervisor::dynamic::fold::{
    FoldAnswer, FoldRequest, FoldedChild, FoldedCounts, PART, Rank, keep_worst,
};
use crate::supervisor::dynamic::{Child, DynamicServer, State};
use crate::supervisor::ended_children::EndedChildren;
use crate::supervisor::{ChildCounts, ChildInfo, PublishedChild, ReadyShare, Step};

/// The maximum number of children of one dynamic supervisor that a snapshot shows.
const SHOWN: usize = 100;

impl DynamicServer {
    /// Returns all children, in the order of their pids.
    pub(super) fn which_children(&self) -> Vec<ChildInfo> {
        let mut pids: Vec<Pid> = self.children.keys().copied().collect();
        pids.sort_unstable();
        pids.into_iter()
            .filter_map(|pid| {
                let child = self.children.get(&pid)?;
                Some(child.shown(pid).info(child.requested_starts()))
            })
            .collect()
    }

    pub(super) fn count_children(&self) -> ChildCounts {
        let children = self.children.values();
        ChildCounts::of(children.map(|child| (child.kind, child.process().is_some())))
    }

    /// Publishes the first hundred children, in the order of their pids, as they are now.
    pub(super) fn publish(&self) {
        let mut pids: Vec<Pid> = self.children.keys().copied().collect();
        if pids.len() > SHOWN {
            pids.select_nth_unstable(SHOWN);
            pids.truncate(SHOWN);
        }
        let shown = |pid: Pid| Some((pid.raw(), self.children.get(&pid)?.shown(pid)));
        let shown = pids.into_iter().filter_map(shown).collect();
        let ready_share = self.ready_share();
        self.publish_budget(Instant::now());
        self.published.change(|picture| picture.ready_share = ready_share);
        self.show(shown);
    }

    /// Publishes the budget that all children share.
    pub(super) fn publish_budget(&self, now: Instant) {
        let budget = self.window.budget(self.spec.intensity, now);
        self.published.change(|picture| picture.set_budget(budget, now));
    }

    /// Returns the counts of the requested children, and the worst of them. If there are too many
    /// children for one answer, the first answer has only their pids.
    pub(super) fn fold(&self, request: &FoldRequest) -> FoldAnswer {
        let mut counts = FoldedCounts::default();
        let (mut in_parts, mut gone, mut worst) = (Vec::new(), Vec::new(), Vec::new());
        let mut count = |pid: Pid| match self.children.get(&pid) {
            Some(child) => {
                let badness = counts.count(child);
                worst.extend(request.lists(child).then_some((Reverse(badness), pid)));
            }
            None => gone.push(pid),
        };
        match request.pids() {
            Some(part) => part.iter().for_each(|pid| count(*pid)),
            None if self.children.len() > PART => in_parts.extend(self.children.keys()),
            None => self.children.keys().for_each(|pid| count(*pid)),
        }
        keep_worst(&mut worst, request.most);
        let listed = |rank: Rank| Some(FoldedChild::new(self.children.get(&rank.1)?, rank));
        let worst = worst.into_iter().filter_map(listed).collect();
        let ended = match request.pids() {
            Some(_) if gone.is_empty() => EndedChildren::default(),
            _ => self.published.change(|state| state.ended.clone()),
        };
        let budget = self.window.budget(self.spec.intensity, Instant::now());
        let last_change = self.report.source.last_change();
        FoldAnswer { counts, in_parts, worst, gone, ended, budget, last_change }
    }

    /// Counts the children that are ready, if the specification requires a share of them.
    fn ready_share(&self) -> Option<ReadyShare> {
        let percent = self.spec.ready_percent;
        let is_ready = |child: &&Child| match &child.state {
            State::Running(process) => process.with(|locked| {
                let core = locked.core();
                core.is_open() && core.reported_health().is_none_or(|health| health.is_serving())
            }),
            _ => false,
        };
        (percent > 0).then(|| ReadyShare {
            percent,
            children: self.children.len(),
            ready: self.children.values().filter(is_ready).count(),
        })
    }

    /// Publishes the number of children. In a chaos run, whose snapshots ask no supervisor,
    /// publishes the children as well.
    pub(super) fn publish_count(&self) {
        self.published.set_count(self.children.len());
        #[cfg(feature = "chaos")]
        if self.report.runtime.kernel.faults.get().is_some() {
            self.publish();
        }
    }

    /// Publishes the children, and that the supervisor has begun to stop.
    pub(super) fn show_ending(&self) {
        self.publish();
        self.published.set_count(self.children.len());
        self.published.begin_ending(Instant::now());
    }

    /// Publishes the deadlines of the published children. All of them were asked to stop at
    /// `began`.
    pub(super) fn show_deadlines(&self, began: Instant) {
        self.published.change(|picture| {
            for (pid, shown) in picture.children.iter_mut() {
                let child = self.children.get(&Pid::from_raw(pid));
                shown.stop_due = child.and_then(|child| child.shutdown.deadline(began));
            }
        });
    }

    /// Publishes that the supervisor waits for this number of half-started children.
    pub(super) fn show_half_started(&self, count: usize) {
        self.published.set_count(count);
        self.published.change(|picture| picture.step = Step::Serving);
    }

    /// Publishes that the supervisor waits for the end of `child`, and then for the children in
    /// `later`. All of them were asked to stop at `began`. The list has a hundred children at a
    /// time, so that the cost for each child is small.
    pub(super) fn show_wait<'a>(
        &self,
        child: &'a Child,
        began: Instant,
        later: impl ExactSizeIterator<Item = &'a Child>,
    ) {
        let Some(process) = child.process() else { return };
        let key = process.pid().raw();
        let (step, source) = (Step::Stopping { key, since: began }, &self.report.source);
        let (is_shown, pushed) = self.published.change(|picture| {
            picture.step = step;
            let is_shown = picture.children.get(key).is_some();
            let pid = Some(process.pid());
            let due = child.shutdown.deadline(began);
            let kind = || ChangeKind::HoldsStop { deadline: due.map(TimeOfDay::at) };
            (is_shown, source.child(&child.id, pid, kind))
        });
        drop(pushed);
        if !is_shown {
            let shown = iter::once(child).chain(later).take(SHOWN).filter_map(|child| {
                let pid = child.process()?.pid();
                let stop_due = child.shutdown.deadline(began);
                Some((pid.raw(), PublishedChild { stop_due, ..child.shown(pid) }))
            });
            self.show(shown.collect());
        }
    }

    fn show(&self, mut children: PositionMap<PublishedChild>) {
        self.published.change(|picture| std::mem::swap(&mut picture.children, &mut children));
    }
}
