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

    /// Carries out a request on a process that is shown, and drops `held` when it has ended, which may
    /// be long after this future was dropped.
    pub(super) async fn control(
        &self,
        request: ControlRequest,
        held: impl Send + 'static,
    ) -> Result<(), ControlError> {
        match self {
            Source::Tree(tree) => tree.control_holding(request, held).await,
            Source::Runtime(runtime) => runtime.control_holding(request, held).await,
        }
    }
}
