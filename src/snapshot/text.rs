//! A snapshot as a text tree.

use std::fmt;

use crate::health::Health;
use crate::snapshot::elapsed::short;
use crate::snapshot::{NodeKind, NodeState, TreeNode, TreeSnapshot};

/// One line: where it hangs, and three columns and the rest.
struct Line {
    branch: String,
    id: String,
    kind: String,
    pid: String,
    rest: String,
}

impl fmt::Display for TreeSnapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut lines = Vec::new();
        add(&mut lines, &self.root, "", "");
        let wide = |of: fn(&Line) -> usize| lines.iter().map(of).max().unwrap_or(0);
        let id = wide(|line| line.branch.chars().count() + line.id.chars().count());
        let kind = wide(|line| line.kind.len());
        let pid = wide(|line| line.pid.len());
        for (at, line) in lines.iter().enumerate() {
            let id = id - line.branch.chars().count();
            let Line { branch, id: name, kind: what, pid: number, rest } = line;
            let text = format!("{branch}{name:id$}  {what:kind$}  {number:pid$}  {rest}");
            let end = if at == 0 { "" } else { "\n" };
            write!(f, "{end}{}", text.trim_end())?;
        }
        Ok(())
    }
}

/// The node's line, then those below it. `above` is what stands before the branches of
/// its children.
fn add(lines: &mut Vec<Line>, node: &TreeNode, branch: &str, above: &str) {
    lines.push(Line {
        branch: branch.to_owned(),
        id: node.id.clone(),
        kind: kind(node).to_owned(),
        pid: node.pid.map(|pid| pid.to_string()).unwrap_or_default(),
        rest: facts(node).join("  "),
    });
    let last = node.children.len() + usize::from(node.more > 0);
    for (at, child) in node.children.iter().enumerate() {
        match at + 1 == last {
            true => add(lines, child, &format!("{above}└─ "), &format!("{above}   ")),
            false => add(lines, child, &format!("{above}├─ "), &format!("{above}│  ")),
        }
    }
    if node.more > 0 {
        let id = format!("… and {} more", node.more);
        let [kind, pid, rest] = [const { String::new() }; 3];
        lines.push(Line { branch: format!("{above}└─ "), id, kind, pid, rest });
    }
}

fn kind(node: &TreeNode) -> &'static str {
    match node.kind {
        NodeKind::Worker => "",
        NodeKind::Supervisor { strategy: "", .. } => "supervisor",
        NodeKind::Supervisor { strategy, .. } => strategy,
    }
}

/// What there is to say of it, in this order: state, budget, restarts, names, health, mailbox.
pub(super) fn facts(node: &TreeNode) -> Vec<String> {
    let mut facts = vec![state(node)];
    if let Some(budget) = node.budget() {
        facts.push(format!("{} of {} restarts left", budget.left, budget.restarts));
    }
    if let Some(reason) = node.last_reason() {
        facts.push(format!("{}, last: {}", restarts(node.restarts), reason.with_causes()));
    }
    let others: Vec<&str> =
        node.names.iter().map(String::as_str).filter(|name| *name != node.id).collect();
    if !others.is_empty() {
        facts.push(format!("named {}", others.join(", ")));
    }
    if node.health != Health::Ready {
        facts.push(match &node.health {
            Health::Degraded(why) => format!("degraded: {why}"),
            health => health.to_string(),
        });
    }
    if node.mailbox_depth > 0 {
        facts.push(format!("{} queued", node.mailbox_depth));
    }
    facts
}

fn restarts(count: u32) -> String {
    match count {
        1 => "1 restart".to_owned(),
        _ => format!("{count} restarts"),
    }
}

fn state(node: &TreeNode) -> String {
    if let Some(busy) = &node.busy {
        return format!("{busy} (last known)");
    }
    match (node.state, node.up) {
        (NodeState::Running, Some(up)) => format!("up {}", short(up)),
        (NodeState::Running, None) => "running".to_owned(),
        (NodeState::Restarting { retry_in: Some(wait) }, _) => {
            format!("restarting, next try in {}", short(wait))
        }
        (NodeState::Restarting { retry_in: None }, _) => "restarting".to_owned(),
        (NodeState::Stopped, _) => "stopped".to_owned(),
        (NodeState::Starting, _) => "starting".to_owned(),
        (NodeState::Stopping, _) => "stopping".to_owned(),
        (NodeState::Ended, _) => "ended".to_owned(),
        (NodeState::Busy, _) => "busy".to_owned(),
    }
}
