//! The processes of one start of a child.

use std::sync::Arc;

use crate::base::Pid;
use crate::process::AnyProcess;

/// The processes that an unfinished start has started.
///
/// A start function that may wait adds each process before it awaits anything, so that a start that
/// fails, panics or is dropped leaves no process behind. A start function that never waits adds no
/// process. Most starts start one process, for which the list does not allocate.
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

    /// Returns the last process in the list other than `kept`.
    pub(crate) fn last_except(&self, kept: Option<Pid>) -> Option<Arc<dyn AnyProcess>> {
        self.iter().filter(|process| Some(process.pid()) != kept).last().cloned()
    }

    pub(crate) fn remove(&mut self, pid: Pid) {
        self.first.take_if(|process| process.pid() == pid);
        self.others.retain(|process| process.pid() != pid);
    }

    /// Empties the list and returns its processes.
    pub(crate) fn take(&mut self) -> impl Iterator<Item = Arc<dyn AnyProcess>> + use<> {
        self.first.take().into_iter().chain(std::mem::take(&mut self.others))
    }

    fn iter(&self) -> impl Iterator<Item = &Arc<dyn AnyProcess>> {
        self.first.iter().chain(&self.others)
    }
}
