//! What a dynamic supervisor tells of its children.

use crate::child::ChildType;
use crate::supervisor::describe::Description;
use crate::supervisor::dynamic::nursery::Nursery;
use crate::supervisor::info::{ChildCounts, ChildInfo};

/// How many children a snapshot shows.
const SHOWN: usize = 100;

impl Nursery {
    /// In the order of their pids.
    pub(super) fn which_children(&self) -> Vec<ChildInfo> {
        self.first(usize::MAX)
    }

    fn first(&self, most: usize) -> Vec<ChildInfo> {
        let mut pids: Vec<_> = self.children.keys().copied().collect();
        pids.sort_unstable();
        let shown = pids.into_iter().take(most);
        shown.filter_map(|pid| Some(self.children.get(&pid)?.info(pid))).collect()
    }

    pub(super) fn count_children(&self) -> ChildCounts {
        let mut counts = ChildCounts { specs: self.children.len(), ..ChildCounts::default() };
        for child in self.children.values() {
            counts.active += usize::from(child.process().is_some());
            match child.kind {
                ChildType::Worker => counts.workers += 1,
                ChildType::Supervisor => counts.supervisors += 1,
            }
        }
        counts
    }

    pub(super) fn describe(&self) -> Description {
        let children = self.first(SHOWN);
        Description {
            strategy: "dynamic",
            since: self.since,
            budget: self.window.budget(self.spec.intensity),
            more: self.children.len() - children.len(),
            children,
        }
    }
}
