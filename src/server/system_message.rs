//! The requests that every server answers, whatever its type: OTP's system messages.

use std::any::Any;
use std::fmt;

use crate::base::{Pid, one_line};
use crate::call::Reply;
use crate::process::SystemRequest;
use crate::server::Trace;
use crate::server::trace::Format;

/// One system message, queued in order with all other items. No bound refuses the message, and a
/// suspended server answers it.
pub(crate) enum System {
    Suspend(Reply<()>),
    Resume(Reply<()>),
    /// A request to suspend, to resume or for the status, of a requester that does not know the type
    /// of the server.
    Untyped(SystemRequest),
    Status(Reply<ServerStatus>),
    /// Adds a listener, with this formatter.
    Trace(Reply<Trace>, Option<Format>),
    /// Runs a closure with the state and the pid of the server. The closure answers by itself.
    Run(Between),
}

/// The state is that of the server: the closure knows its type.
pub(crate) type Between = Box<dyn FnOnce(&mut dyn Any, Pid) + Send>;

/// The status of a server, the result of [`ServerRef::get_status`](crate::ServerRef::get_status),
/// which has an example. OTP: the result of `sys:get_status/1`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServerStatus {
    /// Whether the server is [suspended](crate::ServerRef::suspend).
    pub suspended: bool,
    /// The result of [`GenServer::format_status`](crate::GenServer::format_status); `None` if the
    /// server publishes nothing.
    pub line: Option<String>,
}

/// Writes one line, with control characters escaped.
impl fmt::Display for ServerStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.suspended { "suspended" } else { "running" })?;
        self.line.as_ref().map_or(Ok(()), |line| write!(f, ": {}", one_line(line)))
    }
}
