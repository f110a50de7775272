//! Pressure: the longest mailboxes, running and slow handlers, and the counters.

use std::cmp::Reverse;
use std::ops::Range;

use crate::model::{Counters, Node, Tone};
use crate::row::Row;
use crate::screens::{Line, Page, Seen, leads_to, plain};
use crate::shown::Shown;

/// How many rows a list has at most.
const MOST: usize = 20;

pub(super) fn page(seen: &Seen, window: &Range<usize>) -> Page {
    let mut lines = Vec::new();
    if let Some(counters) = &seen.model.counters {
        lines.extend(counts(seen, counters));
    }
    mailboxes(seen, &mut lines);
    handlers(seen, &mut lines);
    waits(seen, &mut lines);
    trouble(seen, &mut lines);
    restarts(seen, &mut lines);
    Page::of(lines, window, "Waiting for the first picture.")
}

/// Returns the rows of the counters. Each row has as many counters as fit.
fn counts(seen: &Seen, counters: &Counters) -> Vec<Line> {
    let rate = counters.spawned_per_second.map_or(0.0, f64::round) as u64;
    let spawned = Shown::from(" spawned (").and(Shown::number(rate)).and("/s)");
    let all = [
        (counters.spawned, spawned, Tone::Plain),
        (counters.crashed, " errors and panics".into(), Tone::Bad),
        (counters.killed, " killed".into(), Tone::Plain),
        (counters.refused, " messages refused".into(), Tone::Warn),
        (counters.dropped, " dropped".into(), Tone::Warn),
        (counters.unhandled, " unhandled".into(), Tone::Warn),
        (counters.timed_out, " calls timed out".into(), Tone::Warn),
    ];
    let (mut lines, mut row) = (Vec::new(), Row::new());
    for (number, text, tone) in all {
        let value = Shown::number(number);
        if row.width() + value.width() + text.width() > seen.width {
            lines.push(plain(std::mem::take(&mut row)));
        }
        let tone = if number > 0 { tone } else { Tone::Plain };
        row = row.put(value, tone).put(text, Tone::Dim).put("   ", Tone::Plain);
    }
    lines.push(plain(row));
    lines
}

fn title(text: &'static str, lines: &mut Vec<Line>) {
    lines.push(plain(Row::new()));
    lines.push(plain(Row::of(text, Tone::Strong)));
}

/// Returns a row with a path and a value at its end.
fn item(seen: &Seen, path: &str, pid: Option<u64>, (value, tone): (Shown, Tone)) -> Line {
    let value = value.cut(seen.width / 2);
    let room = seen.width.saturating_sub(value.width() + 1);
    leads_to(
        Row::of(Shown::new(path).cut_begin(room), Tone::Plain).at_end(value, seen.width, tone),
        path,
        pid,
    )
}

fn none(text: &'static str, lines: &mut Vec<Line>) {
    lines.push(plain(Row::of(text, Tone::Dim)));
}

fn mailboxes(seen: &Seen, lines: &mut Vec<Line>) {
    title("Mailboxes", lines);
    let has_any = |node: &&Node| node.mailbox.queued.unwrap_or(0) > 0 || node.mailbox.lost > 0;
    let mut full: Vec<_> = seen.model.nodes().filter(has_any).collect();
    full.sort_by_key(|node| Reverse((node.mailbox.oldest_ms, node.mailbox.queued)));
    if full.is_empty() {
        none("All mailboxes that are counted are empty.", lines);
    }
    for node in full.into_iter().take(MOST) {
        let mut value = Shown::number(node.mailbox.queued.unwrap_or(0)).and(" queued");
        if let Some(ms) = node.mailbox.oldest_ms.filter(|ms| *ms > 0) {
            value = value.and(", oldest ").and(Shown::span(ms));
        }
        if node.mailbox.lost > 0 {
            value = value.and(", ").and(Shown::number(node.mailbox.lost)).and(" lost");
        }
        let tone = if node.mailbox.lost > 0 { Tone::Bad } else { Tone::Plain };
        lines.push(item(seen, &node.path, node.pid, (value, tone)));
    }
}

fn handlers(seen: &Seen, lines: &mut Vec<Line>) {
    title("Running handlers", lines);
    let busy = |node| Some((node, Node::clone(node).mailbox.handling?));
    let mut busy: Vec<_> = seen
        .model
        .nodes()
        .filter(|node| node.mailbox.handling.is_some())
        .filter_map(busy)
        .collect();
    busy.sort_by_key(|(_, (_, ms))| Reverse(*ms));
    if busy.is_empty() {
        none("None, or mailboxes are not tracked.", lines);
    }
    for (node, (callback, ms)) in busy.into_iter().take(MOST) {
        let value = Shown::new(&callback).and(" for ").and(Shown::span(ms));
        let tone = if ms > 1000 { Tone::Warn } else { Tone::Plain };
        lines.push(item(seen, &node.path, node.pid, (value, tone)));
    }
}

/// Adds the processes that wait for each other, as chains.
fn waits(seen: &Seen, lines: &mut Vec<Line>) {
    title("Calls that wait", lines);
    let waits = &seen.model.waits;
    let chains = waits.chains();
    if chains.is_empty() {
        let known = "No process waits for another one.";
        none(if waits.are_known { known } else { "Not known: deadlocks are not detected." }, lines);
    }
    for chain in chains.iter().take(MOST) {
        let mut row = Row::new();
        if chain.is_cycle {
            row = row.put("in a circle: ", Tone::Bad);
        }
        for (at, pid) in chain.pids.iter().enumerate() {
            row = row.put(if at == 0 { "" } else { " → " }, Tone::Dim);
            let path = waits.path(*pid).map(|path| Shown::new(path).and(" ")).unwrap_or_default();
            row = row.put(path, Tone::Plain).put(Shown::pid(*pid), Tone::Dim);
        }
        let last = chain.pids.last().copied();
        lines.push(leads_to(row, last.and_then(|pid| waits.path(pid)).unwrap_or_default(), last));
    }
    if waits.left_out > 0 {
        let text = Shown::number(waits.left_out).and(" more waits are not listed.");
        lines.push(plain(Row::of(text, Tone::Dim)));
    }
}

fn trouble(seen: &Seen, lines: &mut Vec<Line>) {
    title("Slow handlers and deadlocks", lines);
    if seen.model.trouble.is_empty() {
        none("None has been reported.", lines);
    }
    for entry in seen.model.trouble.iter().take(MOST) {
        let text = Shown::new(entry.text.as_deref().unwrap_or_default());
        let value = text.and("  ").and(Shown::clock(entry.time_ms));
        lines.push(item(seen, &entry.path, entry.pid, (value, Tone::Warn)));
    }
}

fn restarts(seen: &Seen, lines: &mut Vec<Line>) {
    title("Restarts", lines);
    let worst = seen.model.counters.as_ref().map_or(&[][..], |counters| &counters.worst);
    if worst.is_empty() {
        none("No child has been restarted.", lines);
    }
    for child in worst {
        let what = if child.restarts == 1 { " restart" } else { " restarts" };
        let mut value = Shown::number(child.restarts).and(what);
        if child.give_ups > 0 {
            value = value.and(", gave up ").and(Shown::number(child.give_ups));
        }
        let tone = if child.give_ups > 0 { Tone::Bad } else { Tone::Plain };
        lines.push(item(seen, &child.path, None, (value, tone)));
    }
}
