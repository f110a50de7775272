//! One request through three servers is one trace in an OpenTelemetry back end.
//!
//! An order enters in a span of its own. `front` handles it, asks `stock`, and `stock` casts to
//! `journal`, which writes the order down a moment later, by a timer. regrow gives each of these
//! messages a span; that of the timer is a trace of its own, with a link to the cast.
//! `tracing-opentelemetry` exports the spans over OTLP and gRPC, and a receiver on
//! loopback asserts what arrives.
//!
//! ```text
//! cargo run --manifest-path examples/otlp/Cargo.toml
//! cargo run --manifest-path examples/otlp/Cargo.toml -- http://localhost:4317    to a back end
//! ```

mod receiver;
mod shop;

use std::error::Error;
use std::time::Duration;

use opentelemetry::trace::TracerProvider;
use opentelemetry_otlp::{SpanExporter, WithExportConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SdkTracerProvider;
use regrow::{MessageSpans, Runtime};
use tracing::{Instrument, info_span};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use receiver::Received;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let back_end = std::env::args().nth(1).filter(|argument| argument.starts_with("http"));
    let (endpoint, received) = match back_end {
        Some(endpoint) => (endpoint, None),
        None => {
            let (endpoint, received) = receiver::start().await?;
            (endpoint, Some(received))
        }
    };
    let exporter = SpanExporter::builder().with_tonic().with_endpoint(endpoint).build()?;
    let spans = SdkTracerProvider::builder()
        .with_resource(Resource::builder().with_service_name("shop").build())
        .with_batch_exporter(exporter)
        .build();
    let layer = tracing_opentelemetry::layer().with_tracer(spans.tracer("regrow"));
    tracing_subscriber::registry().with(layer).init();

    let rt = Runtime::new();
    rt.message_spans(MessageSpans::Child);
    let (tree, front) = shop::start(&rt).await?;
    for id in 1..=2 {
        let order = front.call(|reply| shop::Order { id, reply });
        let left = order.instrument(info_span!("order", id)).await?;
        println!("order {id}: {left} left");
    }
    let journal = rt.server::<shop::Journal>("journal");
    while journal.call(|reply| reply).await? < 2 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    tree.stop().await?;
    tokio::task::spawn_blocking(move || spans.shutdown()).await??;

    if let Some(received) = received {
        assert_traces(&received.all());
    }
    Ok(())
}

/// Asserts that each order is one trace, over all three servers, and that the timer is linked to it.
fn assert_traces(received: &[Received]) {
    let orders = received.iter().filter(|span| span.name == "order");
    let orders: Vec<_> = orders.collect();
    assert_eq!(orders.len(), 2, "{received:#?}");
    for order in orders {
        let trace: Vec<_> = received.iter().filter(|span| span.trace == order.trace).collect();
        let child = |parent: &Received, server: &str, kind: &str| {
            let is_it = |span: &&&Received| {
                (&*span.parent, &*span.server, &*span.kind) == (&*parent.id, server, kind)
            };
            let found = trace.iter().find(is_it);
            let found = *found.unwrap_or_else(|| panic!("{server} {kind}: {received:#?}"));
            println!("{} -> {} {}", name(parent), found.server, found.kind);
            found
        };
        println!("trace {}", hex(&order.trace));
        let front = child(order, "Front", "call");
        let stock = child(front, "Stock", "call");
        let journal = child(stock, "Journal", "cast");
        assert_eq!(trace.len(), 4, "{trace:#?}");
        let follows = |span: &&Received| span.links.contains(&journal.id);
        let timer = received.iter().find(follows);
        let timer = timer.unwrap_or_else(|| panic!("the timer is linked: {received:#?}"));
        println!("Journal cast ~> {} {}, a trace of its own", timer.server, timer.kind);
        assert!(timer.parent.is_empty() && timer.trace != order.trace, "{timer:?}");
        assert!(order.parent.is_empty(), "an order begins a trace");
    }
}

fn name(span: &Received) -> String {
    match &*span.server {
        "" => span.name.clone(),
        server => format!("{server} {}", span.kind),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
