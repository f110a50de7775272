//! The requests that every server answers, whatever its type: OTP's system messages.

use std::fmt;

use crate::base::one_line;
use crate::call::Reply;
use crate::server::{GenServer, ServerContext};

/// One system message, queued in order with all other items. No bound refuses the message, and a
/// suspended server answers it.
pub(crate) enum System<S: GenServer> {
    Suspend(Reply<()>),
    Resume(Reply<()>),
    Status(Reply<ServerStatus>),
    /// Code of the library that runs between two handlers, and answers by itself.
    Run(Between<S>),
}

pub(crate) type Between<S> = Box<dyn FnOnce(&mut S, &mut ServerContext<S>) + Send>;

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
