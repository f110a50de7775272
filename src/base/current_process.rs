//! The process whose code runs on this thread.

use std::cell::Cell;

use crate::base::pid::Pid;

/// A process, with its runtime and its record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Current {
    /// The address of the kernel of the process's runtime.
    runtime: usize,
    pid: Pid,
    /// The address of the process's record while its body runs or is dropped, otherwise 0.
    record: usize,
}

impl Current {
    /// The runtime and the pid.
    pub(crate) fn process(self) -> (usize, Pid) {
        (self.runtime, self.pid)
    }
}

const NO_PROCESS: Current = Current { runtime: 0, pid: Pid::OUTSIDE, record: 0 };

thread_local! {
    static CURRENT: Cell<Current> = const { Cell::new(NO_PROCESS) };
}

/// Makes a process the current process of this thread. Dropping the guard restores the process that
/// was current before.
#[derive(Debug)]
pub(crate) struct CurrentGuard {
    before: Current,
}

impl CurrentGuard {
    /// Makes a process current, for its teardown or for the thread of a blocking child. `runtime`
    /// is the address of the runtime's kernel, which is unique while the guard exists.
    pub(crate) fn enter(runtime: usize, pid: Pid) -> Self {
        CurrentGuard::enter_body(runtime, pid, 0)
    }

    /// Makes a process current, for its body. `record` is the address of the record of the process.
    #[inline]
    pub(crate) fn enter_body(runtime: usize, pid: Pid, record: usize) -> Self {
        CurrentGuard { before: CURRENT.replace(Current { runtime, pid, record }) }
    }
}

impl Drop for CurrentGuard {
    fn drop(&mut self) {
        CURRENT.set(self.before);
    }
}

/// The process of this runtime whose code runs on this thread, or [`Pid::OUTSIDE`].
#[inline]
pub(crate) fn current_pid(runtime: usize) -> Pid {
    let current = CURRENT.get();
    if current.runtime == runtime { current.pid } else { Pid::OUTSIDE }
}

/// The address of the record of the process whose body runs or is dropped on this thread; 0 if
/// there is none.
pub(crate) fn current_record() -> usize {
    CURRENT.get().record
}

/// The process of any runtime whose code runs on this thread, if there is one.
pub(crate) fn current() -> Option<Current> {
    Some(CURRENT.get()).filter(|current| current.pid != Pid::OUTSIDE)
}
