//! The first message of a scope to the scope of another node. A node of OTP does not announce a
//! hidden node to its scopes, so this node makes itself known.

use std::sync::Arc;

use crate::base::{Pid, SharedStr};
use crate::cluster::node_name::NodeName;
use crate::cluster::pg::message::Writer;
use crate::cluster::remote::connected::Connected;
use crate::cluster::remote::local_node::LocalNode;
use crate::cluster::remote::nodes::Nodes;
use crate::cluster::remote::signal::Signal;
use crate::kernel::Kernel;

/// Sends `{discover, Scope}` to a node that has just been connected, if the scope runs. A scope that
/// starts later makes itself known to all nodes that are connected then.
pub(crate) fn greet(kernel: &Arc<Kernel>, scope: &SharedStr, name: &NodeName) {
    let nodes = Nodes::of(kernel);
    if let (Some(own), Some(pid)) = (nodes.local(), kernel.whereis(scope))
        && let Some(there) = nodes.connected(name)
    {
        discover(&own, pid, scope, &there);
    }
}

/// Sends `{discover, Scope}` to the process of the same name.
pub(crate) fn discover(node: &LocalNode, scope: Pid, name: &SharedStr, there: &Connected) {
    let term = Writer { node, scope }.discover();
    there.send(Signal::SendName { own: scope, name: name.clone(), term });
}
