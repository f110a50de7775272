//! What the compiler says to a newcomer: each mistake of `tests/ui`, and the errors it gets.
//!
//! The words are the compiler's, and change with its versions: they are compared only by the
//! version they were recorded with. After a change of compiler or signatures:
//! `TRYBUILD=overwrite cargo test --test house ui::`, and read the diff as the newcomer would.

use std::process::Command;

/// The version of the compiler that the `.stderr` files are from.
const RECORDED: &str = "rustc 1.95.";

#[test]
fn compiler_errors_point_at_the_mistake() {
    let compiler = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let version = Command::new(compiler).arg("--version").output().unwrap().stdout;
    let version = String::from_utf8(version).unwrap();
    if !version.starts_with(RECORDED) {
        println!("not compared: {} speaks otherwise than {RECORDED}x", version.trim());
        return;
    }
    trybuild::TestCases::new().compile_fail("tests/ui/*.rs");
}
