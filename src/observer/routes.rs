//! The routes of an observer.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get};
use serde_json::json;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::base::Pid;
use crate::observation::{ChildEvent, ProcessDetail};
use crate::observer::control::{Control, control};
use crate::observer::control_request::ACTIONS;
use crate::observer::events::subscribe;
use crate::observer::guard::guard;
use crate::observer::page::{page, script, style};
use crate::observer::settings::Observer;
use crate::observer::source::Source;
use crate::observer::status_lines::StatusLines;
use crate::supervisor::SupervisorRef;

impl Observer {
    /// Returns the routes of an observer of the tree below this supervisor, through its restarts.
    /// All routes but `/control` answer `GET` only.
    ///
    /// | route | answer |
    /// |---|---|
    /// | `/` | the page |
    /// | `/app/main.js`, `/style.css` | its script, whose modules are beside it, and its style |
    /// | `/events` | the [observation](crate::Observation) of the tree as server-sent events, each with one [item](crate::Observed::to_json) as its data. 503 if the tree is not alive, or if 32 pages are open |
    /// | `/backtrace/{pid}` | the [backtrace](crate::Runtime::backtrace_of) of a crashed process of the runtime, as plain text; 404 if there is none, or none any more |
    /// | `/events/{pid}` | the [last events](crate::Runtime::events_of) of a process of the runtime, which may have ended, as a JSON array |
    /// | `/process/{pid}` | the [details](crate::ProcessDetail::to_json) of a process of the runtime, which may belong to another tree; 404 if it has ended. A server is asked for its [`format_status`](crate::GenServer::format_status), for at most 250 ms |
    /// | `/capabilities` | which actions are allowed, and the level of the lifecycle log: `{"version":1,"control":["restart"],"log_level":"info"}` |
    /// | `/control` | carries out a control request, if [`allow_control`](Self::allow_control) was called, which describes it |
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

#[derive(Clone)]
struct Routes {
    source: Source,
    tracks: bool,
    controls: bool,
    /// A permit for each page that may still be opened.
    pages: Arc<Semaphore>,
    /// Cancelled when all pages are to be closed.
    stop: CancellationToken,
    lines: StatusLines,
}

/// Returns the routes. The token closes all pages.
pub(super) fn routes(observer: &Observer, source: Source, stop: CancellationToken) -> Router {
    let pages = Arc::new(Semaphore::new(PAGES));
    let hosts: Arc<[String]> = observer.hosts.clone().into();
    let readable = Router::new()
        .route("/", get(page))
        .route("/app/{name}", get(script))
        .route("/style.css", get(style))
        .route("/events", get(events))
        .route("/events/{pid}", get(events_of))
        .route("/process/{pid}", get(process))
        .route("/backtrace/{pid}", get(backtrace))
        .route("/capabilities", get(capabilities))
        .layer(from_fn_with_state(hosts.clone(), guard))
        .with_state(Routes {
            source: source.clone(),
            tracks: observer.tracks,
            controls: observer.controls,
            pages,
            stop,
            lines: StatusLines::default(),
        });
    match observer.controls {
        true => readable.route("/control", any(control).with_state(Control::new(source, hosts))),
        false => readable,
    }
}

async fn capabilities(State(routes): State<Routes>) -> Response {
    let control: &[&str] = if routes.controls { &ACTIONS } else { &[] };
    let level = routes.source.runtime().kernel.log_level().name();
    let capabilities = json!({ "version": 1, "control": control, "log_level": level });
    ([(header::CONTENT_TYPE, "application/json")], capabilities.to_string()).into_response()
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
    let (runtime, pid) = (routes.source.runtime(), pid.parse().ok().map(Pid::from_raw));
    let status = match pid {
        Some(pid) => routes.lines.ask(&runtime, pid).await,
        None => None,
    };
    match pid.and_then(|pid| runtime.process_detail(pid)) {
        Some(detail) => {
            let detail = ProcessDetail { status, ..detail };
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
