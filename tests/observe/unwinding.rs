//! The warning about a build without unwinding.

use crate::support;

use regrow::Runtime;
use support::log::Log;

/// T49: a build that unwinds logs no warning. `examples/without_unwinding.rs` asserts that a build
/// that aborts logs one error; CI builds and runs that example in both ways.
#[test]
fn a_build_with_unwinding_logs_no_warning() {
    let log = Log::listen();
    drop((Runtime::new(), Runtime::with_mailbox_depth(), Runtime::with_mailbox_capacity(1)));
    assert!(log.heads().is_empty());
}
