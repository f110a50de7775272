//! Actions on running trees that a person requests from outside: restart, terminate, kill, suspend,
//! resume, and the level of the log. The rules are those of the supervisors and servers; this folder
//! finds the child, limits the wait, and reports each request.
//!
//! **Uses** `base`, `exit`, `observe`, `process`, `kernel`, `runtime`, `supervisor`, `observation`.
//! **Knows nothing of** HTTP and of programs.
//!
//! **Guarantees**
//! 1. No other process is stopped, killed or suspended than the one that the request names: pids are
//!    not reused, and a supervisor compares the pid in the handler that begins the action.
//! 2. Each request is reported once, when it has ended: as an event, as a log line and, if it names a
//!    child, as a change. This holds also if the requester is gone: a task of its own carries the
//!    request out.
//! 3. The answer says whether something was done. A request that waited in vain is withdrawn, or it
//!    was begun and is [unfinished](crate::ControlError::Unfinished).
//!
//! **What happens if** …
//!
//! | | |
//! |---|---|
//! | the supervisor is replaced before the request is sent | its pid is not found, and the request is refused |
//! | the supervisor ends while the request is queued | the request is refused: nothing was done |
//! | the supervisor ends during the action | the request is unfinished |
//! | the supervisor is busy, or the handler of a server runs | the request is withdrawn after [`BEGIN_WITHIN`](crate::control::ask::BEGIN_WITHIN) |
//! | a child takes its time to stop or to start | the requester gets `Unfinished` after [`END_WITHIN`](crate::control::ask::END_WITHIN), and the supervisor finishes the action |

mod error;
mod request;
mod audit;
mod target;
pub(crate) mod ask;
mod act;

#[cfg(feature = "observer")]
pub(crate) use audit::AuditEntry;
pub use error::ControlError;
pub use request::ControlRequest;
