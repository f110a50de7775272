//! The notification of local processes when a connection is lost.
//!
//! Few processes are notified at once. If there are more than [`SLICE`], a task of the runtime notifies
//! them in slices, and other tasks run in between. If tokio shuts down, and drops the task, the drop
//! notifies the rest.

use std::sync::Arc;

use tokio::task::yield_now;

use crate::base::MonitorRef;
use crate::cluster::remote::relations::{Monitor, Severed};
use crate::exit::{ExitKind, ExitReason};
use crate::kernel::Kernel;
use crate::kernel::exits::ExitSignal;
use crate::kernel::other_nodes::ForeignTarget;

/// The number of processes that are notified in one slice.
const SLICE: usize = 128;

/// Notifies the local processes of the end of relations.
pub(crate) fn notify(kernel: Arc<Kernel>, severed: Severed, reason: ExitReason) {
    let mut left = Left { kernel, severed, reason };
    left.notify(SLICE);
    if left.is_empty() {
        return;
    }
    let kernel = left.kernel.clone();
    if let Some(tokio) = kernel.tokio() {
        tokio.spawn(async move {
            while !left.is_empty() {
                yield_now().await;
                left.notify(SLICE);
            }
        });
    }
}

/// The processes that are still to be notified. The drop notifies them.
struct Left {
    kernel: Arc<Kernel>,
    severed: Severed,
    reason: ExitReason,
}

impl Left {
    fn is_empty(&self) -> bool {
        let Severed { links, monitors, watched, calls } = &self.severed;
        links.is_empty() && monitors.is_empty() && watched.is_empty() && calls.is_empty()
    }

    /// Notifies at most this many.
    fn notify(&mut self, most: usize) {
        for _ in 0..most {
            if !self.notify_one() {
                return;
            }
        }
    }

    /// Notifies one process; false if none is left.
    fn notify_one(&mut self) -> bool {
        let (kernel, reason) = (&self.kernel, &self.reason);
        if let Some((id, Monitor { watcher, target, name })) = self.severed.monitors.pop() {
            let pid = match target {
                ForeignTarget::Pid(pid) => Some(pid),
                ForeignTarget::AtNode(_) => None,
            };
            kernel.foreign_down(MonitorRef::new(id, watcher), pid, name, reason);
        } else if let Some((own, from, id)) = self.severed.links.pop() {
            let signal = ExitSignal { from, reason, kind: ExitKind::LostLink(id) };
            kernel.signal_foreign_link(own, signal);
        } else if let Some(watched) = self.severed.watched.pop() {
            kernel.remove_foreign_watcher(watched.target, watched.id);
            watched.end_call();
        } else if let Some(call) = self.severed.calls.pop() {
            // Its caller learns of the loss by the drop.
            drop(call);
        } else {
            return false;
        }
        true
    }
}

impl Drop for Left {
    fn drop(&mut self) {
        self.notify(usize::MAX);
    }
}
