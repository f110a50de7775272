//! The front: the routes of the store, and the probes.

use std::time::Duration;

use axum::Router;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use regrow::{ChildSpec, ExitReason, Keep, Runtime, SupervisorRef, tree_routes};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use crate::store::Request;

/// How long a request waits for the store before the answer is 503.
const STORE_TIMEOUT: Duration = Duration::from_secs(2);

type Store = State<mpsc::Sender<Request>>;

/// A bound socket that outlives restarts of the server.
pub(crate) type Port = Keep<TcpListener>;

pub(crate) fn child(rt: &Runtime, port: Port, store: mpsc::Sender<Request>) -> ChildSpec {
    let rt = rt.clone();
    ChildSpec::serve("http", move |shutdown| async move {
        let app = Router::new()
            .route("/kv/{key}", get(read).put(write))
            .route("/crash", post(crash))
            .with_state(store)
            .merge(tree_routes(&SupervisorRef::named(&rt, "kv")));
        axum::serve(port.lend().await?, app).with_graceful_shutdown(shutdown).await?;
        Ok::<_, ExitReason>(())
    })
}

async fn read(State(store): Store, Path(key): Path<String>) -> Response {
    match ask(&store, |reply| Request::Get(key, reply)).await {
        Some(Some(value)) => value.into_response(),
        Some(None) => StatusCode::NOT_FOUND.into_response(),
        None => try_again(),
    }
}

async fn write(State(store): Store, Path(key): Path<String>, value: String) -> Response {
    match ask(&store, |reply| Request::Put(key, value, reply)).await {
        Some(_) => StatusCode::NO_CONTENT.into_response(),
        None => try_again(),
    }
}

async fn crash(State(store): Store) -> Response {
    match store.try_send(Request::Crash) {
        Ok(()) => StatusCode::ACCEPTED.into_response(),
        Err(_) => try_again(),
    }
}

/// Asks the store. Waits while the store restarts. `None` if the store is overloaded, crashed while
/// it handled the request, or takes too long.
async fn ask<T>(
    store: &mpsc::Sender<Request>,
    make: impl FnOnce(oneshot::Sender<T>) -> Request,
) -> Option<T> {
    let (reply, answer) = oneshot::channel();
    store.try_send(make(reply)).ok()?;
    timeout(STORE_TIMEOUT, answer).await.ok()?.ok()
}

fn try_again() -> Response {
    (StatusCode::SERVICE_UNAVAILABLE, [(header::RETRY_AFTER, "1")]).into_response()
}
