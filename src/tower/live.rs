//! Servers in routes of axum: the handle of a server that can be reached, and a failed call as a
//! response.

use axum::extract::{FromRef, FromRequestParts};
use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::runtime::CallError;
use crate::server::{GenServer, ServerRef};

/// An extractor of axum: the handle of a server that can be reached now. While the server is being
/// restarted, or does not run, the request is answered by 503 with `Retry-After`, before its body is
/// read: see [`CallFailed`]. The server may still end before it is called.
///
/// The handle comes from the state of the router: a [`ServerRef`] by a [`Name`](crate::Name), or a state
/// from which axum's `FromRef` makes one.
///
/// OTP has no counterpart.
///
/// # Examples
///
/// ```
/// # use regrow::{GenServer, Runtime};
/// # use regrow::doc_counter::{Call, Counter};
/// use axum::{Router, body::Body, http::Request, routing::get};
/// use regrow::{CallFailed, Live, Name};
/// use tower::ServiceExt;
///
/// const COUNTER: Name<Counter> = Name::new("counter");
///
/// async fn count(Live(counter): Live<Counter>) -> Result<String, CallFailed> {
///     Ok(counter.call(Call::Get).await?.to_string())
/// }
///
/// # tokio::runtime::Builder::new_current_thread().enable_time()
/// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
/// let rt = Runtime::new();
/// let routes = Router::new().route("/count", get(count)).with_state(rt.server(COUNTER));
/// let request = || Request::get("/count").body(Body::empty()).unwrap();
/// assert_eq!(routes.clone().oneshot(request()).await?.status(), 503);
///
/// Counter::start_named(&rt, COUNTER, 40).await?;
/// let answer = routes.oneshot(request()).await?;
/// assert_eq!(axum::body::to_bytes(answer.into_body(), 100).await?, "40");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })).unwrap();
/// ```
#[derive(Debug)]
pub struct Live<S: GenServer>(pub ServerRef<S>);

impl<S, State> FromRequestParts<State> for Live<S>
where
    S: GenServer,
    State: Send + Sync,
    ServerRef<S>: FromRef<State>,
{
    type Rejection = CallFailed;

    async fn from_request_parts(_: &mut Parts, state: &State) -> Result<Self, CallFailed> {
        let server = ServerRef::from_ref(state);
        server.reach()?;
        match server.is_there() {
            true => Ok(Live(server)),
            false => Err(CallFailed(CallError::NoProc)),
        }
    }
}

/// A failed call, as a response of axum. A handler of axum returns it by `?`. [`Live`] has an example.
///
/// | the [`CallError`] | the response |
/// |---|---|
/// | `Restarting` | 503, `Retry-After` with the delay of the restart, at least 1 s |
/// | `Overloaded` | 503, `Retry-After: 1` |
/// | the server does not run, has ended or stops | 503, `Retry-After: 1` |
/// | `Timeout`, `ChainTimeout` | 504 |
/// | any other | 500 |
///
/// The text of the response does not quote the error, which names processes of the program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallFailed(pub CallError);

impl From<CallError> for CallFailed {
    fn from(error: CallError) -> Self {
        CallFailed(error)
    }
}

impl CallFailed {
    /// The status, and after how many seconds the client may try again.
    fn answer(&self) -> (StatusCode, Option<u64>) {
        match &self.0 {
            CallError::Restarting { retry_in } => {
                let delay = retry_in.unwrap_or_default();
                let seconds = delay.as_secs() + u64::from(delay.subsec_nanos() > 0);
                (StatusCode::SERVICE_UNAVAILABLE, Some(seconds.max(1)))
            }
            CallError::Overloaded
            | CallError::NoProc
            | CallError::NoHolder(_)
            | CallError::Exited(_)
            | CallError::Stopping
            | CallError::NoConnection => (StatusCode::SERVICE_UNAVAILABLE, Some(1)),
            CallError::Timeout | CallError::ChainTimeout { .. } => {
                (StatusCode::GATEWAY_TIMEOUT, None)
            }
            _ => (StatusCode::INTERNAL_SERVER_ERROR, None),
        }
    }
}

impl IntoResponse for CallFailed {
    fn into_response(self) -> Response {
        let (status, retry_after) = self.answer();
        let text = status.canonical_reason().unwrap_or_default();
        let mut response = (status, text).into_response();
        if let Some(seconds) = retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
        }
        response
    }
}
