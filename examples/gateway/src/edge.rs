//! What the gateway speaks with beside devices: the upstream, which gets each row, and HTTP clients.

use std::time::Duration;

use axum::Router;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::get;
use regrow::{
    Backoff, ChildSpec, ConnectSpec, ExitReason, Keep, Result, Runtime, ServerRef, SupervisorRef,
    TaskContext, tree_routes,
};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::sleep;

use crate::LIMIT;
use crate::store::{Call, Row, STORE, Store};

// ANCHOR: upstream
pub(crate) fn upstream(address: String) -> ConnectSpec<TcpStream> {
    let backoff = Backoff::new().first(Duration::from_millis(100)).max(Duration::from_secs(5));
    let backoff = backoff.give_up_after(Duration::MAX);
    ChildSpec::connect("connection", address, forward).backoff(backoff)
}

/// Sends rows, and waits until the upstream has confirmed the last of them by its id. After a loss of
/// the connection, the rows that were not confirmed are sent again.
async fn forward(ctx: TaskContext, stream: TcpStream) -> Result {
    let (store, mut stream) = (ctx.runtime().server(STORE), BufReader::new(stream));
    let (mut sent, mut confirmed) = (0, 0);
    loop {
        let rows = store.call_waiting(|reply| Call::Next(sent, reply), LIMIT).await?;
        for (id, Row { device, seq, value }) in &rows {
            stream.write_all(format!("{id} {device} {seq} {value}\n").as_bytes()).await?;
            sent = *id;
        }
        while confirmed < sent {
            let mut line = String::new();
            stream.read_line(&mut line).await?;
            confirmed = line.trim().parse()?; // an error if the connection is closed
        }
        if rows.is_empty() {
            sleep(Duration::from_millis(50)).await;
        }
    }
}
// ANCHOR_END: upstream

// ANCHOR: web
pub(crate) fn web(rt: &Runtime, port: Keep<TcpListener>) -> ChildSpec {
    let app = Router::new()
        .route("/devices/{id}", get(last))
        .with_state(rt.server(STORE))
        .merge(tree_routes(&SupervisorRef::named(rt, "gateway")));
    ChildSpec::serve("web", move |shutdown| async move {
        axum::serve(port.lend().await?, app).with_graceful_shutdown(shutdown).await?;
        Ok::<_, ExitReason>(())
    })
}

async fn last(store: State<ServerRef<Store>>, device: Path<String>) -> (StatusCode, String) {
    match store.call_waiting(|reply| Call::Last(device.to_string(), reply), LIMIT).await {
        Ok(Some(row)) => (StatusCode::OK, format!("{} {}\n", row.seq, row.value)),
        Ok(None) => (StatusCode::NOT_FOUND, String::new()),
        Err(error) => (StatusCode::SERVICE_UNAVAILABLE, error.to_string()),
    }
}
// ANCHOR_END: web
