//! The exact output of the small examples, which the book shows, and the hidden lines of the examples
//! in the documentation.

use crate::support;

use std::path::Path;

use support::cargo::cargo;
use support::source::{Source, files, read, sources};

/// The folder with the output that the book shows: one file for each example, with the same name.
const SHOWN: &str = "book/src/output";

/// Runs an example as a reader would, and returns its output.
fn printed(example: &str) -> String {
    let mut cargo = cargo();
    cargo.args(["run", "--quiet", "--example", example]);
    if cfg!(feature = "serde") {
        cargo.arg("--all-features"); // built already
    }
    if example == "chat" {
        cargo.args(["--", "--selftest"]);
    }
    let run = cargo.output().expect("cargo runs");
    let told = String::from_utf8_lossy(&run.stderr);
    assert!(run.status.success(), "{example} failed:\n{told}");
    String::from_utf8(run.stdout).expect("examples print text")
}

/// Returns the text with every up time replaced: `up 63ms` becomes `up 0ms`.
fn timeless(text: &str) -> String {
    let mut parts = text.split("  up ");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |done, part| {
        let rest = part.trim_start_matches(|c: char| c.is_ascii_digit() || ".ms".contains(c));
        format!("{done}  up 0ms{rest}")
    })
}

#[test]
fn the_examples_print_what_the_book_shows() {
    let shown = Path::new(env!("CARGO_MANIFEST_DIR")).join(SHOWN);
    let mut files: Vec<_> = shown.read_dir().expect("there is output").flatten().collect();
    files.sort_by_key(std::fs::DirEntry::path);
    assert!(!files.is_empty());
    for file in files {
        let path = file.path();
        let example = path.file_stem().and_then(|stem| stem.to_str()).expect("a plain name");
        if example == "chat" && !cfg!(feature = "net") {
            continue; // not built: with its feature, the whole library would be compiled again
        }
        let expected = std::fs::read_to_string(&path).expect("it can be read");
        let told = timeless(&printed(example));
        assert_eq!(
            told, expected,
            "\n{example} prints:\n{told}\n{SHOWN}/{example}.txt says:\n{expected}"
        );
    }
}

#[test]
fn up_times_are_removed_from_the_output() {
    let text = "app  one_for_one  #1  up 1.5s  3 left\n└─ kv  #2  up 63ms\n";
    assert_eq!(timeless(text), "app  one_for_one  #1  up 0ms  3 left\n└─ kv  #2  up 0ms\n");
}

/// Hidden lines that compile code once for each example which the examples can share: a start of
/// tokio for each type of future, and a server type.
const SLOW: [(&str, &str); 3] = [
    ("block_on(async {", "block_on(futures_util::FutureExt::boxed_local(async {"),
    (
        "#[tokio::main(flavor = \"current_thread\"",
        "fn main() { ….block_on(futures_util::FutureExt::boxed_local(example())) }",
    ),
    ("include!(", "use regrow::doc_counter::{Call, Cast, Counter};"),
];

/// Returns the hidden lines of these files that compile slowly.
fn slow(files: &[Source]) -> Vec<String> {
    let hidden = |line: &str| {
        let line = line.trim_start();
        let line = line.strip_prefix("///").or_else(|| line.strip_prefix("//!")).unwrap_or(line);
        line.trim_start().strip_prefix("# ").map(str::to_owned)
    };
    let lines = files.iter().flat_map(|file| {
        file.text.lines().filter_map(hidden).map(|line| (file.path.as_str(), line))
    });
    let slow = lines.filter_map(|(path, line)| {
        let (_, fast) = SLOW.iter().find(|(slow, _)| line.contains(slow))?;
        Some(format!("{path}: # {line}: write # {fast}"))
    });
    slow.collect()
}

#[test]
fn the_hidden_lines_of_examples_compile_fast() {
    let readme = read("README.md").map(|text| Source { path: "README.md".to_owned(), text });
    let texts = [sources("src"), files("book/src", ".md"), readme.into_iter().collect()];
    let slow = slow(&texts.concat());
    assert!(slow.is_empty(), "\n{}\n", slow.join("\n"));
}

#[test]
fn a_hidden_line_that_compiles_slowly_is_reported() {
    let text = "/// # b.block_on(async {\n# #[tokio::main(flavor = \"current_thread\")]\nblock_on(async {\n\
        //! # block_on(futures_util::FutureExt::boxed_local(async {\n    /// # mod c { include!(f) }";
    let file = Source { path: "a.rs".to_owned(), text: text.to_owned() };
    let found = slow(&[file]);
    assert_eq!(found.len(), 3, "{found:?}");
    assert!(found[0].starts_with("a.rs: # b.block_on(async {: write # block_on(futures"));
}
