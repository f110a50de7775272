//! The settings of an observer.

use std::net::SocketAddr;

use axum::Router;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::child::{ChildSpec, Keep};
use crate::observer::routes::{Source, routes};
use crate::observer::serve::ServeObserver;
use crate::supervisor::SupervisorRef;

/// The settings of an observer. [`router`](super::router) and [`serve`](super::serve) use the
/// defaults.
///
/// ```
/// use regrow::{ChildSpec, Keep, Runtime, Supervisor, observer::Observer};
/// use tokio::net::TcpListener;
///
/// # tokio::runtime::Builder::new_current_thread().enable_all()
/// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
/// let rt = Runtime::new();
/// let port = Keep::of(TcpListener::bind("0.0.0.0:0").await?);
/// let page = Observer::new()
///     .allow_network() // behind a firewall: everyone who reaches the port can read the page
///     .allow_host("ops.example.com")
///     .track_mailboxes()
///     .serve_on(port);
/// let tree = Supervisor::one_for_one().child(page).start(&rt).await?;
/// assert_eq!(tree.tree().await?.root.children.len(), 1);
/// # tree.stop().await?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })).unwrap();
/// ```
#[derive(Debug, Clone, Default)]
#[must_use = "it does nothing until `router` or `serve` is called"]
pub struct Observer {
    pub(super) hosts: Vec<String>,
    pub(super) tracks: bool,
    pub(super) network: bool,
}

impl Observer {
    /// Returns the default settings: hosts by IP address and `localhost` only, mailboxes without
    /// ages, loopback addresses only. [`Observer`] has an example.
    pub fn new() -> Self {
        Observer::default()
    }

    /// Answers also requests for this host name, without a port: the name under which browsers
    /// reach the page, for example through a proxy. Without that, only IP addresses and `localhost`
    /// are answered. [`Observer`] has an example.
    pub fn allow_host(mut self, name: impl Into<String>) -> Self {
        self.hosts.push(name.into().to_ascii_lowercase());
        self
    }

    /// Shows also the age of the oldest item of each mailbox and the running handlers. While a page
    /// is open, each message of the runtime then costs
    /// [one allocation and two locks more](crate::Observation::track_mailboxes).
    pub fn track_mailboxes(mut self) -> Self {
        self.tracks = true;
        self
    }

    /// Lets [`serve`](Self::serve) listen on an address that is not a loopback address. The page has
    /// no authentication: everyone who reaches the port can read it. [`Observer`] has an example.
    pub fn allow_network(mut self) -> Self {
        self.network = true;
        self
    }

    /// Returns the routes of an observer of the tree below this supervisor, through its restarts.
    /// All routes answer `GET` only.
    ///
    /// | route | answer |
    /// |---|---|
    /// | `/` | the page |
    /// | `/app.js`, `/style.css` | its script and its style |
    /// | `/events` | the [observation](crate::Observation) of the tree as server-sent events, each with one [item](crate::Observed::to_json) as its data. 503 if the tree is not alive, or if 32 pages are open |
    /// | `/process/{pid}` | the [details](crate::ProcessDetail::to_json) of a process of the runtime, which may belong to another tree; 404 if it has ended |
    ///
    /// Mount them at the root or by `Router::nest`: the page refers to its routes relatively.
    /// Mounted at `/observer`, the page is at `/observer`, without a slash at the end.
    /// [`router`](super::router) has an example.
    ///
    /// An application that shuts down gracefully waits for the pages that are open until the tree
    /// has ended. So stop the tree first.
    pub fn router(self, tree: &SupervisorRef) -> Router {
        routes(&self, Source::Tree(tree.clone()), CancellationToken::new())
    }

    /// Specifies a child `observer` that serves the routes of [`router`](Self::router) on this
    /// address, for all trees of its runtime. The port is bound at the first start and stays open
    /// while the child is restarted. [`serve`](super::serve) has an example.
    ///
    /// Declare the child first: a supervisor stops its children in reverse order, so that the
    /// page shows the stop of all others. The child closes the pages as it stops, and waits at most
    /// a second for connections.
    ///
    /// The start fails with [`StartError::Invalid`](crate::StartError::Invalid) if the address is not
    /// a loopback address and [`allow_network`](Self::allow_network) was not called, and with
    /// [`StartError::Failed`](crate::StartError::Failed) if the address can't be bound.
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
