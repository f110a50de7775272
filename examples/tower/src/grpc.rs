//! The front for gRPC, by tonic. A code generator would write what stands here by hand: the messages, the
//! path of the method, and which service answers it.

use std::convert::Infallible;
use std::future::{Future, ready};
use std::net::TcpListener;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use regrow::{CallError, ChildSpec, ExitReason, Runtime};
use tokio_stream::wrappers::TcpListenerStream;
use tonic::body::Body;
use tonic::server::{Grpc, NamedService, UnaryService};
use tonic::transport::Server;
use tonic::{Request, Response, Status};
use tonic_prost::ProstCodec;
use tower::load_shed::error::Overloaded;
use tower::util::BoxCloneSyncService;
use tower::{BoxError, Service, ServiceBuilder, ServiceExt};

use crate::totals::{Call, TOTALS};

pub(crate) const ADD: &str = "/totals.Totals/Add";

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct AddRequest {
    #[prost(uint64, tag = "1")]
    pub(crate) n: u64,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct AddReply {
    #[prost(uint64, tag = "1")]
    pub(crate) sum: u64,
}

type Boxed<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// The service of gRPC. tonic clones it for each connection.
#[derive(Clone)]
struct TotalsService {
    add: BoxCloneSyncService<u64, u64, BoxError>,
}

pub(crate) fn front(rt: &Runtime, port: TcpListener) -> ChildSpec {
    let add = rt.server(TOTALS).service(Call::Add);
    let add = ServiceBuilder::new().load_shed().concurrency_limit(1_000).service(add);
    let totals = TotalsService { add: BoxCloneSyncService::new(add) };
    let port = Arc::new(port);
    ChildSpec::serve("grpc", move |shutdown| async move {
        let port = tokio::net::TcpListener::from_std(port.try_clone()?)?;
        let clients = TcpListenerStream::new(port);
        let server = Server::builder().add_service(totals);
        server.serve_with_incoming_shutdown(clients, shutdown).await?;
        Ok::<_, ExitReason>(())
    })
}

impl NamedService for TotalsService {
    const NAME: &'static str = "totals.Totals";
}

impl Service<http::Request<Body>> for TotalsService {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Boxed<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        if request.uri().path() != ADD {
            return Box::pin(ready(Ok(Status::unimplemented("no such method").into_http())));
        }
        let add = Add(self.add.clone());
        Box::pin(async move {
            let mut grpc = Grpc::new(ProstCodec::<AddReply, AddRequest>::default());
            Ok(grpc.unary(add, request).await)
        })
    }
}

/// The method `Add`.
struct Add(BoxCloneSyncService<u64, u64, BoxError>);

impl UnaryService<AddRequest> for Add {
    type Response = AddReply;
    type Future = Boxed<Result<Response<AddReply>, Status>>;

    fn call(&mut self, request: Request<AddRequest>) -> Self::Future {
        let sum = self.0.clone().oneshot(request.into_inner().n);
        Box::pin(async move {
            sum.await.map(|sum| Response::new(AddReply { sum })).map_err(|error| status(&error))
        })
    }
}

/// The status of gRPC that says whether a client may try again.
fn status(error: &BoxError) -> Status {
    if error.is::<Overloaded>() {
        return Status::resource_exhausted("overloaded");
    }
    match error.downcast_ref::<CallError>() {
        Some(CallError::Restarting { .. } | CallError::NoHolder(_)) => {
            Status::unavailable("the server is being restarted")
        }
        // The server may have handled the request: a client must not just try again.
        Some(CallError::Exited(_)) => Status::aborted("the server ended"),
        Some(CallError::Timeout) => Status::deadline_exceeded("no answer in time"),
        _ => Status::internal("the call failed"),
    }
}
