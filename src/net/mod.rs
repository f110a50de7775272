//! Listeners and connections as children: a port from which each accepted connection gets a process
//! of its own, and a child that connects to another program.
//!
//! **Uses** `base`, `child`, `exit`, `observe`, `restart`, `runtime`, `supervisor`.
//! **Knows nothing of** programs and snapshots.
//!
//! # The tree of a listener
//!
//! ```text
//! listener          a supervisor, rest_for_one
//! ├─ connections    a dynamic supervisor, with one temporary child for each connection
//! └─ acceptor       a task that borrows the port from a `Keep`
//! ```
//!
//! # Guarantees
//!
//! 1. The port outlives every process that accepts from it, as long as one of them is to be started
//!    again. When the acceptor is stopped for good, it closes the port before its end is announced.
//! 2. An accepted connection belongs to one process at each time, first to the acceptor. It is
//!    closed when that process ends. So a client is served or finds its connection closed, and
//!    never waits for a process that has ended.
//! 3. At a stop, the acceptor ends before the connections are asked to stop, because a supervisor
//!    stops its last child first.
//! 4. The number of connections never exceeds the limit. The acceptor counts the starts that it
//!    has requested and the processes whose end it has not seen. A new acceptor first asks the
//!    supervisor of the connections for a reply: by then, the starts that its predecessor
//!    requested have begun, and the new acceptor finds the processes of these starts by their
//!    links.

mod error;
mod accept_errors;
mod port;
mod acceptor;
mod tree;
mod listener;
mod tcp;
#[cfg(unix)]
mod unix;
mod connect;

pub use connect::ConnectSpec;
pub use error::{AcceptError, BindError, ConnectError};
pub use listener::{ListenerAddress, ListenerSpec};
pub use tcp::TcpPort;
#[cfg(feature = "cluster")]
pub(crate) use tree::Connections;
#[cfg(unix)]
pub use unix::UnixPort;
