//! A service of tower as a server: one process owns the service and answers calls.
//!
//! **Steps** of a call: the handler waits until the service is ready, calls it, and leaves the response
//! to a task. While the service is not ready the server handles nothing else, so its mailbox fills, and
//! a bound reaches the callers.
//!
//! | what fails | |
//! |---|---|
//! | `poll_ready`, by an error | the server crashes with it at once: all callers get `Exited`, and its supervisor makes a new service |
//! | `poll_ready` or `call`, by a panic | likewise |
//! | the response, by an error | the error is the answer |
//! | a panic of a response | its caller gets `NoReply`; the server and the other responses go on |
//! | the server is stopped with a clean reason | the calls in its mailbox and the responses are finished first |
//! | the server is stopped with another reason | the calls in its mailbox are handled first; the callers of the responses get `Exited` |
//! | the server is killed | all callers get `Exited` |
//!
//! **A crash waits for no response.** No shutdown time limits the `terminate` of a server that ends by
//! itself: one response that never comes would keep the broken service, and the name, for ever.

use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use thiserror::Error;
use tokio::sync::watch;
use tower_service::Service;

use crate::call::Reply;
use crate::exit::{ExitReason, Result};
use crate::message::Received;
use crate::server::{GenServer, ServerContext};

type BoxError = Box<dyn std::error::Error + Send + Sync>;
type BoxResponse<T> = Pin<Box<dyn Future<Output = Result<T, BoxError>> + Send>>;

/// A server that owns a [`Service`] of tower and answers calls by it: a call is a request and its
/// reply. Responses are awaited concurrently, each in a task of the server.
///
/// So a client of an HTTP or gRPC service, with its connections and its layers, is a child with a name,
/// a health and a mailbox.
///
/// * The service is broken when its `poll_ready` returns an error, or when `poll_ready` or `call`
///   panics. The server crashes at once, the callers of all responses that are under way get
///   [`Exited`](crate::CallError::Exited), and the supervisor makes a new service by [`MakeService`].
/// * A [stop](crate::ServerRef::stop) with a [clean](crate::ExitReason::is_clean) reason finishes the
///   responses that are under way. If a supervisor stops the server, it waits for at most the child's
///   shutdown time. A stop with another reason waits for no response.
///
/// OTP: a `gen_server` around a client.
///
/// # Cancel safety
///
/// If a caller is dropped before the service is ready for its call, the service is not called.
/// Otherwise the response is awaited, and then dropped.
///
/// # Examples
///
/// ```
/// use regrow::{GenServer, MakeService, Runtime, ServiceServer};
/// use tower::{ServiceExt, service_fn};
///
/// # tokio::runtime::Builder::new_current_thread().enable_time()
/// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
/// let rt = Runtime::new();
/// let doubles = MakeService::new(|| service_fn(|n: u32| async move { Ok::<_, String>(2 * n) }));
/// let client = ServiceServer::start(&rt, doubles).await?;
/// assert_eq!(client.call(|reply| (21, reply)).await??, 42);
///
/// // And as a service again, for each connection a clone.
/// let service = client.service(|n, reply| (n, reply));
/// assert_eq!(service.oneshot(4).await??, 8);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })).unwrap();
/// ```
///
/// # When not to use it
///
/// A service that is `Clone` and has no state of its own needs no process: clone it. Then nothing
/// restarts it, and no mailbox is between its callers and it.
pub struct ServiceServer<Req, T> {
    service: Box<dyn AnyService<Req, T>>,
    /// The number of responses that are under way.
    responses: Arc<watch::Sender<usize>>,
}

