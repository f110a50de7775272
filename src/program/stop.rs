//! The stop of a run: in order as long as there is time, then by force.

use std::future::pending;
use std::sync::Arc;

use tokio::time::{Instant, sleep_until};

use crate::kernel::stop_above::StopInProgress;
use crate::program::signals::Asked;
use crate::program::stop_report::{CutShort, StopCause, StopReport};
use crate::program::stop_state::Stopping;
use crate::program::tree_members::{Below, Cut};
use crate::program::watchdog::Watchdog;
use crate::program::{LAST_WAIT, Run, RunError, first, next};
use crate::supervisor::SupervisorRef;

/// A stop that has begun.
pub(super) struct Stop {
    cause: StopCause,
    pub(super) began: Instant,
    below: Arc<Below>,
    _begun: StopInProgress,
}

impl Stop {
    /// Kills all that is left.
    pub(super) async fn force(self, by: CutShort, watchdog: &Option<Watchdog>) -> StopReport {
        let says_so = || watchdog.iter().for_each(Watchdog::forces);
        says_so();
        self.below.kill_all(LAST_WAIT).await;
        says_so();
        self.report(Some(by))
    }

    fn report(self, cut_short: Option<CutShort>) -> StopReport {
        let took = self.began.elapsed();
        let by = cut_short.unwrap_or(CutShort::Deadline);
        let children = self.below.report(took, &Cut { by, in_order: true });
        StopReport { cause: self.cause, took, forced: cut_short.is_some(), children }
    }
}

impl Run {
    /// The stop begins.
    pub(super) fn begin_stop(
        &self,
        stopping: &Stopping,
        watchdog: &Option<Watchdog>,
        cause: StopCause,
    ) -> Stop {
        if let Some(watchdog) = watchdog {
            watchdog.begun(&cause, self.deadline);
        }
        let below = stopping.begin(&cause).expect("the root is set before the stop begins");
        let begun = below.begin_stop(&cause);
        if let Some(token) = &self.cancel_on_stop {
            token.cancel();
        }
        Stop { cause, began: Instant::now(), below, _begun: begun }
    }

    /// Waits until the time is up, or a second signal says that it is.
    pub(super) async fn cut_short(
        &self,
        watchdog: &mut Option<Watchdog>,
        began: Instant,
    ) -> CutShort {
        let limit = async {
            match began.checked_add(self.deadline) {
                Some(due) => sleep_until(due).await,
                None => pending().await,
            }
            CutShort::Deadline
        };
        let again = async {
            while !matches!(next(watchdog).await, Asked::StopNow(_)) {}
            CutShort::SecondSignal
        };
        first(limit, again).await
    }

    pub(super) async fn stop(
        &self,
        tree: &SupervisorRef,
        watchdog: &mut Option<Watchdog>,
        stop: Stop,
    ) -> Result<StopReport, RunError> {
        let ended = tree.ended();
        let asked = async {
            // A root that is gone by now has told why.
            drop(tree.stop().await);
            Ok(ended.await)
        };
        let cut_short = async { Err(self.cut_short(watchdog, stop.began).await) };
        match first(asked, cut_short).await {
            Ok(reason) if reason.is_clean() => Ok(stop.report(None)),
            Ok(reason) => Err(stop.below.error(reason)),
            Err(by) => Ok(stop.force(by, watchdog).await),
        }
    }
}
