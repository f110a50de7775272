//! A stop that is requested while the tree starts.

use std::future::Future;

use crate::program::run::next_request;
use crate::program::stop::Stop;
use crate::program::{Run, RunError, SignalRequest, StopCause, StopReport, Watchdog, first};
use crate::runtime::StartError;
use crate::supervisor::SupervisorRef;

impl Run {
    /// Waits for a request to stop while the tree starts. Drops requests to reload, since the
    /// children read their configuration when they start.
    pub(super) async fn stop_requested(&self, watchdog: &mut Option<Watchdog>) -> StopCause {
        let signal = async {
            loop {
                if let SignalRequest::Stop(signal) | SignalRequest::StopNow(signal) =
                    next_request(watchdog).await
                {
                    return StopCause::Signal(signal);
                }
            }
        };
        first(signal, self.token_cancelled()).await
    }

    /// Waits for the end of the start, and then stops the tree. Kills the tree if the deadline or a
    /// second signal comes first.
    pub(super) async fn stop_during_start(
        &self,
        starting: impl Future<Output = Result<SupervisorRef, StartError>>,
        watchdog: &mut Option<Watchdog>,
        stop: Stop,
    ) -> Result<StopReport, RunError> {
        let started = async { Ok(starting.await) };
        let cut_short = async { Err(self.cut_short(watchdog, stop.began).await) };
        let started = first(started, cut_short).await;
        match started {
            Ok(started) => {
                let tree = started.map_err(RunError::Start)?;
                self.stop(&tree, watchdog, stop).await
            }
            Err(by) => Ok(stop.force(by, watchdog).await),
        }
    }
}