/// The error that a service has returned as its response. Its source is the service's own error.
/// [`ServiceServer`] has an example.
//
// A type of its own, because calls with tower's `BoxError` in the type of their server would not be
// `Send`: the compiler forgets that the error is `'static`.
#[derive(Debug, Error)]
#[error("the service failed")]
pub struct ServiceError(#[source] BoxError);

impl ServiceError {
    /// Returns the error of the service.
    ///
    /// ```
    /// use regrow::{GenServer, MakeService, Runtime, ServiceServer};
    /// use tower::service_fn;
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time()
    /// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// let parse = MakeService::new(|| service_fn(|text: String| async move { text.parse::<u8>() }));
    /// let parse = ServiceServer::start(&rt, parse).await?;
    /// let failed = parse.call(|reply| ("x".into(), reply)).await?.unwrap_err();
    /// assert!(failed.into_inner().is::<std::num::ParseIntError>());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })).unwrap();
    /// ```
    pub fn into_inner(self) -> Box<dyn std::error::Error + Send + Sync> {
        self.0
    }
}

/// The arguments of a [`ServiceServer`], which has an example: a function that makes the service, at
/// the start and at each restart.
pub struct MakeService<Req, T> {
    make: Arc<dyn Fn() -> Box<dyn AnyService<Req, T>> + Send + Sync>,
}

impl<Req, T> MakeService<Req, T> {
    /// Makes the arguments of a function. The function runs in the `init` of the server.
    /// [`ServiceServer`] has an example.
    pub fn new<V>(make: impl Fn() -> V + Send + Sync + 'static) -> Self
    where
        V: Service<Req, Response = T> + Send + 'static,
        V::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
        V::Future: Send + 'static,
    {
        MakeService { make: Arc::new(move || Box::new(Erased(make()))) }
    }
}

/// A service whose own type, and the type of its errors, are erased. So the only type parameters of
/// the server are the types of the requests and responses.
trait AnyService<Req, T>: Send {
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>>;
    fn call(&mut self, request: Req) -> BoxResponse<T>;
}

struct Erased<V>(V);

impl<Req, T, V> AnyService<Req, T> for Erased<V>
where
    V: Service<Req, Response = T> + Send,
    V::Error: Into<BoxError>,
    V::Future: Send + 'static,
{
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.0.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, request: Req) -> BoxResponse<T> {
        let response = self.0.call(request);
        Box::pin(async move { response.await.map_err(Into::into) })
    }
}

impl<Req, T> GenServer for ServiceServer<Req, T>
where
    Req: Send + 'static,
    T: Send + 'static,
{
    type Args = MakeService<Req, T>;
    type Call = (Req, Reply<Result<T, ServiceError>>);
    type Cast = ();

    async fn init(args: MakeService<Req, T>, ctx: &mut ServerContext<Self>) -> Result<Self> {
        // The panic of a response ends its task only.
        ctx.trap_exit(true);
        let responses = Arc::new(watch::Sender::new(0));
        Ok(ServiceServer { service: (args.make)(), responses })
    }

    async fn handle_call(
        &mut self,
        (request, reply): Self::Call,
        ctx: &mut ServerContext<Self>,
    ) -> Result {
        // Always a crash, also if the error has a clean exit reason: the service is broken.
        let ready = poll_fn(|cx| self.service.poll_ready(cx)).await;
        ready.map_err(ExitReason::from_library)?;
        if !reply.is_awaited() {
            return Ok(());
        }
        let (response, under_way) = (self.service.call(request), UnderWay::new(&self.responses));
        let answer = async move {
            reply.send(response.await.map_err(ServiceError));
            drop(under_way);
        };
        ctx.spawn_task(answer, |()| ());
        Ok(())
    }

    async fn handle_cast(&mut self, (): (), _: &mut ServerContext<Self>) -> Result {
        Ok(())
    }

    async fn handle_info(&mut self, info: Received, _: &mut ServerContext<Self>) -> Result {
        // The exit of a response that has panicked, which is logged as the crash of its task.
        drop(info);
        Ok(())
    }

    async fn terminate(&mut self, reason: &ExitReason) {
        if !reason.is_clean() {
            return;
        }
        // An error is impossible: `self` has the sender.
        let _ = self.responses.subscribe().wait_for(|under_way| *under_way == 0).await;
    }
}

/// Counts a response that is under way.
struct UnderWay(Arc<watch::Sender<usize>>);

impl UnderWay {
    fn new(responses: &Arc<watch::Sender<usize>>) -> Self {
        responses.send_modify(|under_way| *under_way += 1);
        UnderWay(responses.clone())
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.send_modify(|under_way| *under_way -= 1);
    }
}

impl<Req, T> Clone for MakeService<Req, T> {
    fn clone(&self) -> Self {
        MakeService { make: self.make.clone() }
    }
}

impl<Req, T> fmt::Debug for MakeService<Req, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MakeService").finish_non_exhaustive()
    }
}

impl<Req, T> fmt::Debug for ServiceServer<Req, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let under_way = *self.responses.borrow();
        f.debug_struct("ServiceServer").field("under_way", &under_way).finish_non_exhaustive()
    }
}
