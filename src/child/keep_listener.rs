//! Kept listeners as listeners of axum: a port that stays open while the server behind it is
//! restarted.

use std::io;

use axum::serve::Listener;

use crate::child::KeepGuard;

/// A kept listener is served as any other: the guard returns it to its [`Keep`](crate::Keep) when the
/// server ends, so no client finds the port closed during a restart.
///
/// ```
/// use axum::{Router, routing::get};
/// use regrow::{ChildSpec, ExitReason, Keep, Runtime, Supervisor};
/// use tokio::net::TcpListener;
///
/// # tokio::runtime::Builder::new_current_thread().enable_all()
/// # .build().unwrap().block_on(async {
/// let rt = Runtime::new();
/// let port = Keep::new(|| TcpListener::bind("127.0.0.1:0"));
/// let web = ChildSpec::serve("web", move |shutdown| async move {
///     let app = Router::new().route("/", get(async || "hello"));
///     axum::serve(port.lend().await?, app).with_graceful_shutdown(shutdown).await?;
///     Ok::<_, ExitReason>(())
/// });
/// let tree = Supervisor::one_for_one().child(web).start(&rt).await?;
/// tree.stop().await?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
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
