//! The route for control requests.
//!
//! **Guarantees**
//! 1. A request is answered only if the [guard](super::guard) allows it and it has JSON as its content
//!    type, which a page of another origin can't send without a preflight request, which is refused.
//! 2. Each `POST` is reported once, also one that is refused or breaks off. Of those that are refused
//!    before their action is known, [`Refusals`] reports at most ten in a second one by one, and counts
//!    the others. Those that the guard refuses have a limit of their own, so that a page of another
//!    origin hides nothing.
//! 3. Once the body is complete, the request is carried out to its end, also if the client leaves.
//!    Before that, nothing is done.
//! 4. [`BodyReads`] limits the bodies that are read. At most [`AT_ONCE`] requests that may wait for a
//!    supervisor or a server are carried out. The permit belongs to the task that carries a request
//!    out, not to the handler, which the server drops when the client leaves. A kill and a log level
//!    need no permit, so neither slow bodies nor slow restarts delay them.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use tokio::sync::Semaphore;

use crate::base::ErrorChain;
use crate::control::{AuditEntry, ControlError, ControlRequest};
use crate::observer::body_reads::{BodyReads, Refusal, TOO_MANY};
use crate::observer::caller::caller_of;
use crate::observer::control_request::parse;
use crate::observer::guard::{control_refusal, refusal, with_headers};
use crate::observer::refusals::Refusals;
use crate::observer::source::Source;
use crate::process::Claim;
use crate::supervisor::ChildError;

/// How many requests that wait may be carried out at a time.
const AT_ONCE: usize = 16;

/// What the route needs.
#[derive(Clone)]
pub(super) struct Control {
    source: Source,
    hosts: Arc<[String]>,
    reads: BodyReads,
    /// A permit for each request that may still be carried out, if it may wait.
    waiting: Arc<Semaphore>,
    /// The requests that the guard refuses.
    of_guard: Refusals,
    /// The requests that the guard allows, and that are refused before their action is known.
    unread: Refusals,
}

impl Control {
    pub(super) fn new(source: Source, hosts: Arc<[String]>) -> Self {
        let (reads, waiting) = (BodyReads::default(), Arc::new(Semaphore::new(AT_ONCE)));
        let (of_guard, unread) = (Refusals::default(), Refusals::default());
        Control { source, hosts, reads, waiting, of_guard, unread }
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
    let caller = caller_of(request.extensions());
    let entry = AuditEntry::new(control.source.runtime(), caller.clone());
    if let Some(why) = control_refusal(&request, &control.hosts) {
        control.of_guard.report(entry, why);
        return (StatusCode::FORBIDDEN, why).into_response();
    }
    let unread = control.unread.watch(entry);
    let request = match read_request(request, &control.reads).await {
        Ok(request) => request.caller(caller),
        Err((status, why)) => {
            unread.refuse(why);
            return (status, why).into_response();
        }
    };
    // From here to the first poll of the action there is no await.
    unread.hand_over();
    let held = match request.may_wait() {
        true => control.waiting.clone().try_acquire_owned().map(Some),
        false => Ok(None),
    };
    let Ok(held) = held else {
        let (status, why) = TOO_MANY;
        AuditEntry::of(control.source.runtime(), &request, Claim::default()).refused(why);
        return (status, why).into_response();
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
async fn read_request(request: Request, reads: &BodyReads) -> Result<ControlRequest, Refusal> {
    if !is_json(request.headers()) {
        let why = "the content type has to be application/json\n";
        return Err((StatusCode::UNSUPPORTED_MEDIA_TYPE, why));
    }
    parse(&reads.read(request.into_body()).await?).map_err(|why| (StatusCode::BAD_REQUEST, why))
}

/// Whether the content type is JSON. A form of another site can't have that.
fn is_json(headers: &HeaderMap) -> bool {
    let mut all = headers.get_all(header::CONTENT_TYPE).iter();
    let (Some(first), None) = (all.next(), all.next()) else { return false };
    let essence = first.to_str().ok().and_then(|text| text.split(';').next());
    essence.is_some_and(|essence| essence.trim().eq_ignore_ascii_case("application/json"))
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
