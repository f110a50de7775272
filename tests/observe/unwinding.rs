//! The warning about a build without unwinding.

use crate::support;

use regrow::Runtime;
use support::log::Log;

/// T49: in a build that unwinds nothing is said. What is said in one that aborts, once
/// and loudly, is asserted by `examples/without_unwinding.rs`, which is built and run
/// both ways on every change.
#[test]
fn a_build_with_unwinding_logs_no_warning() {
    let log = Log::listen();
    drop((Runtime::new(), Runtime::with_mailbox_depth(), Runtime::with_mailbox_capacity(1)));
    assert!(log.heads().is_empty());
}
