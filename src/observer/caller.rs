//! Who requests an action: a name from the authentication of the application, or an address.

use std::net::SocketAddr;

use axum::extract::ConnectInfo;
use axum::extract::connect_info::Connected;
use axum::http::Extensions;
use axum::serve::IncomingStream;
use tokio::net::TcpListener;

use crate::base::SharedStr;
use crate::child::KeepGuard;

/// The requester of a control request, as the authentication of the application knows it. A
/// middleware inserts it into the extensions of the request. It is in the events, the log and the
/// changes, after 256 characters cut. [`Observer::allow_control`](super::Observer::allow_control) has
/// an example.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller(pub String);

/// The address of the other end of a connection to a served observer.
#[derive(Debug, Clone, Copy)]
pub(super) struct Peer(SocketAddr);

impl Connected<IncomingStream<'_, KeepGuard<TcpListener>>> for Peer {
    fn connect_info(stream: IncomingStream<'_, KeepGuard<TcpListener>>) -> Self {
        Peer(*stream.remote_addr())
    }
}

/// Returns the requester: the [`Caller`] of the application, else the address of the other end, if the
/// server notes it, else `unknown`. No header names the requester, because any client can write one.
pub(super) fn caller_of(extensions: &Extensions) -> SharedStr {
    if let Some(Caller(name)) = extensions.get() {
        return name.as_str().into();
    }
    let served = extensions.get().map(|ConnectInfo(Peer(address))| *address);
    let mounted = || extensions.get().map(|ConnectInfo(address)| *address);
    match served.or_else(mounted) {
        Some(address) => address.to_string().into(),
        None => "unknown".into(),
    }
}
