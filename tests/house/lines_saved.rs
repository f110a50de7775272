//! The table of `lines-saved.md` has the numbers of lines of the code that it compares, and the size
//! of the example `gateway` is what the book says.

use crate::support;

use std::collections::BTreeMap;

use support::source::{read, sources};

/// Returns the number of lines of code: neither empty nor a comment.
fn code_lines<'a>(lines: impl IntoIterator<Item = &'a str>) -> usize {
    let lines = lines.into_iter().map(str::trim);
    lines.filter(|line| !line.is_empty() && !line.starts_with("//")).count()
}

/// Returns the lines of code before and now, by the name of the piece.
fn counted(texts: &[String]) -> BTreeMap<String, [usize; 2]> {
    let mut counts: BTreeMap<String, [usize; 2]> = BTreeMap::new();
    for text in texts {
        let mut piece = None;
        for line in text.lines() {
            let mark = line.trim().strip_prefix("// ").unwrap_or_default();
            if let Some(name) = mark.strip_prefix("BEFORE ") {
                piece = Some((name, 0));
            } else if let Some(name) = mark.strip_prefix("NOW ") {
                piece = Some((name, 1));
            } else if mark == "END" {
                piece = None;
            }
            if let Some((name, side)) = piece {
                counts.entry(name.to_owned()).or_default()[side] += code_lines([line]);
            }
        }
    }
    counts
}

#[test]
fn the_table_of_saved_lines_counts_the_code() {
    let code: Vec<_> = sources("tests/house/workarounds").into_iter().map(|s| s.text).collect();
    let page = read("book/src/lines-saved.md").expect("the page is there");
    let mut told = BTreeMap::new();
    for row in page.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<_> = row.trim_matches('|').split('|').map(str::trim).collect();
        if cells.len() < 6 {
            continue; // the table of the examples, which is about earlier versions
        }
        let number = |cell: &str| cell.parse().expect("a number of lines");
        let name = cells[0].trim_matches('`').to_owned();
        told.insert(name, [number(cells[2]), number(cells[3])]);
    }
    assert_eq!(told, counted(&code));
    let sum = told.values().fold([0, 0], |sum: [usize; 2], row| [sum[0] + row[0], sum[1] + row[1]]);
    let text = format!("{} lines before, {} now", sum[0], sum[1]);
    assert!(page.contains(&text), "lines-saved.md doesn't say {text:?}");
}

#[test]
fn a_piece_in_several_places_is_counted_as_a_whole() {
    let text = "// BEFORE a\nx\n\n// why\n// NOW b\ny\n  // BEFORE a\nz\nz\n// END\nx\n".to_owned();
    let expected = [("a".to_owned(), [3, 0]), ("b".to_owned(), [0, 1])];
    assert_eq!(counted(&[text]), BTreeMap::from(expected));
}

#[test]
fn the_book_says_how_long_the_gateway_is() {
    let files = sources("examples/gateway/src");
    let lines = |file: &str| {
        code_lines(files.iter().filter(|f| f.path.ends_with(file)).flat_map(|f| f.text.lines()))
    };
    let (test, all) = (lines("selftest.rs"), lines(".rs"));
    let page = read("book/src/a-service-whole.md").expect("the page is there");
    let text = format!("{} lines of code, and {test} of its self-test", all - test);
    assert!(page.contains(&text), "a-service-whole.md doesn't say {text:?}");
    assert!(all - test < 400);
}
