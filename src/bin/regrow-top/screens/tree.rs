//! The tree: each supervisor with its children.

use std::ops::Range;

use crate::model::{Budget, Folded, Node, Tone, tone_of};
use crate::row::Row;
use crate::screens::outline::{Branch, Outline, WORST};
use crate::screens::{Line, Page, Seen, leads_to_node};
use crate::shown::Shown;
use crate::view::Goal;

/// The widths of the columns.
struct Widths {
    name: usize,
    state: usize,
    up: usize,
    restarts: usize,
    queued: usize,
}

impl Widths {
    fn of(width: usize) -> Self {
        let (state, up, restarts, queued) = if width < 90 { (10, 7, 3, 5) } else { (12, 8, 8, 7) };
        let others = state + up + restarts + queued + 5;
        let name = if width < 90 { width.saturating_sub(others) } else { width * 35 / 100 };
        Widths { name: name.max(12), state, up, restarts, queued }
    }
}

pub(super) fn page(seen: &Seen, outline: &Outline, window: &Range<usize>) -> Page {
    let widths = Widths::of(seen.width);
    let head = Row::new()
        .column("Process", widths.name, Tone::Dim)
        .column("State", widths.state, Tone::Dim)
        .right("Up", widths.up, Tone::Dim)
        .right(if widths.restarts < 8 { "Re." } else { "Restarts" }, widths.restarts, Tone::Dim)
        .right("Queue", widths.queued, Tone::Dim)
        .put("Budget, health, last end", Tone::Dim);
    let rows = outline.tree.iter().skip(window.start).take(window.len());
    let lines = rows.filter_map(|branch| line(seen, &widths, *branch)).collect();
    let empty = match (seen.model.ended_ms, outline.tree.is_empty()) {
        _ if !seen.view.filter().is_empty() => "Nothing matches the filter.".into(),
        _ if !seen.model.has_picture => "Waiting for the first picture.".into(),
        (Some(ms), true) => Shown::from("The tree ended at ").and(Shown::clock(ms)).and(" UTC."),
        _ => "No tree runs.".into(),
    };
    Page { head: Some(head), total: outline.tree.len(), lines, empty }
}

fn line(seen: &Seen, widths: &Widths, branch: Branch) -> Option<Line> {
    match branch {
        Branch::Node { at, level } => {
            let node = seen.model.get(at)?;
            Some(leads_to_node(row(seen, widths, node, level), node))
        }
        Branch::More { above, level, all, known } => {
            let key = seen.model.key_of(seen.model.get(above)?);
            let indent = Shown::default().fit(level.min(24) * 2 + 2);
            let known = known as u64;
            let text = if seen.view.opened.contains(&key) {
                Shown::from("show the worst ").and(Shown::number(WORST as u64)).and(" only")
            } else if all > known {
                let text = Shown::from("show the worst ").and(Shown::number(known));
                text.and(" of ").and(Shown::number(all))
            } else {
                Shown::from("show all ").and(Shown::number(all))
            };
            let row = Row::of(indent, Tone::Plain).put("[", Tone::Dim).put(text, Tone::Dim);
            Some(Line { row: row.put("]", Tone::Dim), goal: Some(Goal::More(key)) })
        }
    }
}

fn row(seen: &Seen, widths: &Widths, node: &Node, level: usize) -> Row {
    // The indent takes at most half of the column, so that the name of a deep node is visible.
    let indent = (level * 2).min(widths.name / 2);
    let is_folded = seen.view.folded.contains(&seen.model.key_of(node));
    let sign = match (node.children.is_empty(), is_folded) {
        (true, _) => "  ",
        (false, true) => "▸ ",
        (false, false) => "▾ ",
    };
    let name = Shown::default().fit(indent).and(sign).and(Shown::id(&node.id));
    let name_tone = match &*node.state {
        "ended" | "stopped" => Tone::Dim,
        _ if node.is_supervisor => Tone::Strong,
        _ => Tone::Plain,
    };
    let tag = tag(node);
    let room = widths.name.saturating_sub(name.width() + 1);
    let row = match tag.width() <= room && !tag.is_empty() {
        true => Row::of(name.clone(), name_tone).put(" ", Tone::Plain).column(
            tag,
            widths.name - name.width() - 1,
            Tone::Dim,
        ),
        false => Row::new().column(name, widths.name, name_tone),
    };
    let (state, tone) = node.condition();
    let up = node.started_ms.map(|ms| seen.since(ms)).unwrap_or_default();
    let some = |number: u64| match number {
        0 => Shown::default(),
        more => Shown::number(more),
    };
    let row = row
        .column(Shown::new(state), widths.state, tone)
        .right(up, widths.up, Tone::Plain)
        .right(some(node.restarts), widths.restarts, Tone::Plain)
        .right(some(node.mailbox.queued.unwrap_or(0)), widths.queued, Tone::Plain);
    notes(seen, node).into_iter().fold(row, |row, (text, tone)| row.put(text, tone).put("  ", tone))
}

