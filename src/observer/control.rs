//! The route for control requests.
//!
//! **Guarantees**
//! 1. A request is answered only if the [guard](super::guard) allows it and it has JSON as its content
//!    type, which a page of another origin can't send without a preflight request, which is refused.
//! 2. Each `POST` that the guard allows is reported once, also one that is refused or breaks off. A
//!    page of another origin can't fill the log: [`GuardRefusals`] limits the reports of the others.
//! 3. Once the body is complete, the request is carried out to its end, also if the client leaves.
//!    Before that, nothing is done.
//! 4. At most [`AT_ONCE`] requests are read, each with at most [`BODY`] bytes, which have to arrive
//!    within [`BODY_WITHIN`], and at most [`AT_ONCE`] that may wait for a supervisor or a server are
//!    carried out. The permit belongs to the task that carries a request out, not to the handler,
//!    which the server drops when the client leaves. A kill and a log level need no permit of the
//!    second kind, so that slow restarts delay none.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::StreamExt;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::base::ErrorChain;
use crate::control::{AuditEntry, ControlError, ControlRequest};
use crate::observer::caller::caller_of;
use crate::observer::control_request::parse;
use crate::observer::guard::{control_refusal, refusal, with_headers};
use crate::observer::guard_refusals::GuardRefusals;
use crate::observer::source::Source;
use crate::supervisor::{ChildError, Claim};

/// How many requests may be read, and how many may be carried out that wait.
const AT_ONCE: usize = 16;

/// The longest body, in bytes.
const BODY: usize = 4 << 10;

/// How long a body may take to arrive.
const BODY_WITHIN: Duration = Duration::from_secs(10);

/// What the route needs.
#[derive(Clone)]
pub(super) struct Control {
    source: Source,
    hosts: Arc<[String]>,
    /// A permit for each request that may still be read.
    reading: Arc<Semaphore>,
    /// A permit for each request that may still be carried out, if it may wait.
    waiting: Arc<Semaphore>,
    refusals: GuardRefusals,
}

/// A refused request: its status, and the reason.
type Refusal = (StatusCode, &'static str);

const TOO_MANY: Refusal =
    (StatusCode::SERVICE_UNAVAILABLE, "too many control requests are in progress: try again\n");

impl Control {
    pub(super) fn new(source: Source, hosts: Arc<[String]>) -> Self {
        let permits = || Arc::new(Semaphore::new(AT_ONCE));
        let (reading, waiting) = (permits(), permits());
        Control { source, hosts, reading, waiting, refusals: GuardRefusals::default() }
    }
}

/// Answers a request of any method.
pub(super) async fn control(State(control): State<Control>, request: Request) -> Response {
    with_headers(match *request.method() {
        Method::POST => post(&control, request).await,
        _ => match refusal(&request, &control.hosts) {
            Some(why) => (StatusCode::FORBIDDEN, why).into_response(),
            None => (StatusCode::METHOD_NOT_ALLOWED, [(header::ALLOW, "POST")]).into_response(),
        },
    })
}

async fn post(control: &Control, request: Request) -> Response {
    let entry = AuditEntry::new(control.source.runtime(), caller_of(request.extensions()));
    let refuse = |entry: AuditEntry, (status, why): Refusal| {
        entry.refused(why);
        (status, why).into_response()
    };
    if let Some(why) = control_refusal(&request, &control.hosts) {
        control.refusals.report(entry, why);
        return (StatusCode::FORBIDDEN, why).into_response();
    }
    let Ok(reading) = control.reading.clone().try_acquire_owned() else {
        return refuse(entry, TOO_MANY);
    };
    let request = match read_request(request).await {
        Ok(request) => request.caller(entry.caller().clone()),
        Err(refusal) => return refuse(entry, refusal),
    };
    // From here to the first poll of the action there is no await.
    entry.hand_over();
    let held = match request.may_wait() {
        true => control.waiting.clone().try_acquire_owned(),
        false => Ok(reading),
    };
    let Ok(held) = held else {
        let entry = AuditEntry::of(control.source.runtime(), &request, Claim::default());
        return refuse(entry, TOO_MANY);
    };
    match control.source.control(request, held).await {
        Ok(()) => {
            let json = [(header::CONTENT_TYPE, "application/json")];
            (json, r#"{"version":1,"done":true}"#).into_response()
        }
        Err(error) => (status(&error), format!("{}\n", ErrorChain(&error))).into_response(),
    }
}

/// Returns the control request in the body.
async fn read_request(request: Request) -> Result<ControlRequest, Refusal> {
    if !is_json(request.headers()) {
        let why = "the content type has to be application/json\n";
        return Err((StatusCode::UNSUPPORTED_MEDIA_TYPE, why));
    }
    parse(&read(request.into_body()).await?).map_err(|why| (StatusCode::BAD_REQUEST, why))
}

/// Whether the content type is JSON. A form of another site can't have that.
fn is_json(headers: &HeaderMap) -> bool {
    let mut all = headers.get_all(header::CONTENT_TYPE).iter();
    let (Some(first), None) = (all.next(), all.next()) else { return false };
    let essence = first.to_str().ok().and_then(|text| text.split(';').next());
    essence.is_some_and(|essence| essence.trim().eq_ignore_ascii_case("application/json"))
}

/// Reads a body.
async fn read(body: Body) -> Result<Vec<u8>, Refusal> {
    let read = async {
        let (mut parts, mut all) = (body.into_data_stream(), Vec::new());
        while let Some(part) = parts.next().await {
            let part = part.map_err(|_| (StatusCode::BAD_REQUEST, "the body broke off\n"))?;
            if all.len() + part.len() > BODY {
                let why = "the body is longer than 4 KiB\n";
                return Err((StatusCode::PAYLOAD_TOO_LARGE, why));
            }
            all.extend_from_slice(&part);
        }
        Ok(all)
    };
    let late = || Err((StatusCode::REQUEST_TIMEOUT, "the body did not arrive in time\n"));
    timeout(BODY_WITHIN, read).await.unwrap_or_else(|_| late())
}

fn status(error: &ControlError) -> StatusCode {
    match error {
        ControlError::NotFound(_) | ControlError::Child(ChildError::NotFound(_)) => {
            StatusCode::NOT_FOUND
        }
        ControlError::Failed(_) => StatusCode::INTERNAL_SERVER_ERROR,
        ControlError::Unfinished => StatusCode::GATEWAY_TIMEOUT,
        ControlError::NotBegun | ControlError::TokioGone => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::CONFLICT,
    }
}
