//! What an error of `accept` means for the listener, and when it is logged.

use std::io;

use crate::base::{Pid, ignore_panic};

/// The target of all lines.
const TARGET: &str = "regrow::listener";

/// What an error of `accept` is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Failure {
    /// The connection that was to be accepted. The next one can be accepted at once.
    Connection,
    /// The process or the system: no more files or memory, or an unknown error. The connection is
    /// still queued, so another try at once would fail in the same way.
    Exhausted,
    /// The listener itself, which will accept nothing any more.
    Listener,
}

impl Failure {
    pub(super) fn of(error: &io::Error) -> Self {
        use io::ErrorKind as Kind;
        match error.kind() {
            Kind::ConnectionAborted | Kind::ConnectionReset | Kind::ConnectionRefused => {
                return Failure::Connection;
            }
            Kind::Interrupted | Kind::WouldBlock | Kind::TimedOut => return Failure::Connection,
            Kind::NetworkDown | Kind::NetworkUnreachable | Kind::HostUnreachable => {
                return Failure::Connection;
            }
            Kind::InvalidInput => return Failure::Listener,
            _ => {}
        }
        match error.raw_os_error() {
            // Linux reports pending network errors of the new connection: EPROTO, ENOPROTOOPT,
            // EHOSTDOWN, ENONET.
            Some(71 | 92 | 112 | 64) if cfg!(target_os = "linux") => Failure::Connection,
            // EBADF has this number on every Unix; ENOTSOCK has this one on Linux.
            Some(9) if cfg!(unix) => Failure::Listener,
            Some(88) if cfg!(target_os = "linux") => Failure::Listener,
            _ => Failure::Exhausted,
        }
    }
}

/// The failed accepts since the last connection was accepted. The first of them is logged at WARN,
/// and the first connection after them at INFO with their number.
#[derive(Debug)]
pub(super) struct FailureLog {
    acceptor: Pid,
    address: String,
    failed: u64,
}

impl FailureLog {
    pub(super) fn new(acceptor: Pid, address: String) -> Self {
        FailureLog { acceptor, address, failed: 0 }
    }

    pub(super) fn address(&self) -> &str {
        &self.address
    }

    /// Notes that an accept has failed, and is tried again after a pause.
    pub(super) fn failed(&mut self, error: &io::Error) {
        self.failed += 1;
        if self.failed > 1 {
            return;
        }
        ignore_panic(|| {
            tracing::warn!(
                target: TARGET, acceptor = %self.acceptor, address = %self.address, %error,
                "no connection can be accepted now: it is tried again"
            );
        });
    }

    /// Notes that one connection was lost before it was accepted.
    pub(super) fn lost_one(&self, error: &io::Error) {
        ignore_panic(|| {
            tracing::debug!(
                target: TARGET, acceptor = %self.acceptor, address = %self.address, %error,
                "a connection was lost before it was accepted"
            );
        });
    }

    /// Notes that a connection was accepted.
    pub(super) fn accepted(&mut self) {
        let failed = std::mem::take(&mut self.failed);
        if failed == 0 {
            return;
        }
        ignore_panic(|| {
            tracing::info!(
                target: TARGET, acceptor = %self.acceptor, address = %self.address, failed,
                "connections are accepted again"
            );
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_of_one_connection_differs_from_a_lack_of_files_and_from_a_broken_listener() {
        let of = |error: io::Error| Failure::of(&error);
        assert_eq!(of(io::ErrorKind::ConnectionAborted.into()), Failure::Connection);
        assert_eq!(of(io::ErrorKind::OutOfMemory.into()), Failure::Exhausted);
        assert_eq!(of(io::Error::other("unknown")), Failure::Exhausted);
        assert_eq!(of(io::ErrorKind::PermissionDenied.into()), Failure::Exhausted);
        if cfg!(target_os = "linux") {
            let codes = [
                (103, Failure::Connection), // ECONNABORTED
                (71, Failure::Connection),  // EPROTO
                (4, Failure::Connection),   // EINTR
                (23, Failure::Exhausted),   // ENFILE
                (24, Failure::Exhausted),   // EMFILE
                (105, Failure::Exhausted),  // ENOBUFS
                (12, Failure::Exhausted),   // ENOMEM
                (9, Failure::Listener),     // EBADF
                (22, Failure::Listener),    // EINVAL: it does not listen any more
                (88, Failure::Listener),    // ENOTSOCK
            ];
            for (code, expected) in codes {
                assert_eq!(of(io::Error::from_raw_os_error(code)), expected, "{code}");
            }
        }
    }
}
