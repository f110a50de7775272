//! Cargo, started by a test.

use std::process::Command;

/// The prefixes of the variables with which cargo describes the package of a test that it runs.
const OF_THE_TEST: [&str; 5] =
    ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_CRATE_", "CARGO_BIN_", "CARGO_PRIMARY_"];

/// Returns a command of cargo that sees the environment of the cargo that runs the tests.
///
/// A build script may ask to run again if one of these variables changes. With the variables of the test,
/// cargo would compile its package and the library again, while other programs are linked with it.
pub fn cargo() -> Command {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.current_dir(env!("CARGO_MANIFEST_DIR"));
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if OF_THE_TEST.iter().any(|prefix| text.starts_with(prefix)) {
            cargo.env_remove(&name);
        }
    }
    cargo
}
