//! Probes and the tree over HTTP, as routes for axum.

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use crate::call_error::CallError;
use crate::snapshot::TreeSnapshot;
use crate::supervisor::SupervisorRef;

/// Routes that tell how a tree is doing, to be merged into an application's own; with the
/// feature `axum`.
///
/// | route | answer |
/// |---|---|
/// | `/healthz` | 200 while the tree is there, else 503: whether to restart the program |
/// | `/readyz` | 200 while all of it [serves](crate::Health::is_serving), else 503, with what is not: whether to send work |
/// | `/tree` | the tree as text |
/// | `/tree.json` | the tree as JSON, with the feature `serde` |
///
/// A supervisor that is busy starting or stopping a child is there, and not ready.
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
    let routes = Router::new()
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .route("/tree", get(text));
    #[cfg(feature = "serde")]
    let routes = routes.route("/tree.json", get(json));
    routes.with_state(tree.clone())
}

type Tree = State<SupervisorRef>;

async fn healthz(State(tree): Tree) -> Response {
    match tree.tree().await {
        // Busy, and so alive.
        Ok(_) | Err(CallError::Timeout) => "alive\n".into_response(),
        Err(error) => unavailable(&error.to_string()),
    }
}

async fn readyz(State(tree): Tree) -> Response {
    match tree.tree().await {
        Ok(snapshot) => {
            let health = snapshot.health();
            if health.is_serving() {
                format!("{health}\n").into_response()
            } else {
                unavailable(&health.to_string())
            }
        }
        Err(error) => unavailable(&error.to_string()),
    }
}

async fn text(State(tree): Tree) -> Response {
    shown(tree.tree().await, "text/plain; charset=utf-8", |snapshot| format!("{snapshot}\n"))
}

#[cfg(feature = "serde")]
async fn json(State(tree): Tree) -> Response {
    shown(tree.tree().await, "application/json", TreeSnapshot::to_json)
}

fn shown(
    tree: Result<TreeSnapshot, CallError>,
    kind: &'static str,
    show: impl FnOnce(&TreeSnapshot) -> String,
) -> Response {
    match tree {
        Ok(snapshot) => ([(header::CONTENT_TYPE, kind)], show(&snapshot)).into_response(),
        Err(error) => unavailable(&error.to_string()),
    }
}

/// Not now; soon, perhaps.
fn unavailable(why: &str) -> Response {
    let retry = [(header::RETRY_AFTER, "1")];
    (StatusCode::SERVICE_UNAVAILABLE, retry, format!("{why}\n")).into_response()
}
