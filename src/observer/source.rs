//! What an observer shows and controls: one tree, or all trees of a runtime.

use crate::control::{ControlError, ControlRequest};
use crate::exit::Result;
use crate::observation::Observation;
use crate::runtime::{CallError, Runtime};
use crate::supervisor::SupervisorRef;

/// What an observer shows.
#[derive(Clone)]
pub(super) enum Source {
    /// The tree below this supervisor.
    Tree(SupervisorRef),
    /// All trees.
    Runtime(Runtime),
}

impl Source {
    pub(super) fn observe(&self) -> Result<Observation, CallError> {
        match self {
            Source::Tree(tree) => tree.observe(),
            Source::Runtime(runtime) => Ok(runtime.observe()),
        }
    }

    pub(super) fn runtime(&self) -> Runtime {
        match self {
            Source::Tree(tree) => Runtime { kernel: tree.server.kernel().clone() },
            Source::Runtime(runtime) => runtime.clone(),
        }
    }

    /// Carries out a request on a process that is shown.
    pub(super) async fn control(&self, request: ControlRequest) -> Result<(), ControlError> {
        match self {
            Source::Tree(tree) => tree.control(request).await,
            Source::Runtime(runtime) => runtime.control(request).await,
        }
    }
}
