//! The self-test of the example: its own clients connect over TLS.

use std::process::Command;

#[test]
fn its_clients_get_their_lines_back_over_tls() {
    let run = Command::new(env!("CARGO_BIN_EXE_tls")).arg("--selftest").output();
    let run = run.expect("the program starts");
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
}
