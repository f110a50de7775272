//! A receiver of spans: the service of OTLP over gRPC, on loopback.

use std::io;
use std::sync::{Arc, Mutex};

use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::Server;
use tonic::{Request, Response, Status};

/// A span that was received.
#[derive(Debug, Clone)]
pub(crate) struct Received {
    pub(crate) trace: Vec<u8>,
    pub(crate) id: Vec<u8>,
    /// Empty if the span has no parent.
    pub(crate) parent: Vec<u8>,
    /// The spans from which it follows.
    pub(crate) links: Vec<Vec<u8>>,
    pub(crate) name: String,
    /// The server that handled the message; empty for a span of the program's own.
    pub(crate) server: String,
    pub(crate) kind: String,
}

impl From<Span> for Received {
    fn from(span: Span) -> Self {
        let attribute = |key: &str| {
            let found = span.attributes.iter().find(|attribute| attribute.key == key);
            match found.and_then(|attribute| attribute.value.as_ref()?.value.as_ref()) {
                Some(Value::StringValue(text)) => text.clone(),
                _ => String::new(),
            }
        };
        Received {
            server: attribute("server"),
            kind: attribute("kind"),
            trace: span.trace_id,
            id: span.span_id,
            parent: span.parent_span_id,
            links: span.links.into_iter().map(|link| link.span_id).collect(),
            name: span.name,
        }
    }
}

/// All spans that were received.
#[derive(Clone, Default)]
pub(crate) struct Spans(Arc<Mutex<Vec<Received>>>);

impl Spans {
    pub(crate) fn all(&self) -> Vec<Received> {
        self.0.lock().expect("no holder panics").clone()
    }
}

#[tonic::async_trait]
impl TraceService for Spans {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let resources = request.into_inner().resource_spans.into_iter();
        let scopes = resources.flat_map(|resource| resource.scope_spans);
        let spans = scopes.flat_map(|scope| scope.spans).map(Received::from);
        self.0.lock().expect("no holder panics").extend(spans);
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

/// Starts the receiver. Returns its address, and what it receives.
pub(crate) async fn start() -> io::Result<(String, Spans)> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let endpoint = format!("http://{}", listener.local_addr()?);
    let spans = Spans::default();
    let service = TraceServiceServer::new(spans.clone());
    let serve = Server::builder().add_service(service);
    tokio::spawn(serve.serve_with_incoming(TcpListenerStream::new(listener)));
    Ok((endpoint, spans))
}
