//! The screen of one process: its state, its relations, and the ends of its past incarnations.

use std::ops::Range;

use crate::model::{Fields, Key, Node, Tone, tone_of};
use crate::row::Row;
use crate::screens::tree::gauge;
use crate::screens::{Line, Page, Seen, backtrace, leads_to, plain};
use crate::shown::Shown;

/// The width of the names of the fields.
const NAMES: usize = 12;

pub(super) fn page(seen: &Seen, window: &Range<usize>) -> Page {
    let Some(chosen) = &seen.view.process else {
        let text = "Choose a process in the tree or in the history, by Enter.";
        return Page::of(Vec::new(), window, text);
    };
    let pid = seen.view.pid(seen.model);
    let by_key = |pid| seen.model.find(&Key { path: chosen.path.clone(), pid });
    let by_path = || by_key(None).or_else(|| by_key(pid)).and_then(|at| seen.model.get(at));
    let node = pid.and_then(|pid| seen.model.with_pid(pid)).or_else(by_path);
    let detail = pid.and_then(|pid| seen.model.detail(pid));
    let path = detail.flatten().and_then(|detail| detail.str("path").or(detail.str("label")));
    let path = node.map(|node| &*node.path).or(path).unwrap_or(&chosen.path);

    let mut lines = wrapped(seen, &Shown::new(path), Tone::Strong);
    lines.push(plain(state(node, pid, detail)));
    if let Some(node) = node {
        of_node(seen, node, &mut lines);
    }
    if let Some(Some(detail)) = detail {
        of_detail(seen, detail, &mut lines);
    }
    if let Some(node) = node {
        runs(seen, node, &mut lines);
    }
    Page::of(lines, window, "")
}

fn state(node: Option<&Node>, pid: Option<u64>, detail: Option<Option<Fields>>) -> Row {
    let (state, tone) = match (node, detail) {
        (Some(node), _) => node.condition(),
        (None, Some(Some(_))) => ("running", Tone::Good),
        (None, Some(None)) => ("ended", Tone::Dim),
        (None, None) => ("not in the picture", Tone::Dim),
    };
    let pid = pid.map(|pid| Shown::pid(pid).and("  "));
    let row = Row::of(pid.unwrap_or_default(), Tone::Dim).put(Shown::new(state), tone);
    match node.and_then(|node| node.budget).filter(|budget| budget.restarts > 0) {
        Some(budget) => {
            let (text, tone) = gauge(budget);
            let row = row.put("  restarts left ", Tone::Dim).put(text, tone);
            row.put(" within ", Tone::Dim).put(Shown::span(budget.period_ms), Tone::Dim)
        }
        None => row,
    }
}

/// Splits a long text over several rows.
fn wrapped(seen: &Seen, text: &Shown, tone: Tone) -> Vec<Line> {
    text.wrap(seen.width).into_iter().map(|line| plain(Row::of(line, tone))).collect()
}

/// Adds a field, if it has a value.
fn field(seen: &Seen, name: &'static str, value: &Shown, lines: &mut Vec<Line>) {
    if value.is_empty() {
        return;
    }
    let width = seen.width.saturating_sub(NAMES + 1).max(20);
    for (at, part) in value.wrap(width).into_iter().enumerate() {
        let name = if at == 0 { name } else { "" };
        lines.push(plain(Row::new().column(name, NAMES, Tone::Dim).put(part, Tone::Plain)));
    }
}

fn of_node(seen: &Seen, node: &Node, lines: &mut Vec<Line>) {
    let up = node.started_ms.map(|ms| seen.since(ms)).unwrap_or_default();
    field(seen, "up", &up, lines);
    field(seen, "health", &Shown::new(node.health_text.as_deref().unwrap_or_default()), lines);
    if let Some(at) = node.retry_at_ms.filter(|_| node.state == "restarting") {
        let text = Shown::from("in ").and(Shown::span(at.saturating_sub(seen.now_ms)));
        field(seen, "next try", &text, lines);
    }
    if node.restarts > 0 {
        field(seen, "restarts", &Shown::number(node.restarts), lines);
    }
}

