//! The trait of all contexts that code inside a process gets.

use crate::base::Pid;
use crate::runtime::{Context, Runtime};

/// The context of code that runs inside a process: [`Context`],
/// [`TaskContext`](crate::TaskContext), [`BlockingContext`](crate::BlockingContext) or
/// [`ServerContext`](crate::ServerContext); in a test also a [`Probe`](crate::testing::Probe).
///
/// The trait is sealed, so every `Inside` belongs to a process. A function that takes an `Inside`
/// can link that process to another one, or make it the watcher of a monitor.
/// [`ServerSpec::start_link`](crate::ServerSpec::start_link) has an example.
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
