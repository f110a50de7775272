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
    pub(super) controls: bool,
}

impl Observer {
    /// Returns the default settings: hosts by IP address and `localhost` only, mailboxes without
    /// ages, loopback addresses only, no control. [`Observer`] has an example.
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

    /// Lets the page restart, terminate, kill, suspend and resume what it shows, and set the level of
    /// the lifecycle log. Without it there is no route `/control`. A router of one tree controls only
    /// processes of that tree; the level of the log is that of the whole runtime.
    /// [`Runtime::control`](crate::Runtime::control) says what each action does, and how it is
    /// reported. The requester in the report is the [`Caller`](super::Caller) in the extensions of the
    /// request, which a middleware of the application's authentication inserts, or else the address of
    /// the other end.
    ///
    /// A control request is a `POST` to `/control`, of `application/json`, with at most 4 KiB. The pids
    /// are those of the picture; `pid` is null for a child that does not run:
    ///
    /// ```json
    /// {"action":"restart","path":"app/kv","pid":3,"supervisor":1}
    /// {"action":"log_level","level":"debug"}
    /// ```
    ///
    /// | status | |
    /// |---|---|
    /// | 200 | `{"version":1,"done":true}`: the action was carried out |
    /// | 400, 408, 413, 415 | the body is no such request, breaks off, takes longer than 10 s, is too long, or is no JSON |
    /// | 403 | the request comes from a page of another origin, or the host is not allowed |
    /// | 404 | there is no such child, or it belongs to another tree; without `allow_control`, always |
    /// | 409 | the child has another process by now, or is in another state than the action needs; the text says which |
    /// | 500 | the action was begun, and failed; the text says why |
    /// | 503 | nothing was done: the body was slow while 16 others arrived, or 16 requests that may wait are carried out, also those of clients that have left (a kill and a log level do not wait); or the process that has to do it is busy, and the request was withdrawn |
    /// | 504 | the action was begun and has not ended in time. If its supervisor is alive, it finishes the action |
    ///
    /// A browser has to say that the request comes from the page: by an `Origin` that is the host, or by
    /// `Sec-Fetch-Site: same-origin`. A request without any sign of a browser (`Origin`, `Referer`,
    /// `Cookie`, `Sec-…`, a `User-Agent` that begins with `Mozilla/`) is answered too, so that `curl`
    /// and programs can control. So each program that reaches the port can control the tree: on a
    /// machine with other users, mount the [`router`](Self::router) behind an authentication.
    ///
    /// ```
    /// use axum::body::Body;
    /// use axum::extract::{Extension, Request};
    /// use axum::http::StatusCode;
    /// use regrow::observer::{Caller, Observer};
    /// use regrow::{ChildSpec, Runtime, Supervisor};
    /// use tower::ServiceExt;
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_all()
    /// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// let job = ChildSpec::task("job", |_| std::future::pending()).named("job");
    /// let tree = Supervisor::one_for_one().named("app").child(job).start(&rt).await?;
    /// // The middleware of an authentication inserts the name of the user that it has found.
    /// let alice = Extension(Caller("alice".into()));
    /// let app = Observer::new().allow_control().router(&tree).layer(alice);
    ///
    /// let (pid, supervisor) = (rt.whereis("job").unwrap(), tree.pid().unwrap());
    /// let body = format!(
    ///     r#"{{"action":"restart","path":"app/job","pid":{},"supervisor":{}}}"#,
    ///     pid.raw(),
    ///     supervisor.raw(),
    /// );
    /// let request = Request::post("/control").header("host", "localhost");
    /// let request = request.header("content-type", "application/json").body(Body::from(body))?;
    /// assert_eq!(app.oneshot(request).await?.status(), StatusCode::OK);
    /// assert!(!rt.is_alive(pid) && rt.whereis("job").is_some());
    /// # tree.stop().await?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })).unwrap();
    /// ```
    pub fn allow_control(mut self) -> Self {
        self.controls = true;
        self
    }

    /// Lets [`serve`](Self::serve) listen on an address that is not a loopback address. The page has
    /// no authentication: everyone who reaches the port can read it, and control the trees if
    /// [`allow_control`](Self::allow_control) was called. [`Observer`] has an example.
    pub fn allow_network(mut self) -> Self {
        self.network = true;
        self
    }
}
