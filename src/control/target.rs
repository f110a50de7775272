//! Finds the child that a request names, and checks that it is in the controlled tree.
//!
//! The path, the supervisor and the process of a request have to fit together. They come from a
//! picture that may be old: what is found here may change at once, so the code that acts compares
//! again.

use std::sync::Arc;

use crate::base::path_text::unescape;
use crate::base::{Pid, SharedStr};
use crate::control::{ControlError, ControlRequest};
use crate::exit::Result;
use crate::kernel::Kernel;
use crate::process::AnyProcess;
use crate::supervisor::ChildError;

/// The child of a request.
#[derive(Debug)]
pub(super) struct Target {
    /// The topmost supervisor of the tree.
    pub(super) root: Pid,
    /// The id of the child, and its supervisor; `None` for a topmost supervisor.
    pub(super) child: Option<(SharedStr, Pid)>,
    pub(super) pid: Option<Pid>,
    path: SharedStr,
}

impl Target {
    /// Finds the child in the tree of the supervisor `top`, or in any tree.
    pub(super) fn find(
        kernel: &Kernel,
        top: Option<Pid>,
        request: &ControlRequest,
    ) -> Result<Self, ControlError> {
        let ControlRequest { path, pid, supervisor, .. } = request;
        let found = match supervisor {
            Some(supervisor) => of_supervisor(kernel, path, *supervisor),
            None => pid.and_then(|pid| topmost(kernel, path, pid)),
        };
        let found = found.filter(|(_, child)| {
            let above = child.as_ref().map(|(_, supervisor)| *supervisor);
            top.is_none_or(|top| {
                let is_top = || *pid == Some(top) && is_at(kernel, top, path, above);
                is_top() || above.is_some_and(|at| is_below(kernel, top, at))
            })
        });
        let (root, child) = found.ok_or_else(|| ControlError::NotFound(path.clone()))?;
        Ok(Target { root, child, pid: *pid, path: path.clone() })
    }

    /// Returns the process of the child, if it is alive.
    pub(super) fn process(&self, kernel: &Kernel) -> Result<Arc<dyn AnyProcess>, ControlError> {
        let id = self.child.as_ref().map_or(&self.path, |(id, _)| id);
        let has_ended = || ChildError::Changed { id: id.to_string(), pid: None };
        let process = self.pid.and_then(|pid| kernel.find(pid)).ok_or_else(has_ended)?;
        let place = kernel.path_of(&*process);
        let expected = self.child.as_ref().map(|(_, supervisor)| *supervisor);
        match place {
            Some((path, supervisor)) if path == self.path && supervisor == expected => Ok(process),
            Some(_) => Err(ControlError::NotFound(self.path.clone())),
            None => Err(has_ended().into()),
        }
    }
}

/// The root of a tree, and the id of a child and its supervisor.
type Found = (Pid, Option<(SharedStr, Pid)>);

fn of_supervisor(kernel: &Kernel, path: &SharedStr, supervisor: Pid) -> Option<Found> {
    let above = kernel.supervisor_path(supervisor)?;
    let id = unescape(path.rsplit('/').next()?)?;
    (above.child(&id) == *path).then(|| (above.root(), Some((id, supervisor))))
}

fn topmost(kernel: &Kernel, path: &SharedStr, pid: Pid) -> Option<Found> {
    let own = kernel.supervisor_path(pid)?;
    (own.root() == pid && own.text() == *path).then_some((pid, None))
}

/// Whether this process has this path and this supervisor. The pid alone says nothing about the rest
/// of a request, which may name a child of another tree.
fn is_at(kernel: &Kernel, pid: Pid, path: &SharedStr, supervisor: Option<Pid>) -> bool {
    let place = kernel.find(pid).and_then(|process| kernel.path_of(&*process));
    place.is_some_and(|(own, above)| own == *path && above == supervisor)
}

/// Whether this supervisor is `top`, or below it.
fn is_below(kernel: &Kernel, top: Pid, supervisor: Pid) -> bool {
    let mut at = Some(supervisor);
    while let Some(supervisor) = at {
        if supervisor == top {
            return true;
        }
        at = kernel.find(supervisor).and_then(|process| kernel.supervisor_of(&*process));
    }
    false
}
