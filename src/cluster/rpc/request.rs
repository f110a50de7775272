//! A call of a function, from its request to its result.

use crate::base::Pid;
use crate::cluster::rpc::caller::{Called, Caller};
use crate::cluster::rpc::functions::{Call, Failure};
use crate::cluster::rpc::running::Counted;

/// A call of a function that has not got its result.
pub(crate) struct Request {
    caller: Caller,
    called: Called,
    call: Result<Call, Failure>,
    is_answered: bool,
    /// `None` if there is no room for it.
    _counted: Option<Counted>,
}

impl Request {
    pub(super) fn new(
        caller: Caller,
        called: Called,
        call: Result<Call, Failure>,
        counted: Option<Counted>,
    ) -> Self {
        Request { caller, called, call, is_answered: false, _counted: counted }
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
        if !self.is_answered {
            self.caller.finish(&self.called, &Err(Failure::Killed));
        }
    }
}
