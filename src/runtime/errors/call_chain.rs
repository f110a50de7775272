//! The processes of a chain of calls.

use std::fmt;
use std::sync::Arc;

use crate::base::{Pid, SharedStr, name};
use crate::kernel::Kernel;

/// The processes of a chain of calls: the caller of the first call, and the server of each call.
/// [`Runtime::propagate_deadlines`](crate::Runtime::propagate_deadlines) has an example.
///
/// The [`Display`](fmt::Display) text is `front #3 called ledger #2 called store #1`: the
/// name of each process, else its label, and its pid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallChain(Arc<[Entry]>);

#[derive(Debug, PartialEq, Eq)]
struct Entry {
    pid: Pid,
    /// The name or the label, if the process has one and was alive when the error was created.
    name: Option<SharedStr>,
}

impl CallChain {
    #[cold]
    pub(crate) fn new(kernel: &Kernel, pids: &[Pid]) -> Self {
        CallChain(pids.iter().map(|&pid| Entry { pid, name: name_of(kernel, pid) }).collect())
    }

    /// Returns the pids of the processes. The first one is `None` if the first call was made by code
    /// that belongs to no process of the runtime.
    pub fn pids(&self) -> impl Iterator<Item = Option<Pid>> + '_ {
        self.0.iter().map(|entry| Some(entry.pid).filter(|&pid| pid != Pid::OUTSIDE))
    }
}

/// Returns the first name of a process, else its label.
fn name_of(kernel: &Kernel, pid: Pid) -> Option<SharedStr> {
    kernel.find(pid)?.with(|locked| {
        let relations = locked.core().relations()?;
        let names = relations.registrations.as_ref().map(|registrations| &registrations.names);
        let first = names.and_then(|names| names.iter().next()).map(|(name, ())| name.clone());
        first.or_else(|| relations.label.clone())
    })
}

impl fmt::Display for CallChain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, entry) in self.0.iter().enumerate() {
            f.write_str(if index > 0 { " called " } else { "" })?;
            match &entry.name {
                _ if entry.pid == Pid::OUTSIDE => f.write_str("code outside of processes")?,
                Some(text) => write!(f, "{} {}", name(text), entry.pid)?,
                None => write!(f, "{}", entry.pid)?,
            }
        }
        Ok(())
    }
}
