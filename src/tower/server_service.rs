//! The calls of one kind to a server, as a service of tower. Whether the service is ready is decided by
//! `server/handle/reserved_place.rs`: a place in the mailbox.

use std::fmt;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tower_service::Service;

use crate::call::Reply;
use crate::runtime::CallError;
use crate::server::{CALL_TIMEOUT, GenServer, Place, ServerRef, call_in_place};

/// The calls of one kind to a server, as a [`Service`] of tower: a request becomes a call, and the
/// answer becomes the response. [`ServerRef::service`] makes such a service. The layers of tower
/// then apply to a server: time-outs, limits, load shedding, retries. Clone the service for each
/// connection; a clone is a handle, a function and two words.
///
/// `poll_ready` is pending while the [bounded](crate::Overflow) mailbox of the server is full, and
/// then reserves the place that becomes free. A service that is dropped without a call gives its
/// place back, and a clone starts without a place. Without a bound, and with the policies that
/// drop, the service is always ready. `poll_ready` never fails: until a crashed server is
/// restarted, the error of each call says what is wrong.
///
/// The error is the [`CallError`]. To retry, look at it:
/// [`Restarting`](CallError::Restarting), [`Overloaded`](CallError::Overloaded),
/// [`NoHolder`](CallError::NoHolder) and [`NoProc`](CallError::NoProc) mean that the request was not
/// handled. A retry after `NoProc` helps only with a named handle: the handle of one process never
/// reaches the successor of this process.
///
/// # Examples
///
/// ```
/// # use regrow::{GenServer, Runtime};
/// # use regrow::doc_counter::{Call, Counter};
/// use std::time::Duration;
/// use tower::{Service, ServiceExt};
///
/// # tokio::runtime::Builder::new_current_thread().enable_time()
/// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
/// let rt = Runtime::new();
/// let counter = Counter::start(&rt, 40).await?;
/// let get = counter.service(|(), reply| Call::Get(reply)).timeout(Duration::from_secs(1));
/// assert_eq!(get.clone().oneshot(()).await?, 40);
///
/// // With layers of tower: at most 10 requests at once, the others are refused.
/// let mut get = tower::ServiceBuilder::new().load_shed().concurrency_limit(10).service(get);
/// assert_eq!(get.ready().await?.call(()).await?, 40);
/// # Ok::<(), tower::BoxError>(())
/// # })).unwrap();
/// ```
///
/// # Cancel safety
///
/// If a response is dropped, the call stops waiting, and the server may still handle the request.
/// If the response was never polled, its request was not sent, and the place in the mailbox is
/// given back.
///
/// # Panics
///
/// A response panics as [`ServerRef::call`] does.
///
/// # When not to use it
///
/// Between servers, call: a call has a deadline and limits the load by itself. For casts there is no
/// service, since they have no response.
pub struct ServerService<S: GenServer, Req, T, F> {
    server: ServerRef<S>,
    make: F,
    limit: Duration,
    place: Place<S>,
    /// The types of the requests and responses.
    types: PhantomData<fn(Req) -> T>,
}

impl<S: GenServer> ServerRef<S> {
    /// Makes a service of tower whose requests are calls to this server. `make` makes the call of a
    /// request. With a named handle the service stays valid through restarts. [`ServerService`]
    /// describes it and has an example.
    pub fn service<Req, T, F>(&self, make: F) -> ServerService<S, Req, T, F>
    where
        T: Send + 'static,
        F: Fn(Req, Reply<T>) -> S::Call + Clone,
    {
        ServerService {
            server: self.clone(),
            make,
            limit: CALL_TIMEOUT,
            place: Place::None,
            types: PhantomData,
        }
    }
}

impl<S: GenServer, Req, T, F> ServerService<S, Req, T, F> {
    /// Sets the deadline of each call, from the first poll of its response on. The default is 5 s.
    /// [`ServerService`] has an example.
    #[must_use]
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }
}

impl<S, Req, T, F> Service<Req> for ServerService<S, Req, T, F>
where
    S: GenServer,
    Req: Send + 'static,
    T: Send + 'static,
    F: Fn(Req, Reply<T>) -> S::Call + Clone + Send + 'static,
{
    type Response = T;
    type Error = CallError;
    type Future = Pin<Box<dyn Future<Output = Result<T, CallError>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), CallError>> {
        self.place.poll(cx, &self.server).map(Ok)
    }

    fn call(&mut self, request: Req) -> Self::Future {
        let (server, make, limit) = (self.server.clone(), self.make.clone(), self.limit);
        let place = std::mem::replace(&mut self.place, Place::None);
        let make = move |reply| make(request, reply);
        Box::pin(async move { call_in_place(&server, place, make, limit).await })
    }
}

impl<S: GenServer, Req, T, F: Clone> Clone for ServerService<S, Req, T, F> {
    fn clone(&self) -> Self {
        ServerService {
            server: self.server.clone(),
            make: self.make.clone(),
            limit: self.limit,
            place: Place::None,
            types: PhantomData,
        }
    }
}

impl<S: GenServer, Req, T, F> fmt::Debug for ServerService<S, Req, T, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerService")
            .field("server", &self.server)
            .field("limit", &self.limit)
            .field("has_place", &matches!(self.place, Place::Reserved(..)))
            .finish_non_exhaustive()
    }
}
