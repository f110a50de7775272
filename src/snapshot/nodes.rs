//! Lists of nodes that are cloned, printed and dropped without recursion.
//!
//! Recursion over a deep tree could overflow the stack, so `Clone`, `Drop` and [`Debug`] of a node
//! do not recurse.

use std::fmt;
use std::ops::{Deref, DerefMut};

use crate::snapshot::TreeNode;

/// The children of a [`TreeNode`], in start order. Derefs to a slice.
///
/// Cloning, printing and dropping a list does not recurse, so a deep tree does not overflow the
/// stack. [`TreeSnapshot`](crate::TreeSnapshot) has an example of a tree.
///
/// ```
/// use regrow::{ChildSpec, Runtime, Supervisor};
///
/// # tokio::runtime::Builder::new_current_thread().enable_time()
/// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
/// let rt = Runtime::new();
/// let job = |id| ChildSpec::task(id, |_| std::future::pending());
/// let tree = Supervisor::one_for_one().child(job("a")).child(job("b")).start(&rt).await?;
/// let children = tree.tree().await?.root.children;
/// assert_eq!((children.len(), children[1].id.as_str()), (2, "b"));
/// let ids: Vec<String> = children.into_iter().map(|node| node.id).collect();
/// assert_eq!(ids, ["a", "b"]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })).unwrap();
/// ```
#[derive(Default)]
pub struct TreeNodes(pub(super) Vec<TreeNode>);

/// Builds a tree from its root and its descendants. Each descendant comes with the number of its
/// parent.
///
/// The root has number 0, and the descendants are numbered from 1 on, each parent before its
/// children. The children of a node keep their order.
pub(super) fn assemble(mut root: TreeNode, mut descendants: Vec<(usize, TreeNode)>) -> TreeNode {
    while let Some((parent, mut node)) = descendants.pop() {
        node.children.0.reverse();
        let parent = match parent.checked_sub(1) {
            None => Some(&mut root),
            Some(at) => descendants.get_mut(at).map(|(_, node)| node),
        };
        if let Some(parent) = parent {
            parent.children.0.push(node);
        }
    }
    root.children.0.reverse();
    root
}

/// Returns a node and its descendants, each parent before its children. The index in the list is
/// the number of a node, and each node comes with the number of its parent.
pub(super) fn numbered(root: &TreeNode) -> Vec<(Option<usize>, &TreeNode)> {
    let mut all = Vec::new();
    let mut next = vec![(None, root)];
    while let Some((parent, node)) = next.pop() {
        let number = all.len();
        all.push((parent, node));
        next.extend(node.children.iter().rev().map(|child| (Some(number), child)));
    }
    all
}

impl TreeNode {
    /// Copies this node without its children.
    fn without_children(&self) -> TreeNode {
        TreeNode {
            id: self.id.clone(),
            kind: self.kind.clone(),
            state: self.state,
            busy: self.busy.clone(),
            pid: self.pid,
            names: self.names.clone(),
            up: self.up,
            restarts: self.restarts,
            mailbox_depth: self.mailbox_depth,
            is_counted: self.is_counted,
            health: self.health.clone(),
            machine: self.machine.clone(),
            readiness: self.readiness,
            history: self.history.clone(),
            children: TreeNodes::default(),
            more: self.more,
        }
    }

    fn debug_fields(&self, out: &mut fmt::DebugStruct<'_, '_>) {
        out.field("id", &self.id)
            .field("kind", &self.kind)
            .field("state", &self.state)
            .field("busy", &self.busy)
            .field("pid", &self.pid)
            .field("names", &self.names)
            .field("up", &self.up)
            .field("restarts", &self.restarts)
            .field("mailbox_depth", &self.depth())
            .field("health", &self.health)
            .field("machine", &self.machine)
            .field("readiness", &self.readiness)
            .field("history", &self.history)
            .field("more", &self.more);
    }
}

impl Clone for TreeNode {
    fn clone(&self) -> Self {
        let descendants = numbered(self).into_iter().skip(1);
        let descendants =
            descendants.map(|(parent, node)| (parent.unwrap_or(0), node.without_children()));
        assemble(self.without_children(), descendants.collect())
    }
}

impl Clone for TreeNodes {
    fn clone(&self) -> Self {
        self.0.iter().cloned().collect()
    }
}

impl Drop for TreeNodes {
    fn drop(&mut self) {
        let mut next = std::mem::take(&mut self.0);
        while let Some(mut node) = next.pop() {
            next.append(&mut node.children.0);
        }
    }
}

/// Shows the node, and a flat list of its descendants, each with its level.
impl fmt::Debug for TreeNode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("TreeNode");
        self.debug_fields(&mut out);
        out.field("below", &self.children).finish()
    }
}

/// Shows a flat list of the nodes and their descendants, each parent before its children. The nodes
/// themselves have level 1.
impl fmt::Debug for TreeNodes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut list = f.debug_list();
        let mut next: Vec<(usize, &TreeNode)> = self.iter().rev().map(|node| (1, node)).collect();
        while let Some((level, node)) = next.pop() {
            list.entry(&ListedNode { level, node });
            next.extend(node.children.iter().rev().map(|child| (level + 1, child)));
        }
        list.finish()
    }
}

/// A node in the flat list.
struct ListedNode<'a> {
    level: usize,
    node: &'a TreeNode,
}

impl fmt::Debug for ListedNode<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("TreeNode");
        out.field("level", &self.level);
        self.node.debug_fields(&mut out);
        out.finish()
    }
}

impl Deref for TreeNodes {
    type Target = [TreeNode];

    fn deref(&self) -> &[TreeNode] {
        &self.0
    }
}

impl DerefMut for TreeNodes {
    fn deref_mut(&mut self) -> &mut [TreeNode] {
        &mut self.0
    }
}

impl FromIterator<TreeNode> for TreeNodes {
    fn from_iter<I: IntoIterator<Item = TreeNode>>(nodes: I) -> Self {
        TreeNodes(nodes.into_iter().collect())
    }
}

impl IntoIterator for TreeNodes {
    type Item = TreeNode;
    type IntoIter = std::vec::IntoIter<TreeNode>;

    fn into_iter(mut self) -> Self::IntoIter {
        std::mem::take(&mut self.0).into_iter()
    }
}

impl<'a> IntoIterator for &'a TreeNodes {
    type Item = &'a TreeNode;
    type IntoIter = std::slice::Iter<'a, TreeNode>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}
