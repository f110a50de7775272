//! What a dynamic supervisor tells of its children, and what it publishes of them.

use std::collections::BTreeMap;
use std::iter;

use tokio::time::Instant;

use crate::base::pid::Pid;
use crate::supervisor::dynamic::child::Child;
use crate::supervisor::dynamic::server::DynamicServer;
use crate::supervisor::info::{ChildCounts, ChildInfo};
use crate::supervisor::published_state::{PublishedChild, Step};

/// How many children a snapshot shows.
const SHOWN: usize = 100;

impl DynamicServer {
    /// In the order of their pids.
    pub(super) fn which_children(&self) -> Vec<ChildInfo> {
        let mut pids: Vec<Pid> = self.children.keys().copied().collect();
        pids.sort_unstable();
        pids.into_iter().filter_map(|pid| Some(self.children.get(&pid)?.info(pid))).collect()
    }

    pub(super) fn count_children(&self) -> ChildCounts {
        let children = self.children.values();
        ChildCounts::of(children.map(|child| (child.kind, child.process().is_some())))
    }

    /// Shows the first hundred children, in the order of their pids, as they are now.
    pub(super) fn publish(&self) {
        let mut pids: Vec<Pid> = self.children.keys().copied().collect();
        if pids.len() > SHOWN {
            pids.select_nth_unstable(SHOWN);
            pids.truncate(SHOWN);
        }
        let shown = |pid: Pid| Some((pid.raw(), self.children.get(&pid)?.shown(pid)));
        let shown = pids.into_iter().filter_map(shown).collect();
        let now = Instant::now();
        let budget = self.window.budget(self.spec.intensity, now);
        self.published.change(|picture| picture.set_budget(budget, now));
        self.show(shown);
    }

    /// Shows that it has begun to stop, and what it has.
    pub(super) fn show_ending(&self) {
        self.publish();
        self.published.change(|picture| picture.ending = Some(Instant::now()));
    }

    /// Shows that it waits for the ends of so many that it had half started.
    pub(super) fn show_half_started(&self, count: usize) {
        self.published.set_count(count);
        self.published.change(|picture| picture.step = Step::Serving);
    }

    /// Shows that it waits for the end of this child, which was asked to stop then, and next
    /// for those. A hundred are shown at once, so that each costs a small share of that.
    pub(super) fn show_wait<'a>(
        &self,
        child: &'a Child,
        began: Instant,
        later: impl ExactSizeIterator<Item = &'a Child>,
    ) {
        self.published.set_count(1 + later.len());
        let Some(process) = child.process() else { return };
        let key = process.pid().raw();
        let step = Step::Stopping { key, since: began };
        let is_shown = self.published.change(|picture| {
            picture.step = step;
            picture.children.contains_key(&key)
        });
        if !is_shown {
            let shown = iter::once(child).chain(later).take(SHOWN).filter_map(|child| {
                let pid = child.process()?.pid();
                Some((pid.raw(), child.shown(pid)))
            });
            self.show(shown.collect());
        }
    }

    fn show(&self, mut children: BTreeMap<u64, PublishedChild>) {
        self.published.change(|picture| std::mem::swap(&mut picture.children, &mut children));
    }
}
