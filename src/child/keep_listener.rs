//! Kept listeners as listeners of axum: a port that stays open while the server behind it is
//! restarted.

use std::io;

use axum::serve::Listener;

use crate::child::KeepGuard;

/// A kept listener is served as any other: the guard returns it to its [`Keep`](crate::Keep) when the
/// server ends, so no client finds the port closed during a restart.
///
/// Handlers that need the address of the client (`ConnectInfo`) are served over
/// [`tap_io`](axum::serve::ListenerExt::tap_io), because axum knows the addresses of its own
/// listeners only.
///
/// ```
/// use std::net::SocketAddr;
/// use axum::serve::ListenerExt;
/// use axum::{Router, extract::ConnectInfo, routing::get};
/// use regrow::{ChildSpec, ExitReason, Keep, Runtime, Supervisor};
/// use tokio::net::TcpListener;
///
/// # tokio::runtime::Builder::new_current_thread().enable_all()
/// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
/// let rt = Runtime::new();
/// let port = Keep::new(|| TcpListener::bind("127.0.0.1:0"));
/// let web = ChildSpec::serve("web", move |shutdown| async move {
///     let hello = async |ConnectInfo(client): ConnectInfo<SocketAddr>| format!("hello {client}");
///     let app = Router::new().route("/", get(hello));
///     let app = app.into_make_service_with_connect_info::<SocketAddr>();
///     let port = port.lend().await?.tap_io(|_| {});
///     axum::serve(port, app).with_graceful_shutdown(shutdown).await?;
///     Ok::<_, ExitReason>(())
/// });
/// let tree = Supervisor::one_for_one().child(web).start(&rt).await?;
/// tree.stop().await?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })).unwrap();
/// ```
#[cfg_attr(docsrs, doc(cfg(feature = "axum")))]
impl<L: Listener> Listener for KeepGuard<L> {
    type Io = L::Io;
    type Addr = L::Addr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        L::accept(self).await
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        L::local_addr(self)
    }
}
