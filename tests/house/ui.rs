//! The compiler errors for common mistakes: the programs in `tests/ui` with their expected errors.
//!
//! The text of the errors changes with the compiler and lists items of all features, so a test
//! compares them only under the version that recorded them and with all features. After a change of
//! compiler or signatures, run `REGROW_RECORD=1 cargo test --all-features --test house ui::`, and
//! review the diff as a new user would.
//!
//! The programs are compiled against the library that cargo has just built for the tests. A crate
//! for such tests would build it, and all its dependencies, a second time.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;

use crate::support::cargo::cargo;

/// The version of the compiler that made the `.stderr` files.
const RECORDED: &str = "rustc 1.95.";

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

#[test]
#[cfg_attr(
    not(all(feature = "net", feature = "observer", feature = "process")),
    ignore = "the recorded errors list items of all features"
)]
fn compiler_errors_point_at_the_mistake() {
    let version = Command::new(compiler()).arg("--version").output().expect("rustc runs").stdout;
    let version = String::from_utf8(version).expect("a version is a text");
    if !version.starts_with(RECORDED) {
        println!("not compared: {} words errors otherwise than {RECORDED}x", version.trim());
        return;
    }
    let library = library();
    let folder = Path::new(ROOT).join("tests/ui").read_dir().expect("there are programs");
    let mut cases: Vec<_> = folder.map(|entry| entry.expect("an entry").path()).collect();
    cases.retain(|path| path.extension().is_some_and(|extension| extension == "rs"));
    assert!(!cases.is_empty());
    let differing: Vec<String> = thread::scope(|scope| {
        let halves = cases.chunks(cases.len().div_ceil(2));
        let check =
            |half: &[PathBuf]| half.iter().filter_map(|case| differs(case, &library)).collect();
        let checks: Vec<_> =
            halves.map(|half| scope.spawn(move || -> Vec<_> { check(half) })).collect();
        checks.into_iter().flat_map(|check| check.join().expect("no check panics")).collect()
    });
    assert!(differing.is_empty(), "{}", differing.join("\n"));
}

/// Compiles one program. Returns a message if its errors differ from the recorded ones.
fn differs(case: &Path, library: &Path) -> Option<String> {
    let case = case.strip_prefix(ROOT).expect("below the root");
    let mut rustc = Command::new(compiler());
    rustc.args(["--edition=2024", "--crate-type=bin", "--emit=metadata", "--out-dir"]);
    rustc.arg(std::env::temp_dir()).arg("--extern").arg(format!("regrow={}", library.display()));
    rustc.arg("-L").arg(library.parent().expect("a folder")).arg(case);
    let compiled = rustc.current_dir(ROOT).output().expect("rustc runs");
    if compiled.status.success() {
        return Some(format!("{} compiles, but should not.", case.display()));
    }
    let errors = comparable(&String::from_utf8_lossy(&compiled.stderr));
    let record = Path::new(ROOT).join(case).with_extension("stderr");
    if std::env::var_os("REGROW_RECORD").is_some() {
        fs::write(record, errors).expect("the record can be written");
        return None;
    }
    let recorded = fs::read_to_string(&record).unwrap_or_default();
    (errors != recorded)
        .then(|| format!("{} has the errors\n{errors}\ninstead of\n{recorded}", case.display()))
}

/// Returns the errors without what changes with each edit of the library: the numbers of its lines,
/// the width of the margin that shows them, and the count of errors at the end.
fn comparable(errors: &str) -> String {
    let mut in_case = true;
    let lines = errors.lines().map(|line| {
        let text = line.trim_start();
        if let Some((arrow @ ("-->" | ":::"), place)) = text.split_once(' ') {
            in_case = place.starts_with("tests/ui/");
            let file = place.split(':').next().unwrap_or_default();
            return format!("  {arrow} {}", if in_case { place } else { file });
        }
        in_case |= ["error", "note:", "help:"].iter().any(|head| line.starts_with(head));
        match text.trim_start_matches(|c: char| c.is_ascii_digit()).strip_prefix(" |") {
            Some(code) if in_case => format!("{:>3} |{code}", &text[..text.len() - code.len() - 2]),
            Some(code) => format!("    |{code}"),
            None if text.starts_with('|') || text.starts_with("= ") => format!("    {text}"),
            None => line.to_owned(),
        }
    });
    let kept = lines.take_while(|line| !line.starts_with("error: aborting due to"));
    let kept = kept.collect::<Vec<_>>().join("\n");
    kept.trim_end().to_owned() + "\n"
}

/// Returns the file of the library that the tests are linked with.
///
/// # Panics
///
/// If cargo compiles the library again: other programs may be linked with it at the same time.
fn library() -> PathBuf {
    let mut cargo = cargo();
    cargo.args(["test", "--no-run", "--test", "stress", "--message-format", "json"]);
    if cfg!(feature = "serde") {
        cargo.arg("--all-features"); // built already
    }
    let built = cargo.output().expect("cargo runs");
    let messages = String::from_utf8_lossy(&built.stdout);
    let mut artifacts = messages.lines().filter(|line| line.contains(r#""name":"regrow""#));
    let found = artifacts
        .find_map(|line| Some((line, line.split('"').find(|text| text.ends_with(".rlib"))?)));
    let errors = String::from_utf8_lossy(&built.stderr);
    let (artifact, library) = found.unwrap_or_else(|| panic!("{errors}"));
    assert!(artifact.contains(r#""fresh":true"#), "the library was compiled again:\n{errors}");
    library.into()
}

fn compiler() -> std::ffi::OsString {
    std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into())
}
