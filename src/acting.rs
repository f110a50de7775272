//! Who is acting on this thread.

use std::cell::Cell;

use crate::pid::Pid;

/// A runtime's number and a process of it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Actor {
    runtime: usize,
    pid: Pid,
}

thread_local! {
    static ACTOR: Cell<Actor> = const { Cell::new(Actor { runtime: 0, pid: Pid::OUTSIDE }) };
}

/// While it lives, what happens on this thread is done by this process.
#[derive(Debug)]
pub(crate) struct Acting {
    before: (usize, Pid),
}

impl Acting {
    /// `runtime` is the address of the runtime's kernel: unique while it matters.
    pub(crate) fn enter(runtime: usize, pid: Pid) -> Self {
        let before = ACTOR.replace(Actor { runtime, pid });
        Acting { before: (before.runtime, before.pid) }
    }
}

impl Drop for Acting {
    fn drop(&mut self) {
        let (runtime, pid) = self.before;
        ACTOR.set(Actor { runtime, pid });
    }
}

/// The process of this runtime whose body runs on this thread, or
/// [`Pid::OUTSIDE`].
pub(crate) fn acting(runtime: usize) -> Pid {
    let actor = ACTOR.get();
    if actor.runtime == runtime { actor.pid } else { Pid::OUTSIDE }
}

/// The process of any runtime that runs on this thread, if one does.
pub(crate) fn anyone() -> Option<Actor> {
    Some(ACTOR.get()).filter(|actor| actor.pid != Pid::OUTSIDE)
}
