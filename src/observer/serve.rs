//! An observer as a child with a port of its own.
//!
//! * No port is open on an address that was not allowed: an address that is known is checked before
//!   it is bound, the address of a given listener before the first client is accepted.
//! * The stop request of the supervisor ends the events of all pages, because a graceful shutdown
//!   waits for them. A connection that is not closed by its client within a second is left to
//!   tokio, which closes it when the client does.

use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::{Either, select};
use tokio::net::TcpListener;
use tokio::time::sleep;

use crate::child::{ChildSpec, Keep, KeepGuard, ShutdownSignal, StartChild, StartContext, Started};
use crate::exit::reason_of;
use crate::observer::caller::Peer;
use crate::observer::routes::routes;
use crate::observer::settings::Observer;
use crate::observer::source::Source;
use crate::runtime::{Runtime, StartError};

impl Observer {
    /// Specifies a child `observer` that serves the routes of [`router`](Self::router) on this
    /// address, for all trees of its runtime. The port is bound at the first start and stays open
    /// while the child is restarted. [`serve`](super::serve()) has an example.
    ///
    /// Declare the child first: a supervisor stops its children in reverse order, so that the
    /// page shows the stop of all others. The child closes the pages as it stops, and waits at most
    /// a second for connections.
    ///
    /// The start fails with [`StartError::Invalid`] if the address is not
    /// a loopback address and [`allow_network`](Self::allow_network) was not called, and with
    /// [`StartError::Failed`] if the address can't be bound.
    pub fn serve(self, address: impl Into<SocketAddr>) -> ChildSpec {
        let address = address.into();
        let port = Keep::new(move || TcpListener::bind(address));
        let start = ServeObserver { observer: self, address: Some(address), port };
        ChildSpec::new("observer", start)
    }

    /// Specifies the child of [`serve`](Self::serve) with a listener that exists already, for
    /// example one that was inherited. [`Observer`] has an example.
    pub fn serve_on(self, port: Keep<TcpListener>) -> ChildSpec {
        ChildSpec::new("observer", ServeObserver { observer: self, address: None, port })
    }
}

/// How long a stop waits for the connections of pages.
const GRACE: Duration = Duration::from_secs(1);

/// Starts an observer that listens on a kept port.
struct ServeObserver {
    observer: Observer,
    /// The address that the port is bound to; `None` if the listener existed before.
    address: Option<SocketAddr>,
    port: Keep<TcpListener>,
}

#[async_trait]
impl StartChild for ServeObserver {
    async fn start(&self, ctx: &mut StartContext) -> Result<Started, StartError> {
        if let Some(address) = self.address {
            self.check(address)?;
        }
        let port = self.port.lend().await.map_err(StartError::Failed)?;
        let address = port.local_addr().map_err(|error| StartError::Failed(reason_of(error)))?;
        self.check(address)?;
        let (runtime, observer) = (ctx.runtime().clone(), self.observer.clone());
        ctx.serve(move |shutdown| run(observer, runtime, port, shutdown)).await
    }
}

impl ServeObserver {
    /// Returns an error if the address must not be listened on.
    fn check(&self, address: SocketAddr) -> Result<(), StartError> {
        match address.ip().is_loopback() || self.observer.network {
            true => Ok(()),
            false => Err(StartError::Invalid(format!(
                "the observer listens on loopback addresses only, and {address} is none: call \
                 `Observer::allow_network` if everyone who reaches that address may read the page"
            ))),
        }
    }
}

/// Serves the routes until the shutdown.
async fn run(
    observer: Observer,
    runtime: Runtime,
    port: KeepGuard<TcpListener>,
    shutdown: ShutdownSignal,
) -> io::Result<()> {
    let stop = shutdown.cancellation_token();
    let app = routes(&observer, Source::Runtime(runtime), stop.clone());
    let served = axum::serve(port, app.into_make_service_with_connect_info::<Peer>())
        .with_graceful_shutdown(shutdown);
    let late = pin!(async {
        stop.cancelled().await;
        sleep(GRACE).await;
    });
    match select(served.into_future(), late).await {
        Either::Left((served, _)) => served,
        Either::Right(_) => Ok(()),
    }
}
