//! The gateway as a process, without a configuration that it can use.

use std::process::Command;

#[test]
fn a_gateway_without_a_configuration_does_not_start() {
    let mut gateway = Command::new(env!("CARGO_BIN_EXE_gateway"));
    let run = gateway.arg("/no/such/file").output().unwrap();
    let log = String::from_utf8_lossy(&run.stderr);
    assert_eq!(run.status.code(), Some(1), "{log}");
    assert!(log.contains("the program did not start") && log.contains("/no/such/file"), "{log}");
}
