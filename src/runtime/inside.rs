//! The trait of the contexts that the code inside a process has.

use crate::base::pid::Pid;
use crate::runtime::Runtime;
use crate::runtime::context::Context;

/// The context of code that runs inside a process: [`Context`],
/// [`TaskContext`](crate::TaskContext) or [`ServerContext`](crate::ServerContext).
///
/// The trait is sealed, so a function that links or monitors through an `Inside` always has a
/// process at the other end. [`ServerSpec::start_link`](crate::ServerSpec::start_link) has an
/// example.
pub trait Inside: sealed::Sealed {
    /// The pid of this process.
    fn pid(&self) -> Pid;

    /// The runtime that this process belongs to.
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
