//! The children that a stopping dynamic supervisor waits for.

use std::collections::VecDeque;
use std::sync::Arc;

use tokio::time::Instant;

use crate::exit::{ExitReason, Shutdown};
use crate::observe::Doing;
use crate::process::AnyProcess;
use crate::supervisor::dynamic::Child;
use crate::supervisor::{PublishedCell, Report};

/// The children that were asked to stop and whose end has not been reported yet. If the supervisor
/// is killed while it waits, the drop reports the children that have already ended.
pub(super) struct PendingStops {
    report: Report,
    /// The state of the supervisor that readers see. It changes with each reported end.
    published: Arc<PublishedCell>,
    began: Instant,
    /// Each child with its deadline. A child that was killed also has its activity at that moment.
    children: VecDeque<(Option<Instant>, Child, Option<Doing>)>,
}

impl PendingStops {
    pub(super) fn new(report: &Report, published: &Arc<PublishedCell>, began: Instant) -> Self {
        let (report, published) = (report.clone(), published.clone());
        PendingStops { report, published, began, children: VecDeque::new() }
    }

    /// Adds a child that was asked to stop. The child is killed at `due`, if there is a deadline.
    pub(super) fn push(&mut self, due: Option<Instant>, child: Child) {
        self.children.push_back((due, child, None));
    }

    /// Sorts the children by deadline, and returns their number. Children without a deadline are
    /// last. In this order no deadline passes while a child with a later deadline is awaited.
    pub(super) fn sort_by_deadline(&mut self) -> usize {
        let latest = self.began;
        let order = |due: &Option<Instant>| due.map_or((1, latest), |due| (0, due));
        self.children.make_contiguous().sort_by_key(|(due, ..)| order(due));
        self.children.len()
    }

    pub(super) fn began(&self) -> Instant {
        self.began
    }

    /// Returns the children that are awaited after the first one.
    pub(super) fn rest(&self) -> impl ExactSizeIterator<Item = &Child> {
        self.children.iter().skip(1).map(|(_, child, _)| child)
    }

    pub(super) fn first(&self) -> Option<(Option<Instant>, &Child)> {
        self.children.front().map(|(due, child, _)| (*due, child))
    }

    /// Removes the first child, and reports its end with this reason.
    pub(super) fn report_first(&mut self, reason: &ExitReason) {
        let Some((_, child, doing)) = self.children.pop_front() else { return };
        let Some(process) = child.process() else { return };
        let overran = doing.filter(|_| child.shutdown != Shutdown::BrutalKill);
        child.stop_request(process).record_stop(&self.report, self.began, reason, overran);
        let (pid, uptime) = (process.pid(), child.started.elapsed());
        self.published.set_count(self.children.len());
        self.published.remove_awaited(pid, &child.id, reason, uptime);
    }

    /// Moves the first child, which was killed, behind all others.
    pub(super) fn move_first_to_back(&mut self, doing: Option<Doing>) {
        if let Some((due, child, _)) = self.children.pop_front() {
            self.children.push_back((due, child, doing));
        }
    }
}

impl Drop for PendingStops {
    fn drop(&mut self) {
        while let Some((_, child, doing)) = self.children.front() {
            let brutally = child.shutdown == Shutdown::BrutalKill;
            match child.process().and_then(|process| ended(&**process)) {
                // The kill of the supervisor has ended the child, not the supervisor's stop.
                Some(ExitReason::Killed) if !brutally && doing.is_none() => {}
                Some(reason) => {
                    self.report_first(&reason);
                    continue;
                }
                None => {}
            }
            self.children.pop_front();
        }
    }
}

/// Returns the exit reason of a process if its end was announced.
pub(super) fn ended(process: &dyn AnyProcess) -> Option<ExitReason> {
    process.with(|locked| {
        let core = locked.core();
        core.end_is_announced().then(|| core.reason.clone().unwrap_or(ExitReason::NoProc))
    })
}
