//! The children that a dynamic supervisor has asked to stop, all at once.

use std::collections::VecDeque;

use tokio::time::Instant;

use crate::exit::reason::ExitReason;
use crate::exit::shutdown::Shutdown;
use crate::observe::doing::Doing;
use crate::process::AnyProcess;
use crate::supervisor::dynamic::child::Child;
use crate::supervisor::report::Report;

/// The children that were asked to stop, and whose end has not been told yet.
///
/// If the supervisor is killed while it waits for one of them, it tells in its end of all that
/// had ended by then.
pub(super) struct PendingStops {
    report: Report,
    began: Instant,
    /// Until when each has time, and what it was doing when that was over.
    children: VecDeque<(Option<Instant>, Child, Option<Doing>)>,
}

impl PendingStops {
    pub(super) fn new(report: &Report, began: Instant) -> Self {
        PendingStops { report: report.clone(), began, children: VecDeque::new() }
    }

    /// This child was asked, and has time until then.
    pub(super) fn push(&mut self, due: Option<Instant>, child: Child) {
        self.children.push_back((due, child, None));
    }

    /// Puts the child whose time is up first before all others: so none is overlooked while
    /// another is waited for. How many there are.
    pub(super) fn sort_by_deadline(&mut self) -> usize {
        let latest = self.began;
        let order = |due: &Option<Instant>| due.map_or((1, latest), |due| (0, due));
        self.children.make_contiguous().sort_by_key(|(due, ..)| order(due));
        self.children.len()
    }

    pub(super) fn began(&self) -> Instant {
        self.began
    }

    /// Those that are waited for after the first.
    pub(super) fn rest(&self) -> impl ExactSizeIterator<Item = &Child> {
        self.children.iter().skip(1).map(|(_, child, _)| child)
    }

    pub(super) fn first(&self) -> Option<(Option<Instant>, &Child)> {
        self.children.front().map(|(due, child, _)| (*due, child))
    }

    /// The first has ended with this reason.
    pub(super) fn report_first(&mut self, reason: &ExitReason) {
        let Some((_, child, doing)) = self.children.pop_front() else { return };
        let Some(process) = child.process() else { return };
        let overran = doing.filter(|_| child.shutdown != Shutdown::BrutalKill);
        child.stop_request(process).tell(&self.report, self.began, reason, overran);
    }

    /// The first was killed at what it was doing, and is waited for after all others.
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
                // Killed with the supervisor: that is not what the supervisor's stop came to.
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

/// The reason of a process that has ended.
pub(super) fn ended(process: &dyn AnyProcess) -> Option<ExitReason> {
    process.with(|locked| {
        let core = locked.core();
        core.end_announced.then(|| core.reason.clone().unwrap_or(ExitReason::NoProc))
    })
}
