//! A call that is made while deadlines are propagated.

use std::sync::Arc;

use tokio::time::Instant;

use crate::base::{Pid, current_process};
use crate::call::handed_on;
use crate::kernel::Kernel;
use crate::process::CallLimit;
use crate::runtime::{CallChain, CallError};

/// A call in progress. Dropping it removes the call from the limit of the call above.
pub(crate) struct PropagatedCall {
    /// The limit of the call that the caller handles.
    above: Option<Arc<CallLimit>>,
    limit: Arc<CallLimit>,
    /// Whether the call ended because the deadline of the call above passed.
    stays: bool,
}

impl PropagatedCall {
    /// Begins a call that has this deadline of its own, if deadlines are propagated.
    pub(crate) fn begin(kernel: &Kernel, server: Pid, due: Option<Instant>) -> Option<Self> {
        if !kernel.waits.switches.propagates_deadlines() {
            return None;
        }
        let above = limit_above(kernel);
        let limit = match &above {
            Some(above) => above.nested(server, due),
            None => {
                let runtime = kernel.number();
                CallLimit::first(runtime, current_process::current_pid(runtime), server, due)
            }
        };
        Some(PropagatedCall { above, limit, stays: false })
    }

    pub(crate) fn limit(&self) -> Arc<CallLimit> {
        self.limit.clone()
    }

    /// Returns an error if the deadline of the call above has passed: this call is not sent.
    pub(crate) fn check(&mut self, kernel: &Kernel) -> Result<(), CallError> {
        let due = self.above.as_ref().and_then(|above| above.due());
        match due {
            Some(due) if due <= Instant::now() => {
                kernel.counters.count_time_out();
                let error = self.timed_out(kernel);
                // No server waits for a call that is not sent.
                self.stays = false;
                Err(error)
            }
            _ => Ok(()),
        }
    }

    /// Returns the result of the call. A time-out names the chain.
    pub(crate) fn finish<T>(
        mut self,
        result: Result<T, CallError>,
        kernel: &Kernel,
    ) -> Result<T, CallError> {
        match result {
            Err(CallError::Timeout) => Err(self.timed_out(kernel)),
            other => other,
        }
    }

    fn timed_out(&mut self, kernel: &Kernel) -> CallError {
        self.stays = self.above.as_ref().is_some_and(|above| above.due() == self.limit.due());
        match &self.limit.chain()[..] {
            // One caller and one server: there is no more to say.
            [_, _] => CallError::Timeout,
            pids => CallError::ChainTimeout { chain: CallChain::new(kernel, pids) },
        }
    }
}

impl Drop for PropagatedCall {
    fn drop(&mut self) {
        if let Some(above) = self.above.as_ref().filter(|_| !self.stays) {
            above.remove(&self.limit);
        }
    }
}

/// Returns the limit of the call that the running code handles: the one that was handed on to it,
/// else the one of the current process.
fn limit_above(kernel: &Kernel) -> Option<Arc<CallLimit>> {
    if let Some(limit) = handed_on() {
        // The limit of a call of another runtime is no limit here.
        return limit.filter(|limit| limit.is_of(kernel.number()));
    }
    let caller = kernel.find(current_process::current_pid(kernel.number()))?;
    caller.with(|locked| locked.core().registrations()?.handled_call.clone())
}

/// Returns the deadline of a wait of the running code: `due`, or the deadline of the call that the
/// code handles, if that is earlier and deadlines are propagated.
pub(crate) fn limited(kernel: &Kernel, due: Instant) -> Instant {
    let above = kernel.waits.switches.propagates_deadlines().then(|| limit_above(kernel));
    above.flatten().and_then(|above| above.due()).map_or(due, |above| above.min(due))
}
