//! The pages of the book that make promises: each of their sentences cites a test that exists.

use crate::support;

use std::collections::HashSet;

use support::source::{Source, read, sources};

/// The pages with numbered sentences, and the minimum number of sentences on each.
const PAGES: [(&str, usize); 3] =
    [("semantics.md", 150), ("promises.md", 28), ("otp-word-by-word.md", 10)];

/// One sentence: its number, and the tests that it names.
struct Sentence<'a> {
    number: &'a str,
    tests: Vec<&'a str>,
}

fn sentences(chapter: &str) -> Vec<Sentence<'_>> {
    let items = chapter.split("\n* **").skip(1);
    let one = |item| {
        let (number, rest): (&str, &str) = str::split_once(item, "**").unwrap_or((item, ""));
        let rest = rest.split("\n#").next().unwrap_or_default();
        let quoted = rest.split('`').skip(1).step_by(2);
        Sentence { number, tests: quoted.filter(|text| names_a_test(text)).collect() }
    };
    items.map(one).collect()
}

/// Returns whether a text has the form `file::function`. `Shutdown::Infinity` hasn't, because of
/// its capital letters.
fn names_a_test(text: &str) -> bool {
    let is_part = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '_' | ':');
    text.contains("::") && text.chars().all(is_part)
}

/// Returns the defects of the sentences: a number that occurs twice, no test, or a test that
/// doesn't exist.
fn complaints(chapter: &str, files: &[Source]) -> Vec<String> {
    let mut numbers = HashSet::new();
    let mut found = Vec::new();
    for Sentence { number, tests } in sentences(chapter) {
        if !numbers.insert(number) {
            found.push(format!("{number} is there twice."));
        }
        if tests.is_empty() {
            found.push(format!("{number} names no test."));
        }
        let lost = tests.into_iter().filter(|test| !is_there(test, files));
        found.extend(lost.map(|test| format!("{number} names {test}, which isn't there.")));
    }
    found
}

/// Returns whether a file of this name, in any folder of `tests`, has the function.
fn is_there(test: &str, files: &[Source]) -> bool {
    let Some((file, function)) = test.split_once("::") else { return false };
    let mut named = files.iter().filter(|source| module(&source.path) == file);
    named.any(|source| source.text.contains(&format!("fn {function}(")))
}

/// Returns the name of the module in a file: `names` for `tests/processes/names.rs`.
fn module(path: &str) -> &str {
    let path = path.trim_end_matches(".rs").trim_end_matches("/mod").trim_end_matches("/main");
    path.rsplit('/').next().unwrap_or(path)
}

#[test]
fn each_sentence_cites_a_test_that_exists() {
    let mut all = String::new();
    for (page, least) in PAGES {
        let text = read(&format!("book/src/{page}")).expect("there is such a page");
        assert!(sentences(&text).len() >= least, "{page}");
        all += &text;
    }
    assert_eq!(complaints(&all, &sources("tests")), [""; 0]);
}

#[test]
fn a_sentence_without_a_test_is_reported() {
    let own = "semantics::a_sentence_without_a_test_is_reported";
    let chapter = format!(
        "# S\n\n* **A1** Fine, `Normal`.\n  `{own}`\n* **A2** No test.\n* **A2** Lost.\n  \
         `semantics::nowhere` `nowhere::{own}`\n\n## `Other::Words`\n"
    );
    let expected = [
        "A2 names no test.".to_owned(),
        "A2 is there twice.".to_owned(),
        "A2 names semantics::nowhere, which isn't there.".to_owned(),
        format!("A2 names nowhere::{own}, which isn't there."),
    ];
    assert_eq!(complaints(&chapter, &sources("tests")), expected);
}
