//! What it means to be inside of a process.

use crate::base::pid::Pid;
use crate::runtime::Runtime;
use crate::runtime::context::Context;

/// The inside of a process: a [`Context`], a [`TaskContext`](crate::TaskContext) or a
/// [`ServerContext`](crate::ServerContext). Only these are, so what is linked or
/// monitored through one has a process at its other end.
/// [`ServerSpec::start_link`](crate::ServerSpec::start_link) has an example.
pub trait Inside: sealed::Sealed {
    /// The pid of this process.
    fn pid(&self) -> Pid;

    /// The runtime it lives in.
    fn runtime(&self) -> Runtime;
}

pub(crate) mod sealed {
    pub trait Sealed {}
}

impl sealed::Sealed for Context {}

impl Inside for Context {
    fn pid(&self) -> Pid {
        Context::pid(self)
    }

    fn runtime(&self) -> Runtime {
        Context::runtime(self)
    }
}
