//! The log line of a message that a server doesn't expect.

use crate::base::{Pid, ignore_panic};
use crate::kernel::Kernel;
use crate::message::Received;
use crate::observe::log_flood::LineKind;

#[cfg(feature = "cluster")]
use crate::observe::log_limit::LogLimit;

/// Another node may send terms and exit signals without end to a server that expects none.
#[cfg(feature = "cluster")]
static FOREIGN: LogLimit = LogLimit::new();

/// Logs the message without its content, unless many others have just been logged.
pub(super) fn log(kernel: &Kernel, pid: Pid, info: &Received) {
    #[cfg(feature = "cluster")]
    if info.may_be_foreign() {
        let Some(left_out) = FOREIGN.line(std::time::Instant::now()) else { return };
        ignore_panic(
            || tracing::warn!(target: "regrow::server", %pid, info = info.outline(), left_out, "unexpected message dropped"),
        );
        return;
    }
    kernel.line(LineKind::Unexpected, || {
        ignore_panic(
            || tracing::warn!(target: "regrow::server", %pid, info = info.outline(), "unexpected message dropped"),
        );
    });
}
