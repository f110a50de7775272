//! The settings of an observer.

/// The settings of an observer. [`router`](super::router) and [`serve`](super::serve()) use the
/// defaults.
///
/// ```
/// use regrow::{Keep, Runtime, Supervisor, observer::Observer};
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
}
