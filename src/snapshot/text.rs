//! A snapshot as a text tree.

use std::fmt;
use std::rc::Rc;

use crate::base::one_line::{SENTENCE, excerpt, name};
use crate::observe::health::Health;
use crate::snapshot::elapsed::short;
use crate::snapshot::{NodeKind, NodeState, TreeNode, TreeSnapshot};

/// Nodes more than this many levels below the root are not indented further. Otherwise the indents of
/// a tree that is one long chain would together grow with the square of its depth.
const INDENTED: usize = 32;

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
        let lines = lines(&self.root);
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

/// A node whose line is to be drawn.
struct Drawn<'a> {
    node: &'a TreeNode,
    level: usize,
    /// What stands before the branch of its line.
    above: Rc<str>,
    is_last: bool,
}

/// Each node's line, before those below it.
fn lines(root: &TreeNode) -> Vec<Line> {
    let mut lines = Vec::new();
    let mut next =
        vec![Entry::Node(Drawn { node: root, level: 0, above: "".into(), is_last: true })];
    while let Some(entry) = next.pop() {
        match entry {
            Entry::More(line) => lines.push(line),
            Entry::Node(drawn) => {
                lines.push(drawn.line());
                drawn.below(&mut next);
            }
        }
    }
    lines
}

/// What a line stands for: a node, or those that are left out.
enum Entry<'a> {
    Node(Drawn<'a>),
    More(Line),
}

impl<'a> Drawn<'a> {
    fn line(&self) -> Line {
        let Drawn { node, .. } = self;
        Line {
            branch: self.branch(),
            id: name(&node.id).to_string(),
            kind: kind(node).to_owned(),
            pid: node.pid.map(|pid| pid.to_string()).unwrap_or_default(),
            rest: facts(node).join("  "),
        }
    }

    fn branch(&self) -> String {
        let Drawn { level, above, is_last, .. } = self;
        let hook = if *is_last { "└─ " } else { "├─ " };
        match level {
            0 => String::new(),
            1..=INDENTED => format!("{above}{hook}"),
            _ => format!("{above}[{level}] {hook}"),
        }
    }

    /// What is to be drawn below it, the last first.
    fn below(&self, next: &mut Vec<Entry<'a>>) {
        let Drawn { node, level, above, is_last } = self;
        let above: Rc<str> = match (level, is_last) {
            (0, _) => above.clone(),
            (1..INDENTED, true) => format!("{above}   ").into(),
            (1..INDENTED, false) => format!("{above}│  ").into(),
            _ => above.clone(),
        };
        let level = level + 1;
        if node.more > 0 {
            let [kind, pid, rest] = [const { String::new() }; 3];
            let id = format!("… and {} more", node.more);
            let more = Drawn { node, level, above: above.clone(), is_last: true };
            next.push(Entry::More(Line { branch: more.branch(), id, kind, pid, rest }));
        }
        let children = node.children.iter().enumerate().rev();
        next.extend(children.map(|(at, node)| {
            let is_last = at + 1 == self.node.children.len() && self.node.more == 0;
            Entry::Node(Drawn { node, level, above: above.clone(), is_last })
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

/// What there is to say of it, in this order: state, budget, restarts, names, health, mailbox.
pub(super) fn facts(node: &TreeNode) -> Vec<String> {
    let mut facts = vec![state(node)];
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
