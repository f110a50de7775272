//! A snapshot as a picture: DOT for Graphviz, and mermaid for whatever renders Markdown.

use std::fmt::Write;

use crate::snapshot::text::facts;
use crate::snapshot::{NodeKind, NodeState, TreeNode, TreeSnapshot};

/// A node, its number, and that of the one above it.
type Drawn<'a> = (usize, Option<usize>, &'a TreeNode);

impl TreeSnapshot {
    /// The tree in the DOT language of Graphviz: `dot -Tsvg` draws it.
    ///
    /// ```
    /// use regrow::{ChildSpec, Runtime, Supervisor};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true)
    /// # .build().unwrap().block_on(async {
    /// let rt = Runtime::new();
    /// let job = ChildSpec::task("job", |_| std::future::pending());
    /// let tree = Supervisor::one_for_one().named("app").child(job).start(&rt).await?;
    /// let dot = tree.tree().await?.to_dot();
    /// assert!(dot.starts_with("digraph tree {"));
    /// assert!(dot.contains("n0 -> n1;"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    pub fn to_dot(&self) -> String {
        let mut dot =
            String::from("digraph tree {\n  node [shape=box, fontname=\"sans-serif\"];\n");
        for (number, above, node) in drawn(&self.root) {
            let label = lines(node).join("\\n").replace('"', "\\\"");
            let style = match (&node.kind, node.state) {
                (NodeKind::Worker, NodeState::Running) => "rounded",
                (NodeKind::Worker, _) => "\"rounded,dashed\"",
                (_, NodeState::Running) => "solid",
                _ => "dashed",
            };
            line(&mut dot, &format!("  n{number} [label=\"{label}\", style={style}];"));
            if let Some(above) = above {
                line(&mut dot, &format!("  n{above} -> n{number};"));
            }
        }
        dot.push_str("}\n");
        dot
    }

    /// The tree as a mermaid flow chart, for issues, chats and documentation.
    ///
    /// ```
    /// use regrow::{ChildSpec, Runtime, Supervisor};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true)
    /// # .build().unwrap().block_on(async {
    /// let rt = Runtime::new();
    /// let job = ChildSpec::task("job", |_| std::future::pending());
    /// let tree = Supervisor::one_for_one().named("app").child(job).start(&rt).await?;
    /// let chart = tree.tree().await?.to_mermaid();
    /// let expected = "\
    /// flowchart TD
    ///   n0[\"app<br/>one_for_one #1<br/>up 0s<br/>3 of 3 restarts left\"]
    ///   n1(\"job<br/>#2<br/>up 0s\")
    ///   n0 --> n1
    /// ";
    /// assert_eq!(chart, expected);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    pub fn to_mermaid(&self) -> String {
        let mut chart = String::from("flowchart TD\n");
        for (number, above, node) in drawn(&self.root) {
            let label = lines(node).join("<br/>").replace('"', "#quot;");
            let (open, close) = match node.kind {
                NodeKind::Worker => ("(\"", "\")"),
                NodeKind::Supervisor { .. } => ("[\"", "\"]"),
            };
            line(&mut chart, &format!("  n{number}{open}{label}{close}"));
            if let Some(above) = above {
                line(&mut chart, &format!("  n{above} --> n{number}"));
            }
        }
        chart
    }
}

fn line(text: &mut String, line: &str) {
    // Writing to a string does not fail.
    let _ = writeln!(text, "{line}");
}

/// All nodes, each after the one above it.
fn drawn(root: &TreeNode) -> Vec<Drawn<'_>> {
    let mut all = Vec::new();
    let mut next = vec![(None, root)];
    while let Some((above, node)) = next.pop() {
        let number = all.len();
        all.push((number, above, node));
        next.extend(node.children.iter().rev().map(|child| (Some(number), child)));
    }
    all
}

fn lines(node: &TreeNode) -> Vec<String> {
    let pid = node.pid.map(|pid| pid.to_string()).unwrap_or_default();
    let kind = match node.kind {
        NodeKind::Worker => pid,
        NodeKind::Supervisor { strategy, .. } => format!("{strategy} {pid}"),
    };
    let mut lines = vec![node.id.clone(), kind.trim().to_owned()];
    lines.extend(facts(node));
    if node.more > 0 {
        lines.push(format!("and {} more below", node.more));
    }
    lines.retain(|line| !line.is_empty());
    lines
}
