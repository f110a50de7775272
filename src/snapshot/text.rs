//! A snapshot as a text tree.

use std::fmt;
use std::rc::Rc;

use crate::base::{SENTENCE, excerpt, name};
use crate::observe::Health;
use crate::snapshot::{NodeKind, NodeState, TreeNode, TreeSnapshot, short_elapsed};

/// Nodes more than this many levels below the root are not indented further. Otherwise the total of
/// all indents of a tree that is one long chain would grow with the square of its depth.
const INDENTED_LEVELS: usize = 32;

/// One line of the text: the branch, three aligned columns, and the facts.
struct Line {
    branch: String,
    id: String,
    kind: String,
    pid: String,
    rest: String,
}

impl fmt::Display for TreeSnapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines = lines(&self.root);
        let width_of = |of: fn(&Line) -> usize| lines.iter().map(of).max().unwrap_or(0);
        let id = width_of(|line| line.branch.chars().count() + line.id.chars().count());
        let kind = width_of(|line| line.kind.len());
        let pid = width_of(|line| line.pid.len());
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

/// A node whose line has not been rendered yet.
struct PendingNode<'a> {
    node: &'a TreeNode,
    level: usize,
    /// The text before the connector of its line.
    indent: Rc<str>,
    is_last: bool,
}

/// Renders the lines of all nodes, each parent before its children.
fn lines(root: &TreeNode) -> Vec<Line> {
    let mut lines = Vec::new();
    let root = PendingNode { node: root, level: 0, indent: "".into(), is_last: true };
    let mut next = vec![PendingLine::Node(root)];
    while let Some(entry) = next.pop() {
        match entry {
            PendingLine::More(line) => lines.push(line),
            PendingLine::Node(pending) => {
                lines.push(pending.line());
                pending.push_children(&mut next);
            }
        }
    }
    lines
}

/// A line that has not been rendered yet, for a node or for the children that are left out.
enum PendingLine<'a> {
    Node(PendingNode<'a>),
    More(Line),
}

impl<'a> PendingNode<'a> {
    fn line(&self) -> Line {
        let PendingNode { node, .. } = self;
        Line {
            branch: self.branch(),
            id: name(&node.id).to_string(),
            kind: kind(node).to_owned(),
            pid: node.pid.map(|pid| pid.to_string()).unwrap_or_default(),
            rest: facts(node).join("  "),
        }
    }

    fn branch(&self) -> String {
        let PendingNode { level, indent, is_last, .. } = self;
        let connector = if *is_last { "└─ " } else { "├─ " };
        match level {
            0 => String::new(),
            1..=INDENTED_LEVELS => format!("{indent}{connector}"),
            _ => format!("{indent}[{level}] {connector}"),
        }
    }

    /// Pushes the lines of the children, the last one first.
    fn push_children(&self, next: &mut Vec<PendingLine<'a>>) {
        let PendingNode { node, level, indent, is_last } = self;
        let indent: Rc<str> = match (level, is_last) {
            (0, _) => indent.clone(),
            (1..INDENTED_LEVELS, true) => format!("{indent}   ").into(),
            (1..INDENTED_LEVELS, false) => format!("{indent}│  ").into(),
            _ => indent.clone(),
        };
        let level = level + 1;
        if node.more > 0 {
            let [kind, pid, rest] = [const { String::new() }; 3];
            let id = format!("… and {} more", node.more);
            let more = PendingNode { node, level, indent: indent.clone(), is_last: true };
            next.push(PendingLine::More(Line { branch: more.branch(), id, kind, pid, rest }));
        }
        let children = node.children.iter().enumerate().rev();
        next.extend(children.map(|(at, node)| {
            let is_last = at + 1 == self.node.children.len() && self.node.more == 0;
            PendingLine::Node(PendingNode { node, level, indent: indent.clone(), is_last })
        }));
    }
}

fn kind(node: &TreeNode) -> &'static str {
    match node.kind {
        NodeKind::Worker => "",
        NodeKind::Supervisor { strategy: "", .. } => "supervisor",
        NodeKind::Supervisor { strategy, .. } => strategy,
    }
}

/// Returns the facts of a node, in this order: state, state of a machine, budget, restarts, names, health, mailbox.
pub(super) fn facts(node: &TreeNode) -> Vec<String> {
    let mut facts = vec![state(node)];
    if let Some(machine) = &node.machine {
        facts.push(format!("in {}", excerpt(machine, SENTENCE)));
    }
    if let Some(budget) = node.budget() {
        facts.push(format!("{} of {} restarts left", budget.left, budget.restarts));
    }
    if let Some(reason) = node.last_reason() {
        let reason = excerpt(reason.with_causes(), SENTENCE);
        facts.push(format!("{}, last: {reason}", restarts(node.restarts)));
    }
    let others = node.names.iter().filter(|name| **name != node.id);
    let others: Vec<String> = others.map(|other| name(other).to_string()).collect();
    if !others.is_empty() {
        facts.push(format!("named {}", excerpt(others.join(", "), SENTENCE)));
    }
    if node.health != Health::Ready {
        facts.push(match &node.health {
            Health::Degraded(why) => format!("degraded: {}", excerpt(why, SENTENCE)),
            Health::Unready(why) => format!("unready: {}", excerpt(why, SENTENCE)),
            health => health.to_string(),
        });
    }
    match node.depth() {
        Some(0) => {}
        Some(depth) => facts.push(format!("{depth} queued")),
        None if node.up.is_none() => {}
        None => facts.push("? queued".to_owned()),
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
        (NodeState::Running, Some(up)) => format!("up {}", short_elapsed(up)),
        (NodeState::Running, None) => "running".to_owned(),
        (NodeState::Restarting { retry_in: Some(wait) }, _) => {
            format!("restarting, next try in {}", short_elapsed(wait))
        }
        (NodeState::Restarting { retry_in: None }, _) => "restarting".to_owned(),
        (NodeState::Stopped, _) => "stopped".to_owned(),
        (NodeState::GivenUp, _) => "given up".to_owned(),
        (NodeState::Starting, _) => "starting".to_owned(),
        (NodeState::Stopping, _) => "stopping".to_owned(),
        (NodeState::Ended, _) => "ended".to_owned(),
        (NodeState::Busy, _) => "busy".to_owned(),
    }
}
