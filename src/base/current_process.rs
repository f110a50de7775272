//! Who is acting on this thread.

use std::cell::Cell;

use crate::base::pid::Pid;

/// A runtime's number and a process of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Current {
    runtime: usize,
    pid: Pid,
    /// The address of its record, while its body lives.
    record: usize,
}

const NO_PROCESS: Current = Current { runtime: 0, pid: Pid::OUTSIDE, record: 0 };

thread_local! {
    static CURRENT: Cell<Current> = const { Cell::new(NO_PROCESS) };
}

/// While it lives, what happens on this thread is done by this process.
#[derive(Debug)]
pub(crate) struct CurrentGuard {
    before: Current,
}

impl CurrentGuard {
    /// `runtime` is the address of the runtime's kernel: unique while it matters.
    pub(crate) fn enter(runtime: usize, pid: Pid) -> Self {
        CurrentGuard::enter_body(runtime, pid, 0)
    }

    /// The same where it is the body of the process with this record that does it.
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

/// The process of this runtime whose body runs on this thread, or
/// [`Pid::OUTSIDE`].
pub(crate) fn current_pid(runtime: usize) -> Pid {
    let current = CURRENT.get();
    if current.runtime == runtime { current.pid } else { Pid::OUTSIDE }
}

/// The address of the record of the process whose body runs or is dropped on this thread, or 0.
pub(crate) fn current_record() -> usize {
    CURRENT.get().record
}

/// The process of any runtime that runs on this thread, if one does.
pub(crate) fn current() -> Option<Current> {
    Some(CURRENT.get()).filter(|current| current.pid != Pid::OUTSIDE)
}
