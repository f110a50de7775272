//! A stop that is asked for while the tree still starts.

use std::future::Future;

use crate::program::signals::Asked;
use crate::program::stop::Stop;
use crate::program::stop_report::{StopCause, StopReport};
use crate::program::watchdog::Watchdog;
use crate::program::{Run, RunError, first, next};
use crate::runtime::errors::start_error::StartError;
use crate::supervisor::SupervisorRef;

impl Run {
    /// Waits until it is asked to stop, while the tree starts: there is nothing to reload yet.
    pub(super) async fn asked(&self, watchdog: &mut Option<Watchdog>) -> StopCause {
        let signal = async {
            loop {
                if let Asked::Stop(signal) | Asked::StopNow(signal) = next(watchdog).await {
                    return StopCause::Signal(signal);
                }
            }
        };
        first(signal, self.token()).await
    }

    /// It is to stop before it is up: it is stopped when it is, or killed when the time is up.
    pub(super) async fn call_off(
        &self,
        starting: impl Future<Output = Result<SupervisorRef, StartError>>,
        watchdog: &mut Option<Watchdog>,
        stop: Stop,
    ) -> Result<StopReport, RunError> {
        let up = async { Ok(starting.await) };
        let cut_short = async { Err(self.cut_short(watchdog, stop.began).await) };
        let up = first(up, cut_short).await;
        match up {
            Ok(started) => {
                let tree = started.map_err(RunError::Start)?;
                self.stop(&tree, watchdog, stop).await
            }
            Err(by) => Ok(stop.force(by, watchdog).await),
        }
    }
}
