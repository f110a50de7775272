//! The front for HTTP, by axum.

use std::net::TcpListener;
use std::sync::Arc;

use axum::Router;
use axum::extract::Path;
use axum::routing::post;
use regrow::{CallFailed, ChildSpec, ExitReason, Live, Runtime};

use crate::totals::{Call, Cast, TOTALS, Totals};

pub(crate) fn front(rt: &Runtime, port: TcpListener) -> ChildSpec {
    let routes = Router::new()
        .route("/add/{n}", post(add))
        .route("/crash", post(crash))
        .with_state(rt.server(TOTALS));
    let port = Arc::new(port);
    ChildSpec::serve("http", move |shutdown| async move {
        let port = tokio::net::TcpListener::from_std(port.try_clone()?)?;
        axum::serve(port, routes).with_graceful_shutdown(shutdown).await?;
        Ok::<_, ExitReason>(())
    })
}

async fn add(Path(n): Path<u64>, Live(totals): Live<Totals>) -> Result<String, CallFailed> {
    let sum = totals.call(|reply| Call::Add(n, reply)).await?;
    Ok(sum.to_string())
}

async fn crash(Live(totals): Live<Totals>) -> &'static str {
    totals.cast(Cast::Crash);
    "crashed\n"
}
