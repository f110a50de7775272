//! The route `/metrics`, and the recorder behind it.

use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use regrow::metrics::Exporter;
use regrow::{ChildSpec, ExitReason, Keep};
use tokio::net::TcpListener;
use tokio::time::sleep;

/// The buckets of all times, in seconds. Without buckets, the histograms are rendered as summaries,
/// which can't be added up over several programs.
const BUCKETS: [f64; 12] =
    [0.000_01, 0.000_1, 0.000_5, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 30.0];

/// Installs the recorder of the program. Do this before a tree starts: a server registers its
/// histograms once.
pub(crate) fn install_recorder() -> PrometheusHandle {
    PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &BUCKETS)
        .and_then(PrometheusBuilder::install_recorder)
        .expect("the buckets are not empty, and this is the only recorder of the program")
}

/// Specifies the child that answers `/metrics`. Each answer is of its moment: the exporter writes
/// right before the text is rendered.
pub(crate) fn child(exporter: Exporter, rendered: PrometheusHandle, at: SocketAddr) -> ChildSpec {
    let port = Keep::new(move || TcpListener::bind(at));
    let route = get(move || {
        let (exporter, rendered) = (exporter.clone(), rendered.clone());
        async move {
            exporter.collect().await;
            rendered.render()
        }
    });
    let app = Router::new().route("/metrics", route);
    ChildSpec::serve("web", move |shutdown| async move {
        axum::serve(port.lend().await?, app).with_graceful_shutdown(shutdown).await?;
        Ok::<_, ExitReason>(())
    })
}

/// Specifies the child that lets the recorder drop what it no longer needs, if nothing scrapes it.
pub(crate) fn upkeep(rendered: PrometheusHandle) -> ChildSpec {
    ChildSpec::task("upkeep", move |_| async move {
        loop {
            sleep(Duration::from_secs(5)).await;
            rendered.run_upkeep();
        }
    })
}
