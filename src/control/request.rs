//! A request for an action.

use crate::base::{Pid, SharedStr};
use crate::observation::PictureNode;
use crate::observe::ControlAction;

/// The longest name of a requester, in characters. The rest is cut.
const CALLER: usize = 256;

/// A request for an action on one child, or on the runtime. [`Runtime::control`] and
/// [`SupervisorRef::control`](crate::SupervisorRef::control) carry it out.
///
/// [`Runtime::control`]: crate::Runtime::control
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "it does nothing until `control` is called with it"]
pub struct ControlRequest {
    pub(super) action: ControlAction,
    pub(super) path: SharedStr,
    pub(super) pid: Option<Pid>,
    pub(super) supervisor: Option<Pid>,
    pub(super) caller: SharedStr,
}

impl ControlRequest {
    /// Returns a request for this action by an unknown requester. An action on a child needs its
    /// [`path`](Self::path) and its processes, which [`of`](Self::of) takes from a picture.
    pub fn new(action: ControlAction) -> Self {
        let (path, caller) = (SharedStr::from(""), SharedStr::from("unknown"));
        ControlRequest { action, path, pid: None, supervisor: None, caller }
    }

    /// Names the child, its process and its supervisor as this picture shows them.
    /// [`Runtime::control`](crate::Runtime::control) has an example.
    pub fn of(self, node: &PictureNode) -> Self {
        let request = self.path(node.path.clone());
        ControlRequest { pid: node.pid, supervisor: node.supervisor, ..request }
    }

    /// Names the path of the child, as in [`Change::path`](crate::Change::path).
    pub fn path(mut self, path: impl Into<SharedStr>) -> Self {
        self.path = path.into();
        self
    }

    /// Names the process of the child. Without it the request is refused unless the child does not
    /// run. A child of a dynamic supervisor that does not run has the pid of its last process.
    pub fn pid(mut self, pid: Pid) -> Self {
        self.pid = Some(pid);
        self
    }

    /// Names the supervisor of the child. A topmost supervisor has none.
    pub fn supervisor(mut self, pid: Pid) -> Self {
        self.supervisor = Some(pid);
        self
    }

    /// Whether the action may wait for a supervisor or a server. The others are carried out at once.
    #[cfg(feature = "observer")]
    pub(crate) fn may_wait(&self) -> bool {
        !matches!(self.action, ControlAction::Kill | ControlAction::LogLevel(_))
    }

    /// Names the requester, for the event and the log. After 256 characters the name is cut. The
    /// default is `unknown`.
    pub fn caller(mut self, caller: impl Into<SharedStr>) -> Self {
        self.caller = bounded(caller.into());
        self
    }
}

/// Returns the name of a requester, cut to its longest length.
pub(super) fn bounded(caller: SharedStr) -> SharedStr {
    match caller.char_indices().nth(CALLER) {
        None => caller,
        Some(_) => caller.chars().take(CALLER - 1).chain(['…']).collect::<String>().into(),
    }
}
