//! The compiler errors for common mistakes: the programs in `tests/ui` with their expected errors.
//!
//! The text of the errors changes with the compiler, so a test compares them only under the version
//! that recorded them. After a change of compiler or signatures, run
//! `TRYBUILD=overwrite cargo test --test house ui::`, and review the diff as a new user would.

use std::process::Command;

/// The version of the compiler that made the `.stderr` files.
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
