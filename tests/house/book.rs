//! What holds the book together: its includes, its pictures, its links to its own pages.

use crate::support;

use support::source::{entries, read};

const PAGES: &str = "book/src";

/// The chapters and the list of them, by their file's name.
fn pages() -> Vec<(String, String)> {
    let names = entries(PAGES).into_iter().filter(|name| name.ends_with(".md"));
    names.filter_map(|name| read(&format!("{PAGES}/{name}")).map(|text| (name, text))).collect()
}

/// What stands between `before` and the next `after`, each time.
fn between<'a>(text: &'a str, before: &'a str, after: &'a str) -> impl Iterator<Item = &'a str> {
    text.split(before).skip(1).filter_map(move |rest| rest.split(after).next())
}

/// A path as a page writes it, seen from the repository's root.
fn from_root(path: &str) -> String {
    match path.strip_prefix("../../") {
        Some(outside) => outside.to_owned(),
        None => format!("{PAGES}/{path}"),
    }
}

/// Why an include would show nothing.
fn broken(include: &str) -> Option<String> {
    let (path, anchor) = include.split_once(':').unwrap_or((include, ""));
    let Some(text) = read(&from_root(path)) else { return Some(format!("{path} isn't there")) };
    let marked =
        |mark: &str| text.lines().any(|line| line.trim() == format!("// {mark}: {anchor}"));
    let found = anchor.is_empty() || (marked("ANCHOR") && marked("ANCHOR_END"));
    (!found).then(|| format!("{path} has no {anchor}"))
}

fn assert_none(complaints: &[String]) {
    assert!(complaints.is_empty(), "\n{}\n", complaints.join("\n"));
}

#[test]
fn every_include_is_there() {
    let mut complaints = Vec::new();
    for (page, text) in pages() {
        let wrong = between(&text, "{{#include ", "}}").filter_map(broken);
        complaints.extend(wrong.map(|what| format!("{page}: {what}.")));
    }
    assert_none(&complaints);
    assert_eq!(broken("introduction.md"), None);
    let (page, anchor) = ("nowhere.md isn't there", "introduction.md has no hello");
    assert_eq!(broken("nowhere.md").as_deref(), Some(page));
    assert_eq!(broken("introduction.md:hello").as_deref(), Some(anchor));
}

#[test]
fn every_link_to_a_page_leads_there() {
    let mut complaints = Vec::new();
    for (page, text) in pages() {
        let targets = between(&text, "](", ")").filter_map(|link| link.split('#').next());
        let own = targets.filter(|link| link.ends_with(".md") && !link.contains("://"));
        let lost = own.filter(|link| read(&from_root(link)).is_none());
        complaints.extend(lost.map(|link| format!("{page} links to {link}, which isn't there.")));
    }
    assert_none(&complaints);
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

/// A page takes them in as they are, so an empty line would end them there, and a colour
/// of their own would be lost on a dark page.
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
