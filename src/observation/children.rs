//! Adds the children of a supervisor to a picture that is being taken.

use std::sync::Arc;

use crate::base::Pid;
use crate::observation::PictureNode;
use crate::observation::collect::{Children, Collector, Pending, running};
use crate::observation::facts;
use crate::observation::nodes::Above;
use crate::process::AnyProcess;
use crate::supervisor::dynamic::fold::FoldedChild;

impl Collector<'_> {
    /// Adds a node, with the facts of its process. A worker is in the picture at once, unless nodes
    /// after `pending` are visited before it. `process` is that of the node, if it is known.
    pub(super) fn add(
        &mut self,
        mut node: PictureNode,
        process: Option<Arc<dyn AnyProcess>>,
        pending: usize,
    ) {
        if !self.view.is_visited(&node.path) {
            return;
        }
        let kernel = &self.runtime.kernel;
        let process = running(&node).and_then(|pid| process.or_else(|| kernel.find(pid)));
        if let (Some(pid), Some(process)) = (node.pid, &process) {
            let take = |health, mailbox| (node.health, node.mailbox) = (health, mailbox);
            if let Some(last_change) = facts::read(kernel, &**process, take) {
                self.included.process(pid, last_change);
            }
        }
        if node.supervision.is_some() || self.pending.len() > pending {
            self.pending.push(Pending { node, process });
        } else if self.view.shows(&node.path) {
            self.nodes.push(node);
        }
    }

    /// Adds the children of a supervisor.
    pub(super) async fn add_children(&mut self, above: &Above, children: Children, pending: usize) {
        match children {
            Children::Listed(mut listed, step) => {
                for (key, mut child) in listed.drain(..) {
                    self.slices.before_node().await;
                    let process = child.process.take();
                    self.add(self.make.child(above, step, (key, child)), process, pending);
                }
                self.listed = listed;
            }
            Children::LastKnown(listed, is_stopping) => {
                for (key, child) in listed {
                    self.slices.before_node().await;
                    let known = (child, Pid::from_raw(key), is_stopping);
                    self.add(self.make.folded(above, known), None, pending);
                }
            }
            Children::Folded(worst) => {
                for FoldedChild { child, process, rank: (_, pid), is_stopping } in worst {
                    self.slices.before_node().await;
                    let node = self.make.folded(above, (child, pid, is_stopping));
                    self.add(node, process, pending);
                }
            }
        }
    }
}
