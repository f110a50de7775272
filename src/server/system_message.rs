//! The requests that every server answers, whatever its type: OTP's system messages.

use std::fmt;

use crate::base::{Pid, one_line};
use crate::call::Reply;
use crate::process::SystemRequest;
use crate::server::trace::Format;
use crate::server::{GenServer, Trace};

/// One system message, queued in order with all other items. No bound refuses the message, and a
/// suspended server answers it.
pub(crate) enum System<S: GenServer> {
    Suspend(Reply<()>),
    Resume(Reply<()>),
    /// A request to suspend, to resume or for the status, of a requester that does not know the type
    /// of the server.
    Untyped(SystemRequest),
    Status(Reply<ServerStatus>),
    /// Adds a listener, with this formatter.
    Trace(Reply<Trace>, Option<Format<S>>),
    /// Runs a closure with the state and the pid of the server. The closure answers by itself.
    Run(Between<S>),
}

pub(crate) type Between<S> = Box<dyn FnOnce(&mut S, Pid) + Send>;

/// The status of a server, the result of [`ServerRef::get_status`](crate::ServerRef::get_status),
/// which has an example. OTP: the result of `sys:get_status/1`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServerStatus {
    /// Whether the server is [suspended](crate::ServerRef::suspend).
    pub suspended: bool,
    /// The result of [`GenServer::format_status`]; `None` if the
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