/// Returns the strategy and the pid.
fn tag(node: &Node) -> Shown {
    let strategy = Shown::new(&node.strategy);
    match node.pid {
        Some(pid) if strategy.is_empty() => Shown::pid(pid),
        Some(pid) => strategy.and(" ").and(Shown::pid(pid)),
        None => strategy,
    }
}

/// Returns the notes on a node that follow its columns, the most important one first.
fn notes(seen: &Seen, node: &Node) -> Vec<(Shown, Tone)> {
    let mut notes = Vec::new();
    if let Some(budget) = node.budget.filter(|budget| budget.restarts > 0) {
        notes.push(gauge(budget));
    }
    notes.extend(node.folded.map(|all| (folded(all), Tone::Dim)));
    if let Some(step) = &node.step {
        let child = step.child.as_deref().and_then(|path| path.rsplit('/').next());
        let text = Shown::from("busy: ").and(Shown::new(&step.doing)).and(" ");
        let text = text.and(Shown::new(child.unwrap_or_default()));
        let since = step.since_ms.map(|ms| Shown::from(" for ").and(seen.since(ms)));
        notes.push((text.and(since.unwrap_or_default()), Tone::Warn));
    }
    if let Some(at) = node.retry_at_ms.filter(|_| node.state == "restarting") {
        let text = Shown::from("next try in ");
        notes.push((text.and(Shown::span(at.saturating_sub(seen.now_ms))), Tone::Warn));
    }
    if let Some(text) = &node.health_text {
        notes.push((Shown::new(text), Tone::Warn));
    }
    if let Some((callback, ms)) = &node.mailbox.handling {
        let text = Shown::from("in ").and(Shown::new(callback)).and(" for ");
        notes.push((text.and(Shown::span(*ms)), Tone::Plain));
    }
    if node.mailbox.lost > 0 {
        notes.push((Shown::number(node.mailbox.lost).and(" lost"), Tone::Bad));
    }
    if let Some(last) = node.history.last() {
        let tone = if node.state == "running" { Tone::Dim } else { tone_of(&last.class) };
        notes.push((Shown::new(&last.reason), tone));
    }
    notes
}

/// Returns the numbers of all children of a dynamic supervisor.
fn folded(all: Folded) -> Shown {
    let mut text = Shown::number(all.children);
    text = text.and(if all.children == 1 { " child" } else { " children" });
    let parts =
        [(all.restarting, " restarting"), (all.given_up, " given up"), (all.unhealthy, " unwell")];
    for (number, what) in parts.into_iter().filter(|(number, _)| *number > 0) {
        text = text.and(", ").and(Shown::number(number)).and(what);
    }
    text
}

/// Returns the budget as a bar and in numbers.
pub(super) fn gauge(budget: Budget) -> (Shown, Tone) {
    let tone = match budget.left {
        0 => Tone::Bad,
        left if left.saturating_mul(2) <= budget.restarts => Tone::Warn,
        _ => Tone::Good,
    };
    let full = budget.left.min(budget.restarts).saturating_mul(5) / budget.restarts.max(1);
    let full = usize::try_from(full).unwrap_or(5);
    let bar = ["─────", "━────", "━━───", "━━━──", "━━━━─", "━━━━━"][full.min(5)];
    let numbers = Shown::number(budget.left).and("/").and(Shown::number(budget.restarts));
    (Shown::from(bar).and(" ").and(numbers), tone)
}
