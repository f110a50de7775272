//! The consistency of the book: its includes, its pictures, its internal links and the numbers it
//! quotes.

use crate::support;

use support::source::{entries, files, read, sources};

const PAGES: &str = "book/src";

/// Returns the chapters and the list of chapters, by their path in the book: `design/calls.md`.
fn pages() -> Vec<(String, String)> {
    let name = |path: &str| path.trim_start_matches(PAGES).trim_start_matches('/').to_owned();
    files(PAGES, ".md").into_iter().map(|page| (name(&page.path), page.text)).collect()
}

/// Returns each text between `before` and the next `after`.
fn between<'a>(text: &'a str, before: &'a str, after: &'a str) -> impl Iterator<Item = &'a str> {
    text.split(before).skip(1).filter_map(move |rest| rest.split(after).next())
}

/// Returns the path from the root of the repository for a path that is relative to this page.
fn from_root(page: &str, path: &str) -> String {
    let mut parts: Vec<&str> = PAGES.split('/').chain(page.split('/')).collect();
    parts.pop();
    for part in path.split('/') {
        match part {
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}

/// Returns the reason why an include of this page would show nothing, if there is one.
fn broken(page: &str, include: &str) -> Option<String> {
    let (path, anchor) = include.split_once(':').unwrap_or((include, ""));
    let Some(text) = read(&from_root(page, path)) else {
        return Some(format!("{path} isn't there"));
    };
    let marked =
        |mark: &str| text.lines().any(|line| line.trim() == format!("// {mark}: {anchor}"));
    let found = anchor.is_empty() || (marked("ANCHOR") && marked("ANCHOR_END"));
    (!found).then(|| format!("{path} has no {anchor}"))
}

fn assert_none(complaints: &[String]) {
    assert!(complaints.is_empty(), "\n{}\n", complaints.join("\n"));
}

#[test]
fn every_include_exists() {
    let mut complaints = Vec::new();
    for (page, text) in pages() {
        let wrong = between(&text, "{{#include ", "}}").filter_map(|what| broken(&page, what));
        complaints.extend(wrong.map(|what| format!("{page}: {what}.")));
    }
    assert_none(&complaints);
    let design = |include| broken("design/calls.md", include);
    assert_eq!(broken("genserver.md", "introduction.md"), None);
    assert_eq!(design("../introduction.md"), None);
    assert_eq!(design("introduction.md").as_deref(), Some("introduction.md isn't there"));
    let anchor = "../introduction.md has no hello";
    assert_eq!(design("../introduction.md:hello").as_deref(), Some(anchor));
}

#[test]
fn every_link_to_a_page_has_a_target() {
    let mut complaints = Vec::new();
    for (page, text) in pages() {
        let targets = between(&text, "](", ")").filter_map(|link| link.split('#').next());
        let own = targets.filter(|link| link.ends_with(".md") && !link.contains("://"));
        let lost = own.filter(|link| read(&from_root(&page, link)).is_none());
        complaints.extend(lost.map(|link| format!("{page} links to {link}, which isn't there.")));
    }
    assert_none(&complaints);
}

/// Returns the anchor that a heading makes in a page.
fn place(heading: &str) -> String {
    let kept = heading.chars().filter(|&c| c.is_alphanumeric() || c == ' ' || c == '-');
    kept.collect::<String>().to_lowercase().replace(' ', "-")
}

#[test]
fn every_link_of_the_readme_has_a_file_or_a_heading_as_target() {
    let readme = read("README.md").unwrap_or_default();
    let places: Vec<_> =
        readme.lines().filter_map(|line| line.strip_prefix("## ")).map(place).collect();
    let own = between(&readme, "](", ")").filter(|link| !link.contains("://"));
    let (mut complaints, mut followed) = (Vec::new(), 0);
    for link in own {
        followed += 1;
        let found = match link.strip_prefix('#') {
            Some(name) => places.iter().any(|place| place == name),
            None => read(link).is_some(),
        };
        complaints
            .extend((!found).then(|| format!("README.md links to {link}, which isn't there.")));
    }
    assert_none(&complaints);
    assert!(followed > 20, "it looks in the wrong place: {followed}");
}

#[test]
fn every_chapter_is_in_the_list() {
    let list = read("book/src/SUMMARY.md").unwrap_or_default();
    let missing = pages().into_iter().filter(|(page, _)| page != "SUMMARY.md");
    let missing = missing.filter(|(page, _)| !list.contains(&format!("]({page})")));
    assert_none(
        &missing.map(|(page, _)| format!("SUMMARY.md doesn't list {page}.")).collect::<Vec<_>>(),
    );
}

/// The overview lists the questions that the design chapters answer, each with its link.
#[test]
fn every_question_of_a_design_chapter_is_in_the_overview() {
    let overview = read("book/src/how-it-is-built.md").unwrap_or_default();
    let mut complaints = Vec::new();
    for (page, text) in pages().into_iter().filter(|(page, _)| page.starts_with("design/")) {
        let questions = text.lines().filter_map(|line| line.strip_prefix("## "));
        let missing = questions.filter(|q| !overview.contains(&format!("* [{q}]({page}#")));
        complaints.extend(missing.map(|q| format!("how-it-is-built.md doesn't list {page}: {q}")));
    }
    assert_none(&complaints);
}

/// A page inlines the SVG as raw HTML. An empty line would end the HTML block, and a fixed colour
/// could be invisible on the dark theme.
#[test]
fn every_picture_is_shown_and_fits_every_theme() {
    let text: String = pages().into_iter().map(|(_, text)| text).collect();
    let mut complaints = Vec::new();
    for name in entries("book/src/pictures") {
        let picture = read(&format!("book/src/pictures/{name}")).unwrap_or_default();
        let mut must = |holds: bool, what: &str| {
            complaints.extend((!holds).then(|| format!("pictures/{name} {what}.")));
        };
        must(text.contains(&format!("{{{{#include pictures/{name}}}}}")), "is shown by no page");
        must(picture.contains("aria-label=\""), "doesn't say what it shows (aria-label)");
        must(!picture.contains("\n\n"), "has an empty line");
        must(!picture.contains("style=") && !picture.contains("fill=\""), "has colours of its own");
    }
    assert_none(&complaints);
}

/// A snippet that is not run is a part of an example, which is run, or a fragment of a few lines
/// that shows wrong usage.
#[test]
fn a_snippet_that_is_not_run_is_part_of_an_example_or_a_fragment() {
    let mut complaints = Vec::new();
    for (page, text) in pages() {
        for block in between(&text, "```rust,ignore\n", "```") {
            let included = block.starts_with("{{#include ../../examples/");
            if !included && block.lines().count() > 3 {
                complaints.push(format!("{page} has a snippet that nothing runs: {block}"));
            }
        }
    }
    assert_none(&complaints);
}

/// Returns the text in one line, without the marks of comments and the indentation.
fn flowing(text: &str) -> String {
    let lines = text.lines().map(|line| {
        let line = line.trim();
        let line = line.strip_prefix("///").or(line.strip_prefix("//!")).unwrap_or(line);
        line.trim_start_matches("//").trim()
    });
    lines.collect::<Vec<_>>().join(" ")
}

/// Returns everything that users read: README, CHANGELOG, the book, and the sources with their
/// comments.
fn texts() -> Vec<(String, String)> {
    let plain = ["README.md", "CHANGELOG.md", "examples/README.md"].into_iter();
    let mut all: Vec<_> = plain.filter_map(|path| Some((path.to_owned(), read(path)?))).collect();
    all.extend(pages());
    all.extend(["src", "examples"].into_iter().flat_map(sources).map(|s| (s.path, s.text)));
    all
}

/// A constant that other texts quote: its source file, its line there, and the files with the
/// phrases that must quote it.
type QuotedConstant = (&'static str, &'static str, &'static [(&'static str, &'static str)]);

const QUOTED_CONSTANTS: &[QuotedConstant] = &[
    (
        "src/exit/shutdown.rs",
        "const STOP_DEADLINE: Duration = Duration::from_secs(25);",
        &[
            ("book/src/defaults.md", "| the whole stop may take | 25 s |"),
            ("book/src/in-production.md", "within one deadline: 25 s unless"),
            ("book/src/in-production.md", "the deadline of the run, 25 seconds;"),
            ("book/src/a-tree-that-starts-and-stops.md", "25 seconds unless you say otherwise"),
            ("src/program/run.rs", "By default 25 s."),
            ("src/supervisor/spec/finding.rs", "may take longer than 25 s"),
        ],
    ),
    (
        "src/exit/shutdown.rs",
        "Shutdown::Timeout(Duration::from_secs(5))",
        &[
            ("README.md", "| a child has, to stop | 5 s (a worker)"),
            ("book/src/defaults.md", "| has, to stop | a worker 5 s"),
        ],
    ),
    (
        "src/server/handle/server_ref.rs",
        "const CALL_TIMEOUT: Duration = Duration::from_secs(5);",
        &[
            ("README.md", "| a call waits | 5 s |"),
            ("book/src/defaults.md", "| a call waits | 5 s |"),
            ("book/src/if-you-know-tokio.md", "a plain `call` has a deadline of 5 s"),
            ("book/src/genserver.md", "five seconds if you say nothing"),
        ],
    ),
    (
        "src/task/mod.rs",
        "const LIMIT: Duration = Duration::from_secs(5);",
        &[("book/src/defaults.md", "| `join` waits | 5 s |")],
    ),
    (
        "src/snapshot/collect.rs",
        "const LIMIT: Duration = Duration::from_millis(250);",
        &[
            ("book/src/defaults.md", "| a snapshot of a tree takes | 250 ms at most |"),
            ("book/src/in-production.md", "ask all supervisors, for 250 ms in all"),
            ("book/src/observing.md", "the whole takes 250 ms at most"),
            ("book/src/semantics.md", "A snapshot of a tree takes 250 ms at most"),
            ("src/snapshot/routes.rs", "| `/readyz` | in 250 ms at most"),
        ],
    ),
    (
        "src/child/command/mod.rs",
        "const STOP_WINDOW: Duration = Duration::from_millis(100);",
        &[
            ("book/src/in-production.md", "only after its `stop_window`, 100 ms:"),
            ("src/child/command/mod.rs", "By default 100 ms;"),
        ],
    ),
    (
        "src/supervisor/stop.rs",
        "const NOT_YIELDING: Duration = Duration::from_secs(5);",
        &[
            ("book/src/defaults.md", "killed child that doesn't await | every 5 s |"),
            ("book/src/promises.md", "and named every five seconds"),
            ("src/child/blocking/mod.rs", "logged by name, every five seconds"),
        ],
    ),
    (
        "src/restart/history.rs",
        "const KEPT: usize = 8;",
        &[
            ("book/src/defaults.md", "| ends kept of each child | the last 8 |"),
            ("book/src/supervisors.md", "their last eight ends"),
        ],
    ),
    (
        "src/restart/backoff/mod.rs",
        "const PATIENCE: Duration = Duration::from_secs(15 * 60);",
        &[
            ("book/src/backoff.md", "| `give_up_after` | 15 min |"),
            ("src/restart/backoff/mod.rs", "15 minutes without a healthy run"),
        ],
    ),
    (
        "src/message/stream.rs",
        "const DEFAULT_CAPACITY: usize = 16;",
        &[
            ("book/src/defaults.md", "| a byte stream holds | 16 chunks |"),
            ("src/message/stream.rs", "holds up to 16 chunks"),
        ],
    ),
    (
        "src/observe/hub.rs",
        "const KEPT: usize = 1024;",
        &[(
            "book/src/defaults.md",
            "| a listener of `events`, `dead_letters` or `trace` may lie behind | 1024 events |",
        )],
    ),
    (
        "src/supervisor/dynamic/given_up_children.rs",
        "const KEPT: usize = 1_000;",
        &[("src/restart/own_budget.rs", "The 1,000 children that were given up last are kept")],
    ),
    (
        "src/program/report_text.rs",
        "const ROWS: usize = 32;",
        &[("book/src/in-production.md", "A report of more than 32 children")],
    ),
];

#[test]
fn a_number_in_a_source_equals_the_number_in_the_text() {
    let mut complaints = Vec::new();
    for (source, line, words) in QUOTED_CONSTANTS {
        let mut must = |path: &str, text: &str| {
            let found = read(path).is_some_and(|all| flowing(&all).contains(text));
            complaints.extend((!found).then(|| format!("{path} doesn't say {text:?}.")));
        };
        must(source, line);
        words.iter().for_each(|(path, text)| must(path, text));
    }
    assert_none(&complaints);
}

/// How long service managers wait before they kill a program: all texts that quote a value quote
/// the same one.
#[test]
fn the_timeouts_of_systemd_and_kubernetes_are_the_same_everywhere() {
    let settings = [("(`terminationGracePeriodSeconds`)", "30"), ("(`TimeoutStopSec`)", "90")];
    let (mut complaints, mut told) = (Vec::new(), 0);
    for (path, text) in texts() {
        let text = flowing(&text);
        for (setting, seconds) in settings {
            for (at, _) in text.match_indices(setting) {
                told += 1;
                let mut numbers = text[..at].rsplit(|c: char| !c.is_ascii_digit());
                let nearest = numbers.find(|number| !number.is_empty());
                if nearest != Some(seconds) {
                    complaints.push(format!("{path}: {setting} is {seconds} s, not {nearest:?}."));
                }
            }
        }
    }
    assert_none(&complaints);
    assert!(told >= 4, "the search misses most places: {told}");
}

/// Returns the version of `name` in the manifest.
fn version(name: &str) -> String {
    let manifest = read("Cargo.toml").unwrap_or_default();
    let line = manifest.lines().find(|line| line.starts_with(&format!("{name} = ")));
    let numbers = line.and_then(|line| between(line, "\"", "\"").next());
    numbers.expect("it is in the manifest").to_owned()
}

#[test]
fn the_minimum_tokio_and_rust_versions_are_those_of_the_manifest() {
    let oldest = [("tokio ", version("tokio")), ("Rust ", version("rust-version"))];
    let (mut complaints, mut told) = (Vec::new(), 0);
    for (path, text) in texts().into_iter().filter(|(path, _)| path.ends_with(".md")) {
        for (name, version) in &oldest {
            for (at, _) in text.match_indices(&format!("{name}1.")) {
                let rest = &text[at + name.len()..];
                let said = rest.split(|c: char| !c.is_ascii_digit() && c != '.').next();
                let said = said.unwrap_or_default().trim_end_matches('.');
                told += 1;
                if said != version {
                    complaints.push(format!("{path} says {name}{said}, and not {version}."));
                }
            }
        }
    }
    assert_none(&complaints);
    assert!(told >= 3, "the search misses most places: {told}");
}

/// Returns the numbers of a text, as they are written: `1,345`, `0.71`, `401–420`.
fn numbers(text: &str) -> Vec<String> {
    let is_part = |c: char| c.is_ascii_digit() || matches!(c, '.' | ',' | '–');
    let words = text.split(|c: char| !is_part(c)).map(|word| word.trim_matches([',', '.']));
    words.filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

/// Returns the rows of the tables of a page, as cells.
fn rows(text: &str) -> impl Iterator<Item = Vec<&str>> {
    let rows = text.lines().filter(|line| line.starts_with("| "));
    rows.map(|line| line.trim_matches('|').split('|').map(str::trim).collect())
}

/// Every number in the README's table also stands in a table of `what-costs-what.md`.
#[test]
fn the_figures_of_the_readme_are_those_of_the_book() {
    let book = read("book/src/what-costs-what.md").unwrap_or_default();
    let known: Vec<String> = rows(&book).flat_map(|row| numbers(&row[1..].join(" "))).collect();
    let readme = read("README.md").unwrap_or_default();
    let table = between(&readme, "| question | raw | regrow | ratio |", "\n\n").next();
    let (mut complaints, mut looked) = (Vec::new(), 0);
    for row in rows(table.unwrap_or_default()) {
        for number in numbers(&row[1..].join(" ").replace("(no deadline)", "")) {
            looked += 1;
            if !known.contains(&number) {
                complaints.push(format!("what-costs-what.md has no {number}, of {:?}.", row[0]));
            }
        }
    }
    assert_none(&complaints);
    assert!(looked > 20, "it looks in the wrong place: {looked}");
}

/// `drop` of a `bool` or a pid does nothing, and the compiler warns about it in a user's crate. The
/// call alone, with a semicolon, is enough.
#[test]
fn no_text_shows_an_unneeded_drop() {
    const COPIES: [&str; 12] = [
        "send(",
        "send_named(",
        "exit(",
        "kill(",
        "link(",
        "register(",
        "register_tag(",
        "cast(",
        "monitor(",
        "demonitor(",
        "set_health(",
        "set_label(",
    ];
    const OWNERS: [&str; 4] = ["rt.", "ctx.", "ctx.runtime().", "runtime."];
    let mut complaints = Vec::new();
    for (path, text) in texts() {
        for call in between(&text, "drop(", "\n") {
            let wrong = OWNERS.iter().any(|owner| {
                let method = call.strip_prefix(owner);
                method.is_some_and(|method| COPIES.iter().any(|copy| method.starts_with(copy)))
            });
            complaints.extend(wrong.then(|| format!("{path} shows drop({call}")));
        }
    }
    assert_none(&complaints);
}

/// No text shows `ctx.runtime().set_health(ctx.pid(), …)` where `ctx.set_health(…)` does the same.
#[test]
fn no_text_shows_the_long_form_of_a_context_method() {
    const SHORT: [&str; 2] = ["set_health", "set_label"];
    let mut complaints = Vec::new();
    for (path, text) in texts() {
        for method in SHORT {
            let long = format!("runtime().{method}(ctx.pid()");
            let shown = text.contains(&long);
            complaints.extend(shown.then(|| format!("{path} shows {long}…): ctx.{method}(…)")));
        }
    }
    assert_none(&complaints);
}
