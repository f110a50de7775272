//! A stop that is asked for while the tree still starts.

use std::future::Future;

use crate::call_error::StartError;
use crate::run::below::Below;
use crate::run::report::{StopCause, StopReport};
use crate::run::signals::{Asked, Signals};
use crate::run::{LAST_WAIT, Run, RunError, first, next};
use crate::supervisor::SupervisorRef;

impl Run {
    /// Waits until it is asked to stop, while the tree starts: there is nothing to reload yet.
    pub(super) async fn asked(&self, signals: &mut Option<Signals>) -> StopCause {
        let signal = async {
            loop {
                if let Asked::Stop(signal) = next(signals).await {
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
        signals: &mut Option<Signals>,
        mut below: Below,
        cause: StopCause,
    ) -> Result<StopReport, RunError> {
        self.tell();
        let up = {
            let cut_short = async {
                self.cut_short(signals, below.began()).await;
                None
            };
            first(async { Some(starting.await) }, cut_short).await
        };
        match up {
            Some(started) => {
                let tree = started.map_err(RunError::Start)?;
                self.stop(&tree, signals, below, cause).await
            }
            None => {
                below.kill_all(LAST_WAIT).await;
                let (took, children) = (below.began().elapsed(), below.report());
                Ok(StopReport { cause, took, forced: true, children })
            }
        }
    }
}
