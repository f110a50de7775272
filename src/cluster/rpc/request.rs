//! A call of a function, from its request to its result.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use crate::base::Pid;
use crate::cluster::rpc::caller::{Called, Caller};
use crate::cluster::rpc::functions::{Call, Failure};

/// A call of a function that has not got its result.
pub(crate) struct Request {
    caller: Caller,
    called: Called,
    call: Result<Call, Failure>,
    is_answered: bool,
    /// The count of the functions that run, in which this one is.
    running: Arc<AtomicUsize>,
}

impl Request {
    /// A call, which is counted in `running`.
    pub(super) fn new(
        caller: Caller,
        called: Called,
        call: Result<Call, Failure>,
        running: Arc<AtomicUsize>,
    ) -> Self {
        running.fetch_add(1, Relaxed);
        Request { caller, called, call, is_answered: false, running }
    }

    /// Splits off what the process runs.
    pub(super) fn take_call(&mut self) -> Result<Call, Failure> {
        std::mem::replace(&mut self.call, Err(Failure::Killed))
    }

    pub(super) fn started(&mut self, pid: Pid) {
        self.caller.started(pid);
    }

    pub(super) fn answer(mut self, result: &Result<Vec<u8>, Failure>) {
        self.is_answered = true;
        self.caller.finish(&self.called, result);
    }
}

impl Drop for Request {
    fn drop(&mut self) {
        self.running.fetch_sub(1, Relaxed);
        if !self.is_answered {
            self.caller.finish(&self.called, &Err(Failure::Killed));
        }
    }
}
