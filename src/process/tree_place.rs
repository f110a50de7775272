//! The place of a process in its tree.
//!
//! A supervisor has a place of its own, and the record of a child has that of the supervisor that
//! started it. So the place of a process does not change: neither with its label, nor when its
//! supervisor ends.

use std::sync::Arc;

use crate::base::node_path::NodePath;
use crate::base::pid::Pid;
use crate::base::shared_str::SharedStr;
use crate::process::core::Relations;

/// The place of a process. It is cloned under the lock of the process, and its text is made after
/// unlock.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    supervisor: Arc<NodePath>,
    /// The id of a child of that supervisor; `None` for the supervisor itself.
    child: Option<SharedStr>,
}

impl Place {
    /// Returns the path.
    pub(crate) fn text(&self) -> SharedStr {
        match &self.child {
            Some(id) => self.supervisor.child(id),
            None => self.supervisor.text(),
        }
    }

    /// Returns the path under which the process is counted: one path for all processes below a
    /// dynamic supervisor.
    pub(crate) fn counted(&self) -> SharedStr {
        match &self.child {
            Some(id) => self.supervisor.counted(id),
            None => self.supervisor.counted_self(),
        }
    }

    /// Returns the dynamic supervisor whose [folded path](NodePath::folded) the process is counted
    /// under, if it is below one.
    #[cfg(feature = "metrics")]
    pub(crate) fn folded_below(&self) -> Option<&Arc<NodePath>> {
        self.supervisor.topmost_dynamic(self.child.is_some())
    }

    /// Whether the process is a supervisor.
    #[cfg(feature = "metrics")]
    pub(crate) fn is_supervisor(&self) -> bool {
        self.child.is_none()
    }

    /// Returns the supervisor above the process.
    pub(crate) fn above(&self) -> Option<&Arc<NodePath>> {
        match self.child {
            Some(_) => Some(&self.supervisor),
            None => self.supervisor.above(),
        }
    }

    /// Returns the topmost supervisor of the tree.
    pub(crate) fn root(&self) -> Pid {
        self.supervisor.root()
    }
}

impl Relations {
    /// Returns the place of the process; `None` if it is neither a supervisor nor a child.
    pub(crate) fn place(&self) -> Option<Place> {
        let own = self.registrations.as_ref();
        let own = own.and_then(|own| own.supervisor_record.as_ref()?.path.clone());
        match (own, &self.child) {
            (Some(supervisor), _) => Some(Place { supervisor, child: None }),
            (None, Some(facts)) => {
                Some(Place { supervisor: facts.above.clone(), child: Some(facts.id.clone()) })
            }
            (None, None) => None,
        }
    }
}
