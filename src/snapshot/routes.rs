//! Probes and the tree as HTTP routes for axum.

use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderName, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use crate::base::user_panics::catch_panic;
use crate::base::{ErrorChain, PAGE, excerpt};
use crate::runtime::CallError;
use crate::snapshot::TreeSnapshot;
use crate::snapshot::collect::LIMIT;
use crate::supervisor::SupervisorRef;

/// Returns routes with the health and the snapshot of a tree, to be merged into an application's
/// own routes. Requires the feature `axum`.
///
/// | route | answer |
/// |---|---|
/// | `/healthz` | at once: 200 while the tree [is alive](SupervisorRef::is_alive), else 503. For the probe that decides whether to restart the program |
/// | `/readyz` | in 250 ms at most: 200 while all nodes [serve](crate::Health::is_serving), else 503 and the node that does not. For the probe that decides whether to send work |
/// | `/tree` | in 250 ms at most: the tree as text, else 503 |
/// | `/tree.json` | in 250 ms at most: the tree as [JSON](TreeSnapshot::to_json), with the feature `serde`, else 503 |
///
/// All answers are plain text or JSON. Answers that contain ids or reasons forbid browsers to
/// interpret them as anything else (`nosniff`). Control characters in ids and reasons are
/// [escaped](TreeSnapshot).
///
/// `/healthz` asks no process: it answers while the tree starts, stops or hangs, as long as a
/// thread runs the server of these routes. The other routes ask all supervisors at once, as
/// [`SupervisorRef::tree`] does. A supervisor that does not answer in time, for example because it
/// starts or stops a child, is alive but not ready. The tree shows its last published state, and
/// marks it as last known. The rendering of a tree of more than 1,000 children has the same time
/// limit once more; after that the answer is 503.
///
/// [`tree_routes_within`] sets another limit than 250 ms. The limit must be less than the timeout
/// of the probe (`timeoutSeconds` in Kubernetes, 1 by default).
///
/// ```no_run
/// use regrow::{ChildSpec, Runtime, Supervisor};
///
/// # async fn program() -> Result<(), Box<dyn std::error::Error>> {
/// let rt = Runtime::new();
/// let job = ChildSpec::task("job", |_| std::future::pending());
/// let tree = Supervisor::one_for_one().child(job).start(&rt).await?;
/// let routes = axum::Router::new().merge(regrow::tree_routes(&tree));
/// let listener = tokio::net::TcpListener::bind("127.0.0.1:8080").await?;
/// # async fn serve(_: tokio::net::TcpListener, _: axum::Router) -> std::io::Result<()> { Ok(()) }
/// # use serve as axum_serve;
/// axum_serve(listener, routes).await?; // `axum::serve`
/// # Ok(())
/// # }
/// ```
pub fn tree_routes(tree: &SupervisorRef) -> Router {
    tree_routes_within(tree, LIMIT)
}

/// Returns the routes of [`tree_routes`], with another time limit for the answers of `/readyz`,
/// `/tree` and `/tree.json`. [`tree_routes`] has an example.
pub fn tree_routes_within(tree: &SupervisorRef, limit: Duration) -> Router {
    let routes = Router::new()
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .route("/tree", get(text));
    #[cfg(feature = "serde")]
    let routes = routes.route("/tree.json", get(json));
    routes.with_state(TreeRoutes { tree: tree.clone(), limit })
}

/// Makes browsers show text as text: ids and reasons may contain HTML from any source.
const NO_SNIFF: (HeaderName, &str) = (header::X_CONTENT_TYPE_OPTIONS, "nosniff");

/// A tree of up to this many children is rendered in the task of the request, which takes one or
/// two milliseconds.
const INLINE_CHILDREN: usize = 1_000;

#[derive(Clone)]
struct TreeRoutes {
    tree: SupervisorRef,
    limit: Duration,
}

/// Answers without waiting for any process: an orchestrator kills a program whose probe is not
/// answered in time.
async fn healthz(State(TreeRoutes { tree, .. }): State<TreeRoutes>) -> Response {
    match tree.is_alive() {
        true => "alive\n".into_response(),
        false => unavailable(&CallError::NoProc.to_string()),
    }
}

async fn readyz(State(routes): State<TreeRoutes>) -> Response {
    routes
        .respond(|snapshot| {
            let health = snapshot.health();
            match health.is_serving() {
                true => ([NO_SNIFF], format!("{health}\n")).into_response(),
                false => unavailable(&health.to_string()),
            }
        })
        .await
}

async fn text(State(routes): State<TreeRoutes>) -> Response {
    let kind = [(header::CONTENT_TYPE, "text/plain; charset=utf-8"), NO_SNIFF];
    routes.respond(move |snapshot| (kind, format!("{snapshot}\n")).into_response()).await
}

#[cfg(feature = "serde")]
async fn json(State(routes): State<TreeRoutes>) -> Response {
    let kind = [(header::CONTENT_TYPE, "application/json"), NO_SNIFF];
    routes.respond(move |snapshot| (kind, snapshot.to_json()).into_response()).await
}

impl TreeRoutes {
    /// Takes a snapshot and renders it. A large tree is rendered on a blocking thread, so that no
    /// other task is delayed. A small tree is rendered in this task, so that there is an answer
    /// even if all blocking threads are busy. Busy blocking threads may be the fault that the
    /// caller looks for.
    async fn respond(
        &self,
        show: impl FnOnce(&TreeSnapshot) -> Response + Send + 'static,
    ) -> Response {
        let survey = match self.tree.survey(self.limit).await {
            Ok(survey) => survey,
            Err(error) => return unavailable(&ErrorChain(&error).to_string()),
        };
        if survey.child_count() <= INLINE_CHILDREN {
            return show(&survey.tree());
        }
        // tokio panics if the operating system grants no thread.
        let shown = catch_panic(|| tokio::task::spawn_blocking(move || show(&survey.tree())));
        let shown = match shown {
            Ok(shown) => shown,
            Err(panic) => return unavailable(&format!("a large tree can't be shown: {panic}")),
        };
        match tokio::time::timeout(self.limit, shown).await {
            Ok(shown) => shown.unwrap_or_else(|error| unavailable(&error.to_string())),
            Err(_) => unavailable("the tree is too large to be shown in time"),
        }
    }
}

/// Returns the answer 503, with a request to try again in a second.
fn unavailable(why: &str) -> Response {
    let headers = [(header::RETRY_AFTER, "1"), NO_SNIFF];
    let why = excerpt(why, PAGE);
    (StatusCode::SERVICE_UNAVAILABLE, headers, format!("{why}\n")).into_response()
}
