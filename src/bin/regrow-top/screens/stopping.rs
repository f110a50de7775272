//! The screen of the stops that are under way: the processes that each stop waits for, and the
//! process that it waits for now.

use std::collections::HashSet;
use std::ops::Range;

use crate::model::{At, Model, Node, Tone};
use crate::row::Row;
use crate::screens::{Line, Page, Seen, leads_to_node};
use crate::shown::Shown;

/// How many processes of a stop are listed.
const MOST: usize = 200;

pub(super) fn page(seen: &Seen, window: &Range<usize>) -> Page {
    let held = held_up(seen.model);
    let mut lines = Vec::new();
    for stop in stops(seen.model) {
        stop_of(seen, stop, &held, &mut lines);
    }
    let empty = match seen.model.ended_ms {
        Some(ms) if seen.model.roots.is_empty() => {
            Shown::from("The tree ended at ").and(Shown::clock(ms)).and(" UTC.")
        }
        _ => "No process is stopping.".into(),
    };
    Page::of(lines, window, empty)
}

/// Returns the stopping nodes whose supervisor is not stopping.
fn stops(model: &Model) -> Vec<&Node> {
    let is_stopping = |node: &Node| node.ending_since_ms.is_some() || node.state == "stopping";
    let above = |node: &Node| node.above.and_then(|at| model.get(at)).is_some_and(is_stopping);
    model.nodes().filter(|node| is_stopping(node) && !above(node)).collect()
}

/// Returns the paths of the children that a supervisor waits for.
fn held_up(model: &Model) -> HashSet<&str> {
    let steps = model.nodes().filter_map(|node| node.step.as_ref());
    steps.filter(|step| step.doing == "stopping").filter_map(|step| step.child.as_deref()).collect()
}

fn stop_of(seen: &Seen, node: &Node, held: &HashSet<&str>, lines: &mut Vec<Line>) {
    let alive = alive(seen.model, node);
    let mut title = Shown::new(&node.path).cut(seen.width / 2).and(" is stopping");
    if let Some(ms) = node.ending_since_ms.or(node.stopping_since_ms) {
        title = title.and(" for ").and(seen.since(ms));
    }
    let what = if alive.len() == 1 { " process is alive" } else { " processes are alive" };
    title = title.and(": ").and(Shown::number(alive.len() as u64)).and(what);
    lines.push(leads_to_node(Row::of(title, Tone::Strong), node));
    for one in alive.into_iter().take(MOST) {
        let is_held = one.holds || one.state == "stopping" || held.contains(&*one.path);
        let (mut value, tone) = match (is_held, one.holds) {
            (false, _) => (Shown::from("alive"), Tone::Dim),
            (true, true) => ("holds the stop up".into(), Tone::Warn),
            (true, false) => ("stopping".into(), Tone::Warn),
        };
        if let Some(ms) = one.stopping_since_ms.filter(|_| is_held) {
            value = value.and(" for ").and(seen.since(ms));
        }
        if let Some(ms) = one.deadline_ms.filter(|ms| is_held && *ms > seen.now_ms) {
            value = value.and(", killed in ").and(Shown::span(ms - seen.now_ms));
        }
        let room = seen.width.saturating_sub(value.width() + 3);
        let row =
            Row::of("  ", Tone::Plain).put(Shown::new(&one.path).cut_begin(room), Tone::Plain);
        lines.push(leads_to_node(row.at_end(value, seen.width, tone), one));
    }
}

/// Returns the living processes of a subtree, the next to stop first.
fn alive<'a>(model: &'a Model, top: &'a Node) -> Vec<&'a Node> {
    // Children stop in reverse order, and each child stops before its supervisor. The loop collects
    // each supervisor before its children, and reverses the list at the end.
    let mut order = Vec::new();
    let mut left = vec![top];
    while let Some(node) = left.pop() {
        if node.is_alive() {
            order.push(node);
        }
        let child = |at: &At| model.get(*at);
        left.extend(node.children.iter().rev().filter_map(child));
    }
    order.reverse();
    order
}
