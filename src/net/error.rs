//! The errors of listeners and of connecting children. Each names the address, and has the error of
//! the operating system as its source.

use std::io;

use thiserror::Error;

use crate::base::one_line;

/// The port of a listener was not bound, so the listener was not started. The
/// [`StartError`](crate::StartError) of the listener contains it. [`ListenerSpec`] has an example.
///
/// [`ListenerSpec`]: crate::ListenerSpec
#[derive(Debug, Error)]
#[error("{} can't be listened to: {}", one_line(.address), advice(.source))]
#[non_exhaustive]
pub struct BindError {
    /// The address as the specification gives it, or the path of the socket.
    pub address: String,
    /// The error of the operating system, or of the resolution of the name.
    pub source: io::Error,
}

/// A bound listener can no longer accept connections. The acceptor ends with this error, and its
/// next incarnation binds the port again, or gets the next listener of a [`Keep`](crate::Keep) of
/// the program. There is none in a `Keep` that was made by [`Keep::of`](crate::Keep::of). An error of one connection, and a lack of files or
/// memory, do not end the acceptor.
#[derive(Debug, Error)]
#[error("no connection can be accepted at {} any more: another listener is needed", one_line(.address))]
#[non_exhaustive]
pub struct AcceptError {
    /// The local address of the listener.
    pub address: String,
    /// The error of the operating system.
    pub source: io::Error,
}

/// A connecting child got no connection, and ends with this error. [`ConnectSpec`] has an example.
///
/// [`ConnectSpec`]: crate::ConnectSpec
#[derive(Debug, Error)]
#[error("{} can't be connected to: see that it runs and listens there", one_line(.address))]
#[non_exhaustive]
pub struct ConnectError {
    /// The address as the specification gives it, or the path of the socket.
    pub address: String,
    /// The error of the operating system, or of the resolution of the name. Its kind is
    /// [`TimedOut`](io::ErrorKind::TimedOut) if the time limit has passed.
    pub source: io::Error,
}

fn advice(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::AddrInUse => "stop the other listener, or take another address",
        io::ErrorKind::AddrNotAvailable => "this machine doesn't have the address",
        io::ErrorKind::PermissionDenied => "this program may not use it",
        _ => "look at the address",
    }
}
