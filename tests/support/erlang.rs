//! Erlang, for tests that compare.
#![allow(dead_code)] // no program uses all of it

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Whether all tests run, at their full length.
pub(crate) fn is_full() -> bool {
    std::env::var("REGROW_PROOF").is_ok_and(|size| size == "full")
}

/// Reports that a test is skipped. Fails where all tests have to run.
pub(crate) fn skipped(why: &str) {
    assert!(!is_full(), "`REGROW_PROOF=full` skips no test, but {why}");
    // Unlike `eprintln`, which the test runner hides if the test passes.
    let mut stderr = std::io::stderr();
    writeln!(stderr, "SKIPPED: {why}").unwrap();
}

/// Compiles this module, calls its `main` with the path of a file with this input, and returns what it
/// prints; `None` if Erlang is not installed. `source` is the path of the module in this repository, and
/// `test` names a folder for the files.
pub(crate) fn run_module(source: &str, test: &str, input: &str) -> Option<String> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join(source);
    let module = source.file_stem().unwrap().to_owned();
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(test);
    std::fs::create_dir_all(&folder).unwrap();
    let Ok(compiled) = Command::new("erlc").arg("-o").arg(&folder).arg(&source).output() else {
        skipped("this test needs Erlang, and there is no `erlc`");
        return None;
    };
    assert!(compiled.status.success(), "{}", String::from_utf8_lossy(&compiled.stdout));
    let file = folder.join("input.txt");
    std::fs::write(&file, input).unwrap();
    let mut erl = Command::new("erl");
    // With one scheduler, the order of the processes is that of their messages.
    erl.args(["-noinput", "+S", "1", "-run"]).arg(module).arg("main").arg(&file);
    let output = erl.arg("-pa").arg(&folder).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(String::from_utf8(output.stdout).unwrap().trim_end().to_owned())
}
