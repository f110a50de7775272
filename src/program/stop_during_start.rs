//! A stop that is requested while the tree starts.

use std::future::Future;

use crate::program::run::next_request;
use crate::program::signals::SignalRequest;
use crate::program::stop::Stop;
use crate::program::stop_report::{StopCause, StopReport};
use crate::program::watchdog_handle::Watchdog;
use crate::program::{Run, RunError, first};
use crate::runtime::errors::start_error::StartError;
use crate::supervisor::SupervisorRef;

impl Run {
    /// Waits for a request to stop while the tree starts. A request to reload is dropped: the
    /// starting child reads its configuration in any case.
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

    /// Waits for the end of the start and stops the tree then, or kills the tree when time is up.
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
