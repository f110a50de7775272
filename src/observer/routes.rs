//! The routes of an observer.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::base::Pid;
use crate::observation::{ChildEvent, Observation};
use crate::observer::events::subscribe;
use crate::observer::guard::guard;
use crate::observer::page::{page, script, style};
use crate::observer::settings::Observer;
use crate::runtime::{CallError, Runtime};
use crate::supervisor::SupervisorRef;

impl Observer {
    /// Returns the routes of an observer of the tree below this supervisor, through its restarts.
    /// All routes answer `GET` only.
    ///
    /// | route | answer |
    /// |---|---|
    /// | `/` | the page |
    /// | `/app.js`, `/style.css` | its script and its style |
    /// | `/events` | the [observation](crate::Observation) of the tree as server-sent events, each with one [item](crate::Observed::to_json) as its data. 503 if the tree is not alive, or if 32 pages are open |
    /// | `/backtrace/{pid}` | the [backtrace](crate::Runtime::backtrace_of) of a crashed process of the runtime, as plain text; 404 if there is none, or none any more |
    /// | `/events/{pid}` | the [last events](crate::Runtime::events_of) of a process of the runtime, which may have ended, as a JSON array |
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
}

/// How many pages may be open at a time.
const PAGES: usize = 32;

/// What an observer shows.
#[derive(Clone)]
pub(super) enum Source {
    /// The tree below this supervisor.
    Tree(SupervisorRef),
    /// All trees.
    Runtime(Runtime),
}

impl Source {
    fn observe(&self) -> Result<Observation, CallError> {
        match self {
            Source::Tree(tree) => tree.observe(),
            Source::Runtime(runtime) => Ok(runtime.observe()),
        }
    }

    fn runtime(&self) -> Runtime {
        match self {
            Source::Tree(tree) => Runtime { kernel: tree.server.kernel().clone() },
            Source::Runtime(runtime) => runtime.clone(),
        }
    }
}

#[derive(Clone)]
struct Routes {
    source: Source,
    tracks: bool,
    /// A permit for each page that may still be opened.
    pages: Arc<Semaphore>,
    /// Cancelled when all pages are to be closed.
    stop: CancellationToken,
}

/// Returns the routes. The token closes all pages.
pub(super) fn routes(observer: &Observer, source: Source, stop: CancellationToken) -> Router {
    let pages = Arc::new(Semaphore::new(PAGES));
    let hosts: Arc<[String]> = observer.hosts.clone().into();
    Router::new()
        .route("/", get(page))
        .route("/app.js", get(script))
        .route("/style.css", get(style))
        .route("/events", get(events))
        .route("/events/{pid}", get(events_of))
        .route("/process/{pid}", get(process))
        .route("/backtrace/{pid}", get(backtrace))
        .layer(from_fn_with_state(hosts, guard))
        .with_state(Routes { source, tracks: observer.tracks, pages, stop })
}

async fn events(State(routes): State<Routes>) -> Response {
    let Ok(permit) = routes.pages.try_acquire_owned() else {
        return unavailable("too many pages are open: close one\n");
    };
    let Ok(mut observation) = routes.source.observe() else {
        return unavailable("the tree is not alive\n");
    };
    if routes.tracks {
        observation = observation.track_mailboxes();
    }
    let body = subscribe(observation, permit, routes.stop);
    ([(header::CONTENT_TYPE, "text/event-stream")], body).into_response()
}

async fn events_of(State(routes): State<Routes>, Path(pid): Path<String>) -> Response {
    let pid = pid.parse().ok().map(Pid::from_raw);
    let events = pid.map(|pid| routes.source.runtime().events_of(pid)).unwrap_or_default();
    let events: Vec<String> = events.iter().map(ChildEvent::to_json).collect();
    let body = format!("[{}]", events.join(","));
    ([(header::CONTENT_TYPE, "application/json")], body).into_response()
}

async fn process(State(routes): State<Routes>, Path(pid): Path<String>) -> Response {
    let pid = pid.parse().ok().map(Pid::from_raw);
    let detail = pid.and_then(|pid| routes.source.runtime().process_detail(pid));
    match detail {
        Some(detail) => {
            ([(header::CONTENT_TYPE, "application/json")], detail.to_json()).into_response()
        }
        None => (StatusCode::NOT_FOUND, "this process has ended, or never was\n").into_response(),
    }
}

async fn backtrace(State(routes): State<Routes>, Path(pid): Path<String>) -> Response {
    let runtime = routes.source.runtime();
    let pid = pid.parse().ok().map(Pid::from_raw);
    // The names of functions are looked up here, which blocks.
    let text = tokio::task::spawn_blocking(move || runtime.backtrace_of(pid?)).await;
    match text.ok().flatten() {
        Some(text) => ([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], text).into_response(),
        None => {
            let why = "this process has left no backtrace, or it is no longer kept\n";
            (StatusCode::NOT_FOUND, why).into_response()
        }
    }
}

fn unavailable(why: &'static str) -> Response {
    (StatusCode::SERVICE_UNAVAILABLE, [(header::RETRY_AFTER, "1")], why).into_response()
}
