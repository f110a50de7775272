//! The processes that one start of a child has begun.

use std::sync::Arc;

use crate::base::pid::Pid;
use crate::process::AnyProcess;

/// What a start has begun until it is over: listed before anything is awaited, so that a start
/// that fails, panics or is dropped leaves none of them. Most starts begin one process, which
/// costs no allocation.
#[derive(Debug, Default)]
pub(crate) struct StartedProcesses {
    first: Option<Arc<dyn AnyProcess>>,
    others: Vec<Arc<dyn AnyProcess>>,
}

impl StartedProcesses {
    pub(crate) fn push(&mut self, process: Arc<dyn AnyProcess>) {
        match self.first {
            None => self.first = Some(process),
            Some(_) => self.others.push(process),
        }
    }

    pub(crate) fn contains(&self, pid: Pid) -> bool {
        self.iter().any(|process| process.pid() == pid)
    }

    /// The one that was begun last, other than this one.
    pub(crate) fn last_except(&self, kept: Option<Pid>) -> Option<Arc<dyn AnyProcess>> {
        self.iter().filter(|process| Some(process.pid()) != kept).last().cloned()
    }

    pub(crate) fn remove(&mut self, pid: Pid) {
        self.first.take_if(|process| process.pid() == pid);
        self.others.retain(|process| process.pid() != pid);
    }

    /// Nothing is listed afterwards.
    pub(crate) fn take(&mut self) -> impl Iterator<Item = Arc<dyn AnyProcess>> + use<> {
        self.first.take().into_iter().chain(std::mem::take(&mut self.others))
    }

    fn iter(&self) -> impl Iterator<Item = &Arc<dyn AnyProcess>> {
        self.first.iter().chain(&self.others)
    }
}
