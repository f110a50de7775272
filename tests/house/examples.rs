//! The exact output of the small examples, which the book shows.

use std::path::Path;
use std::process::Command;

/// The folder with the output that the book shows: one file for each example, with the same name.
const SHOWN: &str = "book/src/output";

/// Runs an example as a reader would, and returns its output.
fn printed(example: &str) -> String {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["run", "--quiet", "--example", example]);
    if cfg!(feature = "serde") {
        cargo.arg("--all-features"); // built already
    } else if example == "chat" {
        cargo.args(["--features", "net"]);
    }
    if example == "chat" {
        cargo.args(["--", "--selftest"]);
    }
    let run = cargo.current_dir(env!("CARGO_MANIFEST_DIR")).output().expect("cargo runs");
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
