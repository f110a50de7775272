//! The front: routes over the store, and the probes.

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

use crate::store::Ask;

/// How long a request waits for the store before it is sent away.
const PATIENCE: Duration = Duration::from_secs(2);

type Store = State<mpsc::Sender<Ask>>;

/// A bound socket that is kept, so that a restart never loses the port.
pub(crate) type Port = Keep<std::sync::Arc<std::net::TcpListener>>;

pub(crate) fn child(rt: &Runtime, port: Port, store: mpsc::Sender<Ask>) -> ChildSpec {
    let rt = rt.clone();
    ChildSpec::serve("http", move |shutdown| async move {
        let socket = TcpListener::from_std(port.get().await?.try_clone()?)?;
        let app = Router::new()
            .route("/kv/{key}", get(read).put(write))
            .route("/crash", post(crash))
            .with_state(store)
            .merge(tree_routes(&SupervisorRef::named(&rt, "kv")));
        axum::serve(socket, app).with_graceful_shutdown(shutdown).await?;
        Ok::<_, ExitReason>(())
    })
}

async fn read(State(store): Store, Path(key): Path<String>) -> Response {
    match ask(&store, |reply| Ask::Get(key, reply)).await {
        Some(Some(value)) => value.into_response(),
        Some(None) => StatusCode::NOT_FOUND.into_response(),
        None => try_again(),
    }
}

async fn write(State(store): Store, Path(key): Path<String>, value: String) -> Response {
    match ask(&store, |reply| Ask::Put(key, value, reply)).await {
        Some(_) => StatusCode::NO_CONTENT.into_response(),
        None => try_again(),
    }
}

async fn crash(State(store): Store) -> Response {
    match store.try_send(Ask::Crash) {
        Ok(()) => StatusCode::ACCEPTED.into_response(),
        Err(_) => try_again(),
    }
}

/// What the store says. `None` if it is overloaded, died with the question in its hands, or
/// takes too long; one that is only being restarted is waited for.
async fn ask<T>(
    store: &mpsc::Sender<Ask>,
    make: impl FnOnce(oneshot::Sender<T>) -> Ask,
) -> Option<T> {
    let (reply, answer) = oneshot::channel();
    store.try_send(make(reply)).ok()?;
    timeout(PATIENCE, answer).await.ok()?.ok()
}

fn try_again() -> Response {
    (StatusCode::SERVICE_UNAVAILABLE, [(header::RETRY_AFTER, "1")]).into_response()
}
