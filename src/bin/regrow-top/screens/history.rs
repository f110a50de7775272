//! The history: ends, starts and restarts, newest first.

use std::ops::Range;

use crate::model::{Entry, Tone, tone_of};
use crate::row::Row;
use crate::screens::outline::Outline;
use crate::screens::{Line, Page, Seen, backtrace, leads_to};
use crate::shown::Shown;

pub(super) fn page(seen: &Seen, outline: &Outline, window: &Range<usize>) -> Page {
    let wanted = outline.history.iter().skip(window.start).take(window.len());
    let entries = wanted.filter_map(|at| seen.model.history.entries.get(*at));
    let lines = entries.map(|entry| line(seen, entry)).collect();
    let is_filtered = !seen.view.filter().is_empty() || seen.view.failures_only;
    let empty = match is_filtered {
        true => "Nothing matches the filter.",
        false => "Nothing has happened yet.",
    };
    Page { head: None, total: outline.history.len(), lines, empty: empty.into() }
}

fn line(seen: &Seen, entry: &Entry) -> Line {
    let (word, tone) = entry.word();
    let path = if seen.width < 90 { 18 } else { seen.width * 25 / 100 };
    let row = Row::new()
        .column(Shown::clock(entry.time_ms), 8, Tone::Dim)
        .column(Shown::new(word), if seen.width < 90 { 10 } else { 12 }, tone)
        .column(Shown::new(&entry.path).cut_begin(path), path, Tone::Strong);
    let row =
        words(entry).into_iter().fold(row, |row, (text, tone)| row.put(text, tone).put("  ", tone));
    leads_to(row, &entry.path, entry.pid)
}

/// Returns the texts of an entry that follow its path.
fn words(entry: &Entry) -> Vec<(Shown, Tone)> {
    let mut words = Vec::new();
    if let Some(pid) = entry.pid {
        words.push((Shown::pid(pid), Tone::Dim));
    }
    if entry.kind == "restarting" {
        if let Some(attempt) = entry.attempt {
            words.push((Shown::from("attempt ").and(Shown::number(attempt)), Tone::Plain));
        }
        if let Some(ms) = entry.delay_ms.filter(|ms| *ms > 0) {
            words.push((Shown::from("after ").and(Shown::span(ms)), Tone::Plain));
        }
        if let Some(left) = entry.budget_left {
            let tone = if left == 0 { Tone::Bad } else { Tone::Dim };
            words.push((Shown::number(left).and(" left in the budget"), tone));
        }
        return words;
    }
    if let Some(reason) = &entry.reason {
        words.push((Shown::new(reason), tone_of(&entry.class)));
    }
    if let Some(text) = &entry.text {
        words.push((Shown::new(text), Tone::Plain));
    }
    if let Some(place) = &entry.place {
        words.push((Shown::new(place), Tone::Dim));
    }
    if let Some(pid) = entry.pid.filter(|_| entry.has_backtrace) {
        words.push((backtrace(pid), Tone::Dim));
    }
    if let Some(ms) = entry.uptime_ms.filter(|_| entry.kind == "ended") {
        words.push((Shown::from("up ").and(Shown::span(ms)), Tone::Dim));
    }
    words
}
