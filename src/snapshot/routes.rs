//! Probes and the tree over HTTP, as routes for axum.

use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderName, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use crate::base::catch::catch_panic;
use crate::base::error_chain::ErrorChain;
use crate::base::one_line::{PAGE, excerpt};
use crate::runtime::errors::call_error::CallError;
use crate::snapshot::TreeSnapshot;
use crate::snapshot::collect::LIMIT;
use crate::supervisor::SupervisorRef;

/// Routes that tell how a tree is doing, to be merged into an application's own; with the
/// feature `axum`.
///
/// | route | answer |
/// |---|---|
/// | `/healthz` | at once: 200 while the tree [is there](SupervisorRef::is_alive), else 503: whether to restart the program |
/// | `/readyz` | in 250 ms at most: 200 while all of it [serves](crate::Health::is_serving), else 503, with what does not: whether to send work |
/// | `/tree` | in 250 ms at most: the tree as text, else 503 |
/// | `/tree.json` | in 250 ms at most: the tree as [JSON](TreeSnapshot::to_json), with the feature `serde`, else 503 |
///
/// All answers are plain text or JSON, and forbid browsers to take them for anything else
/// (`nosniff`). Controls in ids and reasons are [escaped](TreeSnapshot).
///
/// `/healthz` asks nobody: it is answered also while the tree starts, stops or is stuck, as long
/// as a thread runs the server of these routes. The others ask all supervisors at once, as
/// [`SupervisorRef::tree`] does; one that does not answer in time, since it starts or stops a
/// child, is there and not ready, and is shown as it last published itself, marked as such.
/// A tree of more than 1,000 children may take the same time once more to be shown, and is 503
/// after that.
///
/// [`tree_routes_within`] takes another time than 250 ms; it has to be less than a probe's own
/// (`timeoutSeconds` in Kubernetes, 1 if nothing is said).
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

/// As [`tree_routes`], which has an example, with another time for the answers of `/readyz`,
/// `/tree` and `/tree.json`.
pub fn tree_routes_within(tree: &SupervisorRef, limit: Duration) -> Router {
    let routes = Router::new()
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .route("/tree", get(text));
    #[cfg(feature = "serde")]
    let routes = routes.route("/tree.json", get(json));
    routes.with_state(Asked { tree: tree.clone(), limit })
}

/// Text is shown as text, whatever a browser finds in it: ids and reasons are anybody's.
const AS_IT_IS: (HeaderName, &str) = (header::X_CONTENT_TYPE_OPTIONS, "nosniff");

/// A tree of so many children is shown in less than a millisecond or two.
const SMALL: usize = 1_000;

#[derive(Clone)]
struct Asked {
    tree: SupervisorRef,
    limit: Duration,
}

/// It must not wait: a probe that is not answered in time has the program killed.
async fn healthz(State(Asked { tree, .. }): State<Asked>) -> Response {
    match tree.is_alive() {
        true => "alive\n".into_response(),
        false => unavailable(&CallError::NoProc.to_string()),
    }
}

async fn readyz(State(asked): State<Asked>) -> Response {
    asked
        .shown(|snapshot| {
            let health = snapshot.health();
            match health.is_serving() {
                true => ([AS_IT_IS], format!("{health}\n")).into_response(),
                false => unavailable(&health.to_string()),
            }
        })
        .await
}

async fn text(State(asked): State<Asked>) -> Response {
    let kind = [(header::CONTENT_TYPE, "text/plain; charset=utf-8"), AS_IT_IS];
    asked.shown(move |snapshot| (kind, format!("{snapshot}\n")).into_response()).await
}

#[cfg(feature = "serde")]
async fn json(State(asked): State<Asked>) -> Response {
    let kind = [(header::CONTENT_TYPE, "application/json"), AS_IT_IS];
    asked.shown(move |snapshot| (kind, snapshot.to_json()).into_response()).await
}

impl Asked {
    /// Takes a snapshot and shows it. A large tree is shown where threads may block, so that no
    /// other task is late for it. A small one is not: with all those threads busy, which may be
    /// just what is looked for, it would not be answered.
    async fn shown(
        &self,
        show: impl FnOnce(&TreeSnapshot) -> Response + Send + 'static,
    ) -> Response {
        let survey = match self.tree.survey(self.limit).await {
            Ok(survey) => survey,
            Err(error) => return unavailable(&ErrorChain(&error).to_string()),
        };
        if survey.size() <= SMALL {
            return show(&survey.tree());
        }
        // Where no thread can be had tokio panics.
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

/// Not now; soon, perhaps.
fn unavailable(why: &str) -> Response {
    let headers = [(header::RETRY_AFTER, "1"), AS_IT_IS];
    let why = excerpt(why, PAGE);
    (StatusCode::SERVICE_UNAVAILABLE, headers, format!("{why}\n")).into_response()
}
