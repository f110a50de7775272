//! The subscribers of the connections of a node.
//!
//! The subscribers are the members of a group. So a subscription survives a restart of the node, and
//! the end of a process removes it.

use crate::base::{Pid, SharedStr, ignore_panic};
use crate::cluster::node_name::NodeName;
use crate::message::{NodeChange, Received};
use crate::runtime::Runtime;

/// The group of the subscribers.
const GROUP: &str = "regrow.cluster.nodes";

impl Runtime {
    /// Subscribes a process to the connections of the [`Node`](crate::cluster::Node) of this
    /// runtime. From now on the process receives a [`Received::Node`] for each connection to
    /// another node that begins or is lost. Returns false if the process is ending or has ended. A
    /// second subscription has no effect.
    ///
    /// The subscription lasts until [`demonitor_nodes`](Self::demonitor_nodes) or the end of the
    /// process. A restart of the node does not end it. Messages of the other node arrive after its
    /// `Up`, and before its `Down`. The subscribers are the members of the group
    /// `"regrow.cluster.nodes"`.
    ///
    /// OTP: `net_kernel:monitor_nodes/2` with `node_type` `all`.
    ///
    /// ```
    /// use regrow::Runtime;
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// let watcher = rt.spawn(|_| std::future::pending());
    /// assert!(rt.monitor_nodes(watcher.pid()));
    /// assert!(rt.demonitor_nodes(watcher.pid()) && !rt.demonitor_nodes(watcher.pid()));
    /// # }));
    /// ```
    pub fn monitor_nodes(&self, watcher: Pid) -> bool {
        let process = self.kernel.find(watcher);
        process.is_some_and(|process| self.kernel.join_group(GROUP.into(), &process))
    }

    /// Ends the subscription of a process; false if it has none. [`monitor_nodes`](Self::monitor_nodes)
    /// has an example.
    pub fn demonitor_nodes(&self, watcher: Pid) -> bool {
        self.kernel.leave_group(GROUP.into(), watcher)
    }
}

/// Logs a change, and sends it to the subscribers.
pub(crate) fn announce(runtime: &Runtime, peer: &NodeName, change: NodeChange) {
    ignore_panic(
        || tracing::info!(target: "regrow::cluster", node = %peer, change = ?change, "node"),
    );
    let node: &SharedStr = peer.text();
    for watcher in runtime.kernel.members(GROUP) {
        if let Some(process) = runtime.kernel.find(watcher) {
            process.deliver(Received::Node { node: node.clone(), change });
        }
    }
}
