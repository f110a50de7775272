//! Which requests are answered, and the headers of each answer.
//!
//! 1. The host of an answered request is an IP address, `localhost` or an allowed name. A page whose
//!    name was bound to another address by its DNS server has its own name as the host.
//! 2. An answered request with an `Origin` has the origin of its host, and one with
//!    `Sec-Fetch-Site` comes from the same origin or from the user.
//! 3. A control request also has the `Origin` of its host, or `Sec-Fetch-Site: same-origin`, or no
//!    sign at all of a browser. Each browser sends `Origin` with a `POST`; `curl` and programs don't.
//! 4. Each answer, also a refusal, has all headers of [`HEADERS`].

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

/// The page loads its own script and style, and nothing else; no page may contain it. Its script may
/// assign no HTML.
const POLICY: &str = "default-src 'self'; img-src data:; object-src 'none'; base-uri 'none'; \
                      form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'";

const HEADERS: [(HeaderName, &str); 7] = [
    (header::CONTENT_SECURITY_POLICY, POLICY),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::CACHE_CONTROL, "no-store"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
];

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Answers a request, if it is allowed.
pub(super) async fn guard(
    State(hosts): State<Arc<[String]>>,
    request: Request,
    next: Next,
) -> Response {
    with_headers(match refusal(&request, &hosts) {
        Some(why) => (StatusCode::FORBIDDEN, why).into_response(),
        None => next.run(request).await,
    })
}

/// Adds the headers that each answer has.
pub(super) fn with_headers(mut response: Response) -> Response {
    for (name, value) in HEADERS {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

/// Returns why a request is refused, if it is.
pub(super) fn refusal(request: &Request, hosts: &[String]) -> Option<&'static str> {
    let Some(host) = host_of(request) else {
        return Some("the request names no host, or more than one\n");
    };
    if !is_allowed(host, hosts) {
        return Some("this host name is not allowed: `Observer::allow_host` allows it\n");
    }
    let headers = request.headers();
    let origin = headers.get(header::ORIGIN).map(HeaderValue::as_bytes);
    let is_same = |origin: &[u8]| {
        let of_scheme = |scheme: &[u8]| origin.strip_prefix(scheme) == Some(host.as_bytes());
        of_scheme(b"http://") || of_scheme(b"https://")
    };
    if origin.is_some_and(|origin| !is_same(origin)) {
        return Some("the request comes from a page of another origin\n");
    }
    let site = headers.get(SEC_FETCH_SITE).map(HeaderValue::as_bytes);
    match site {
        None | Some(b"same-origin" | b"none") => None,
        // A link to the page, followed by the user. A form of another site navigates, too.
        Some(_)
            if request.method() == Method::GET
                && headers.get("sec-fetch-mode").is_some_and(|mode| mode == "navigate") =>
        {
            None
        }
        Some(_) => Some("the request comes from a page of another site\n"),
    }
}

/// Returns why a control request is refused, if it is.
pub(super) fn control_refusal(request: &Request, hosts: &[String]) -> Option<&'static str> {
    let refusal = refusal(request, hosts);
    if refusal.is_some() {
        return refusal;
    }
    let headers = request.headers();
    if headers.get_all(header::ORIGIN).iter().nth(1).is_some() {
        return Some("the request names more than one origin\n");
    }
    // An origin that is there is that of the host: `refusal` has compared it.
    let is_of_page = headers.contains_key(header::ORIGIN)
        || headers.get(SEC_FETCH_SITE).is_some_and(|site| site == "same-origin");
    let is_of_browser = headers.contains_key(header::REFERER)
        || headers.contains_key(header::COOKIE)
        || headers.keys().any(|name| name.as_str().starts_with("sec-"))
        || headers
            .get(header::USER_AGENT)
            .is_some_and(|agent| agent.as_bytes().to_ascii_lowercase().starts_with(b"mozilla/"));
    (is_of_browser && !is_of_page).then_some(
        "the browser does not say that the request comes from the page of the observer\n",
    )
}

/// Returns the host of a request, with its port, if there is exactly one.
fn host_of(request: &Request) -> Option<&str> {
    let mut hosts = request.headers().get_all(header::HOST).iter();
    match (hosts.next(), hosts.next()) {
        (Some(host), None) => host.to_str().ok(),
        (None, _) => request.uri().authority().map(|authority| authority.as_str()),
        (Some(_), Some(_)) => None,
    }
}

fn is_allowed(host: &str, hosts: &[String]) -> bool {
    let Some(name) = without_port(host) else { return false };
    let address = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
    let name = name.to_ascii_lowercase();
    address.parse::<IpAddr>().is_ok() || name == "localhost" || hosts.contains(&name)
}

/// Returns the name of a host without its port, or `None` if the port is no number.
fn without_port(host: &str) -> Option<&str> {
    let is_port = |port: &str| port.len() <= 5 && port.bytes().all(|byte| byte.is_ascii_digit());
    if host.ends_with(']') {
        return Some(host);
    }
    match host.rsplit_once(':') {
        None => Some(host),
        Some((name, port)) => is_port(port).then_some(name),
    }
}
