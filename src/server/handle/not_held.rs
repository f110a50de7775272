//! The error of a request by a name that no process holds, or that another process holds by now.

use tokio::time::Instant;

use crate::base::SharedStr;
use crate::kernel::Kernel;
use crate::kernel::name_table::Holder;
use crate::process::AnyProcess;
use crate::runtime::CallError;

/// Returns whether a supervisor has started this process as the successor of another. `None` if the
/// process has ended, and its record no longer says so.
pub(super) fn is_successor(holder: &dyn AnyProcess) -> Option<bool> {
    holder.with(|locked| {
        let core = locked.core();
        if core.has_ended() {
            return None;
        }
        let parent = core.relations().and_then(|relations| relations.parent);
        Some(parent.and_then(|parent| parent.role).is_some_and(|role| role.slot.start > 1))
    })
}

impl Holder {
    /// Returns the error of a request by a name that no process holds.
    pub(super) fn error(self, kernel: &Kernel, name: &SharedStr) -> CallError {
        match self {
            Holder::Successor { until } => {
                let left = |until: Instant| until.saturating_duration_since(Instant::now());
                CallError::Restarting { retry_in: until.map(left) }
            }
            Holder::Process(_) | Holder::Free if kernel.tokio_is_gone() => CallError::TokioGone,
            Holder::Process(_) | Holder::Free => CallError::NoHolder(name.clone()),
        }
    }
}
