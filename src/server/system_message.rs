//! What can be asked of any server, whatever its type: OTP's system messages.

use std::fmt;

use crate::base::one_line::one_line;
use crate::call::reply::Reply;

/// One system message. It is queued like all else and is no user's message: no bound refuses
/// it, and a server that is suspended still answers it.
pub(crate) enum System {
    Suspend(Reply<()>),
    Resume(Reply<()>),
    Status(Reply<ServerStatus>),
}

/// What a server says of itself, as [`ServerRef::get_status`](crate::ServerRef::get_status)
/// gives it, which has an example. OTP: the result of `sys:get_status/1`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServerStatus {
    /// Whether it is [suspended](crate::ServerRef::suspend).
    pub suspended: bool,
    /// What it publishes by [`GenServer::format_status`](crate::GenServer::format_status);
    /// `None` if it publishes nothing.
    pub line: Option<String>,
}

/// On one line, controls escaped.
impl fmt::Display for ServerStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.suspended { "suspended" } else { "running" })?;
        self.line.as_ref().map_or(Ok(()), |line| write!(f, ": {}", one_line(line)))
    }
}
