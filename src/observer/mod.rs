// **Uses** `base`, `exit`, `observe`, `process`, `runtime`, `child`, `supervisor`, `observation`, `control`.
// **Knows nothing of** programs.

//! The observer: a page that shows the running trees in a browser, live. Requires the feature
//! `observer`.
//!
//! [`router`] returns its routes, to be mounted in an application behind the application's own
//! authentication. [`serve()`] returns a child that serves them on an address of its own.
//!
//! The page has five screens. *Tree* shows each supervisor with its children, *History* the ends
//! and restarts with their reasons, *Process* one process with its incarnations, mailbox, links and
//! monitors, *Pressure* the longest mailboxes and the counters of lost messages, *Stopping* the
//! processes that a stop still waits for. It shows ids, names, reasons and states, and no contents
//! of messages. It is read-only unless control is allowed by [`Observer::allow_control`]: without it,
//! no route changes anything.
//!
//! # Who can read and control it
//!
//! Everyone who reaches the routes can read, and control if that was allowed. So [`serve()`] refuses
//! an address that is not a loopback address, unless [`Observer::allow_network`] was called, and
//! [`router`] belongs behind the authentication of the application.
//!
//! A page of another site that is open in the same browser reads and controls nothing:
//!
//! * A request is answered only if its `Host` is an IP address, `localhost`, or a name given to
//!   [`Observer::allow_host`]. This refuses DNS rebinding, which needs a name.
//! * A request with the `Origin` of another host, or that the browser marks as cross-site, is
//!   refused. No answer has a CORS header. A control request has to be JSON, too.
//! * The page can't be framed, and loads nothing from another origin. Its content security policy
//!   allows no inline script, and its script inserts texts as text only, so that an id or a panic
//!   that contains HTML is shown as it is.
//!
//! # Costs
//!
//! A page that is open is one [`Observation`](crate::Observation) with a sample each second. Its items
//! are written in pieces of some microseconds, so that a process that becomes ready meanwhile does not
//! wait for a whole picture. A page that does not read is closed when one MiB waits for it. At most 32
//! pages are served at a time by one router.

use std::net::SocketAddr;

use axum::Router;

use crate::child::ChildSpec;
use crate::supervisor::SupervisorRef;

mod settings;
mod page;
mod source;
mod guard;
mod caller;
mod control_request;
mod refusals;
mod body_reads;
mod status_lines;
mod control;
mod page_queue;
mod events;
mod routes;
mod serve;

pub use caller::Caller;
pub use settings::Observer;

/// Returns the routes of an observer of the tree below this supervisor, with the default settings.
/// [`Observer::router`] describes the routes, and [`Observer`] the settings.
///
/// ```
/// use axum::Router;
/// use axum::body::Body;
/// use axum::http::{Request, StatusCode};
/// use regrow::{ChildSpec, Runtime, Supervisor, observer};
/// use tower::ServiceExt;
///
/// # tokio::runtime::Builder::new_current_thread().enable_all()
/// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
/// let rt = Runtime::new();
/// let job = ChildSpec::task("job", |_| std::future::pending());
/// let tree = Supervisor::one_for_one().named("app").child(job).start(&rt).await?;
/// // `.layer(…)` with the application's authentication belongs here.
/// let app: Router = Router::new().nest("/observer", observer::router(&tree));
///
/// let request = Request::get("/observer").header("host", "localhost").body(Body::empty())?;
/// assert_eq!(app.clone().oneshot(request).await?.status(), StatusCode::OK);
/// let rebound = Request::get("/observer").header("host", "evil.example").body(Body::empty())?;
/// assert_eq!(app.oneshot(rebound).await?.status(), StatusCode::FORBIDDEN);
/// # tree.stop().await?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })).unwrap();
/// ```
pub fn router(tree: &SupervisorRef) -> Router {
    Observer::new().router(tree)
}

/// Specifies a child that serves an observer of all trees of its runtime on this address, with the
/// default settings. [`Observer::serve`] describes the child.
///
/// ```
/// use regrow::{ChildSpec, Runtime, Supervisor, observer};
///
/// # tokio::runtime::Builder::new_current_thread().enable_all()
/// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
/// let rt = Runtime::new();
/// let page = observer::serve(([127, 0, 0, 1], 0)); // port 0: any free port
/// let job = ChildSpec::task("job", |_| std::future::pending());
/// let tree = Supervisor::one_for_one().child(page).child(job).start(&rt).await?;
/// tree.stop().await?;
///
/// let public = observer::serve(([0, 0, 0, 0], 0));
/// let refused = Supervisor::one_for_one().child(public).start(&rt).await.unwrap_err();
/// assert!(refused.to_string().contains("loopback"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })).unwrap();
/// ```
pub fn serve(address: impl Into<SocketAddr>) -> ChildSpec {
    Observer::new().serve(address)
}
