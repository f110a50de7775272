//! A snapshot as a graph: DOT for Graphviz, and mermaid for Markdown.

use std::fmt::Write;

use crate::base::name;
use crate::snapshot::text::facts;
use crate::snapshot::{NodeKind, NodeState, TreeNode, TreeSnapshot, numbered};

impl TreeSnapshot {
    /// Returns the tree in the DOT language of Graphviz. `dot -Tsvg` draws it.
    ///
    /// ```
    /// use regrow::{ChildSpec, Runtime, Supervisor};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true)
    /// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// let job = ChildSpec::task("job", |_| std::future::pending());
    /// let tree = Supervisor::one_for_one().named("app").child(job).start(&rt).await?;
    /// let dot = tree.tree().await?.to_dot();
    /// assert!(dot.starts_with("digraph tree {"));
    /// assert!(dot.contains("n0 -> n1;"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })).unwrap();
    /// ```
    pub fn to_dot(&self) -> String {
        let mut dot =
            String::from("digraph tree {\n  node [shape=box, fontname=\"sans-serif\"];\n");
        for (number, (parent, node)) in numbered(&self.root).into_iter().enumerate() {
            let label = label(node, dot_text, "\\n");
            let style = match (&node.kind, node.state) {
                (NodeKind::Worker, NodeState::Running) => "rounded",
                (NodeKind::Worker, _) => "\"rounded,dashed\"",
                (_, NodeState::Running) => "solid",
                _ => "dashed",
            };
            let _ = writeln!(dot, "  n{number} [label=\"{label}\", style={style}];");
            if let Some(parent) = parent {
                let _ = writeln!(dot, "  n{parent} -> n{number};");
            }
        }
        dot.push_str("}\n");
        dot
    }

    /// Returns the tree as a mermaid flow chart, for issues, chats and documentation.
    ///
    /// ```
    /// use regrow::{ChildSpec, Runtime, Supervisor};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true)
    /// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::with_mailbox_depth();
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
    /// # })).unwrap();
    /// ```
    pub fn to_mermaid(&self) -> String {
        let mut chart = String::from("flowchart TD\n");
        for (number, (parent, node)) in numbered(&self.root).into_iter().enumerate() {
            let label = label(node, mermaid_text, "<br/>");
            let (open, close) = match node.kind {
                NodeKind::Worker => ("(\"", "\")"),
                NodeKind::Supervisor { .. } => ("[\"", "\"]"),
            };
            let _ = writeln!(chart, "  n{number}{open}{label}{close}");
            if let Some(parent) = parent {
                let _ = writeln!(chart, "  n{parent} --> n{number}");
            }
        }
        chart
    }
}

/// Escapes a text for a quoted string of DOT, in which a backslash begins an escape and `&` an HTML
/// entity.
fn dot_text(text: &str) -> String {
    text.replace('\\', r"\\").replace('"', r#"\""#).replace('&', "&amp;")
}

/// Escapes a text for a quoted mermaid label, which mermaid interprets as HTML, as Markdown, as a
/// formula between `$$`, or as a directive after `%%`.
fn mermaid_text(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '"' => escaped.push_str("#quot;"),
            '&' => escaped.push_str("#amp;"),
            '<' => escaped.push_str("#lt;"),
            '>' => escaped.push_str("#gt;"),
            '#' | '\\' | '`' | '$' | '%' | '*' => {
                // Writing to a string does not fail.
                let _ = write!(escaped, "#{};", u32::from(c));
            }
            c => escaped.push(c),
        }
    }
    escaped
}

/// Returns the lines of a node's box. Each text is escaped by `escape`; the kind and the pid need
/// no escape.
fn label(node: &TreeNode, escape: fn(&str) -> String, end: &str) -> String {
    let pid = node.pid.map(|pid| pid.to_string()).unwrap_or_default();
    let kind = match node.kind {
        NodeKind::Worker => pid,
        NodeKind::Supervisor { strategy, .. } => format!("{strategy} {pid}"),
    };
    let mut lines = vec![escape(&name(&node.id).to_string()), kind.trim().to_owned()];
    lines.extend(facts(node).iter().map(|fact| escape(fact)));
    if node.more > 0 {
        lines.push(format!("and {} more below", node.more));
    }
    lines.retain(|line| !line.is_empty());
    lines.join(end)
}