fn of_detail(seen: &Seen, detail: Fields, lines: &mut Vec<Line>) {
    let text = |name| Shown::new(detail.str(name).unwrap_or_default());
    let list = |name| Shown::new(&detail.texts(name).join(", "));
    field(seen, "does", &text("doing"), lines);
    if let Some(status) = detail.get("status") {
        field(seen, "status", &line_of(status), lines);
    }
    if detail.is("suspended") {
        field(seen, "suspended", &"yes: messages wait until it is resumed".into(), lines);
    }
    field(seen, "mailbox", &queue_of(detail), lines);
    if let Some(lost) = detail.number("lost").filter(|lost| *lost > 0) {
        field(seen, "lost", &Shown::number(lost).and(" messages"), lines);
    }
    if let Some(one) = detail.get("handling") {
        let text = Shown::new(one.str("callback").unwrap_or_default()).and(" for ");
        let text = text.and(Shown::span(one.number("elapsed_ms").unwrap_or(0)));
        field(seen, "handles", &text, lines);
    }
    if let Some(handled) = detail.number("handled") {
        field(seen, "handled", &Shown::number(handled), lines);
    }
    field(seen, "names", &list("names"), lines);
    field(seen, "groups", &list("groups"), lines);
    field(seen, "label", &text("label"), lines);
    field(seen, "traps exits", &if detail.is("trap_exit") { "yes" } else { "no" }.into(), lines);
    if detail.is("stop_requested") {
        field(seen, "stop", &"requested".into(), lines);
    }
    let parent = detail.number("parent").into_iter().collect();
    relations(seen, "parent", (parent, Vec::new()), lines);
    for (name, title) in [
        ("ancestors", "ancestors"),
        ("links", "links"),
        ("monitors", "monitors"),
        ("monitored_by", "monitored by"),
    ] {
        relations(seen, title, (detail.numbers(name), detail.texts(name)), lines);
    }
}

/// Returns the number of queued messages of a process, and the age of the oldest of these messages.
fn queue_of(detail: Fields) -> Shown {
    let queued = match detail.number("queued") {
        Some(queued) => Shown::number(queued).and(" queued"),
        None => "not counted".into(),
    };
    let oldest = detail.number("oldest_ms").filter(|ms| *ms > 0);
    queued.and(oldest.map(|ms| Shown::from(", oldest ").and(Shown::span(ms))).unwrap_or_default())
}

/// Returns the status that a server reports, or the reason why there is none.
fn line_of(status: Fields) -> Shown {
    match (status.str("line"), status.number("busy_ms")) {
        (Some(line), _) => Shown::new(line),
        (None, Some(ms)) => Shown::from("busy: no answer for ").and(Shown::span(ms)),
        (None, None) if status.is("panicked") => "format_status panicked".into(),
        (None, None) => Shown::default(),
    }
}

/// Adds related processes. `pids` are processes of the observed program, `others` are processes of
/// other nodes.
fn relations(
    seen: &Seen,
    title: &'static str,
    (pids, others): (Vec<u64>, Vec<String>),
    lines: &mut Vec<Line>,
) {
    let mut titles = [title].into_iter();
    for pid in pids {
        let node = seen.model.with_pid(pid);
        let text = node.map(|node| Shown::new(&node.path).and(" ")).unwrap_or_default();
        let row = Row::new().column(titles.next().unwrap_or_default(), NAMES, Tone::Dim);
        let row = row.put(text, Tone::Plain).put(Shown::pid(pid), Tone::Dim);
        lines.push(leads_to(row, node.map_or("", |node| &node.path), Some(pid)));
    }
    for other in others {
        let row = Row::new().column(titles.next().unwrap_or_default(), NAMES, Tone::Dim);
        lines.push(plain(row.put(Shown::from("#").and(Shown::new(&other)), Tone::Dim)));
    }
}

/// Adds the past incarnations, the last one first.
fn runs(seen: &Seen, node: &Node, lines: &mut Vec<Line>) {
    lines.push(plain(Row::new()));
    let title = match node.history.is_empty() {
        true => "No incarnation has ended.",
        false => "Past incarnations",
    };
    lines.push(plain(Row::of(title, Tone::Strong)));
    for run in node.history.iter().rev() {
        let row = Row::new().column(Shown::clock(run.ended_ms), 8, Tone::Dim);
        let row = row.put(run.pid.map(Shown::pid).unwrap_or_default(), Tone::Dim);
        let up = run.started_ms.map(|started| Shown::span(run.ended_ms.saturating_sub(started)));
        let up = up.map(|up| Shown::from("  up ").and(up)).unwrap_or_default();
        let place = Shown::new(run.place.as_deref().unwrap_or_default());
        let row = row.put(up, Tone::Dim).put("  ", Tone::Dim).put(place, Tone::Dim);
        let kept = run.pid.filter(|_| run.has_backtrace).map(backtrace).unwrap_or_default();
        lines.push(plain(row.put("  ", Tone::Dim).put(kept, Tone::Dim)));
        for part in Shown::new(&run.reason).wrap(seen.width.saturating_sub(10).max(20)) {
            let row = Row::of("         ", Tone::Plain).put(part, tone_of(&run.class));
            lines.push(plain(row));
        }
    }
}
