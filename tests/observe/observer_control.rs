//! Control requests over HTTP: which are carried out, which are refused, and that each is reported.

use crate::support;

use std::collections::VecDeque;
use std::future::pending;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{ConnectInfo, Extension};
use axum::http::{Request, StatusCode};
use axum::response::Response;
use futures_util::StreamExt;
use regrow::observer::{Caller, Observer};
use regrow::{
    ChangeKind, ChildSpec, ControlAction, ControlOutcome, Events, Keep, LifecycleEvent, LogLevel,
    Observed, Runtime, Shutdown, Supervisor, SupervisorRef,
};
use serde_json::{Value, json};
use support::settled;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tower::ServiceExt;

const SECOND: Duration = Duration::from_secs(1);

const JSON: (&str, &str) = ("content-type", "application/json");

fn idle(id: &str) -> ChildSpec {
    ChildSpec::task(id, |_| pending()).named(id)
}

async fn app(rt: &Runtime) -> SupervisorRef {
    let slow = ChildSpec::task("slow", |mut ctx| async move {
        ctx.cancellation_token().cancelled().await;
        tokio::time::sleep(20 * SECOND).await;
        Ok(())
    });
    let slow = slow.named("slow").shutdown(Shutdown::Infinity);
    let app = Supervisor::one_for_one().named("app").unlimited_restarts();
    app.child(idle("job")).child(slow).start(rt).await.unwrap()
}

/// The body of a request for this action on a child of `app`.
fn body(rt: &Runtime, action: &str, name: &str) -> String {
    let pid = rt.whereis(name).map(|pid| pid.raw());
    let supervisor = rt.whereis("app").map(|pid| pid.raw());
    let path = format!("app/{name}");
    json!({ "action": action, "path": path, "pid": pid, "supervisor": supervisor }).to_string()
}

/// Sends a control request with these headers and this body.
async fn send(router: &Router, headers: &[(&str, &str)], body: impl Into<Body>) -> Response {
    let mut request = Request::post("/control");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    router.clone().oneshot(request.body(body.into()).unwrap()).await.unwrap()
}

/// Sends a request as `curl` does.
async fn post(router: &Router, body: impl Into<Body>) -> (StatusCode, String) {
    read(send(router, &[("host", "127.0.0.1:8090"), JSON], body).await).await
}

async fn read(response: Response) -> (StatusCode, String) {
    let status = response.status();
    let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

async fn get(router: &Router, path: &str) -> (StatusCode, String) {
    let request = Request::get(path).header("host", "localhost").body(Body::empty()).unwrap();
    read(router.clone().oneshot(request).await.unwrap()).await
}

/// The next report: the action, the requester and the outcome.
async fn reported(events: &mut Events) -> (Option<ControlAction>, String, ControlOutcome) {
    loop {
        if let LifecycleEvent::Control { action, caller, outcome, .. } =
            events.next().await.unwrap()
        {
            return (action, caller.to_string(), outcome);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn without_permission_there_is_no_control_route() {
    let rt = Runtime::new();
    let tree = app(&rt).await;
    let (router, job) = (Observer::new().router(&tree), rt.whereis("job"));
    assert_eq!(post(&router, body(&rt, "kill", "job")).await.0, StatusCode::NOT_FOUND);
    assert_eq!(get(&router, "/control").await.0, StatusCode::NOT_FOUND);
    let (status, text) = get(&router, "/capabilities").await;
    assert_eq!(status, StatusCode::OK);
    let capabilities: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(capabilities, json!({ "version": 1, "control": [], "log_level": "off" }));
    settled().await;
    assert_eq!(rt.whereis("job"), job);
}

#[tokio::test(start_paused = true)]
async fn the_capabilities_list_the_actions_and_the_level_of_the_log() {
    let rt = Runtime::new();
    let tree = app(&rt).await;
    let router = Observer::new().allow_control().router(&tree);
    let level = json!({ "action": "log_level", "level": "debug" }).to_string();
    assert_eq!(post(&router, level).await.0, StatusCode::OK);
    assert!(rt.wants_log(LogLevel::Debug));
    let capabilities: Value = serde_json::from_str(&get(&router, "/capabilities").await.1).unwrap();
    let control = ["restart", "terminate", "kill", "suspend", "resume", "log_level"];
    let expected = json!({ "version": 1, "control": control, "log_level": "debug" });
    assert_eq!(capabilities, expected);
}

#[tokio::test(start_paused = true)]
async fn an_action_is_carried_out_and_shown_with_its_requester() {
    let rt = Runtime::new();
    let tree = app(&rt).await;
    let alice = Extension(Caller("alice".into()));
    let router = Observer::new().allow_control().router(&tree).layer(alice);
    let request = Request::get("/events").header("host", "localhost").body(Body::empty()).unwrap();
    let response = router.clone().oneshot(request).await.unwrap();
    let mut page = response.into_body().into_data_stream();
    page.next().await.unwrap().unwrap();
    let (mut events, job) = (rt.events(), rt.whereis("job").unwrap());

    let answer = post(&router, body(&rt, "restart", "job")).await;
    assert_eq!(answer, (StatusCode::OK, r#"{"version":1,"done":true}"#.into()));
    assert!(!rt.is_alive(job) && rt.whereis("job").is_some());
    let expected = (Some(ControlAction::Restart), "alice".into(), ControlOutcome::Done);
    assert_eq!(reported(&mut events).await, expected);
    let change = 'found: loop {
        let part = page.next().await.unwrap().unwrap();
        for event in std::str::from_utf8(&part).unwrap().split_terminator("\n\n") {
            let item = event.strip_prefix("data: ").unwrap();
            let item: Value = serde_json::from_str(item).unwrap();
            if item["change"] == "control" {
                break 'found item;
            }
        }
    };
    assert_eq!((&change["path"], &change["pid"]), (&json!("app/job"), &json!(job.raw())));
    assert_eq!((&change["action"], &change["caller"]), (&json!("restart"), &json!("alice")));
    assert_eq!((&change["outcome"], &change["why"]), (&json!("done"), &Value::Null));
}

const HOST: (&str, &str) = ("host", "localhost:80");

/// The headers of requests that are refused.
const REFUSED: [&[(&str, &str)]; 15] = [
    &[HOST, ("origin", "http://evil.example")],
    &[HOST, ("origin", "null")],
    &[HOST, ("origin", "http://localhost:81")],
    &[HOST, ("origin", "http://localhost:80"), ("origin", "http://evil.example")],
    &[HOST, ("origin", "http://localhost:80"), ("sec-fetch-site", "cross-site")],
    &[HOST, ("sec-fetch-site", "cross-site")],
    &[HOST, ("sec-fetch-site", "same-site")],
    &[HOST, ("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "navigate")],
    // A browser that does not say where the request comes from.
    &[HOST, ("sec-fetch-site", "none")],
    &[HOST, ("sec-ch-ua", "\"Chromium\"")],
    &[HOST, ("user-agent", "Mozilla/5.0 (X11; Linux x86_64)")],
    &[HOST, ("referer", "http://localhost:80/")],
    &[HOST, ("cookie", "session=1")],
    // DNS rebinding.
    &[("host", "evil.example"), ("origin", "http://evil.example")],
    &[("host", "evil.example")],
];

#[tokio::test(start_paused = true)]
async fn a_request_of_another_site_is_refused_and_reported() {
    let rt = Runtime::new();
    let tree = app(&rt).await;
    let router = Observer::new().allow_control().router(&tree);
    let (mut events, job) = (rt.events(), rt.whereis("job"));
    for headers in REFUSED {
        let response = send(&router, &[headers, &[JSON]].concat(), body(&rt, "kill", "job")).await;
        assert_eq!(response.status(), StatusCode::FORBIDDEN, "{headers:?}");
        assert!(response.headers().contains_key("content-security-policy"));
        assert!(response.headers().keys().all(|name| !name.as_str().starts_with("access-")));
        let (action, caller, outcome) = reported(&mut events).await;
        assert_eq!((action, caller.as_str(), outcome.name()), (None, "unknown", "refused"));
        tokio::time::sleep(SECOND).await; // the limit of the reports is not reached
    }
    settled().await;
    assert_eq!(rt.whereis("job"), job);
    let allowed: [&[(&str, &str)]; 4] = [
        &[HOST],
        &[HOST, ("user-agent", "curl/8.11.0")],
        &[HOST, ("origin", "http://localhost:80"), ("user-agent", "Mozilla/5.0")],
        &[HOST, ("sec-fetch-site", "same-origin"), ("user-agent", "Mozilla/5.0")],
    ];
    for headers in allowed {
        let body = body(&rt, "restart", "job");
        let response = send(&router, &[headers, &[JSON]].concat(), body).await;
        assert_eq!(response.status(), StatusCode::OK, "{headers:?}");
    }
}

/// A page of another site sends as fast as it can.
#[tokio::test(start_paused = true)]
async fn at_most_10_requests_of_other_sites_are_reported_in_a_second_and_the_rest_is_counted() {
    let log = support::log::Log::listen();
    let rt = Runtime::new();
    let tree = app(&rt).await;
    let router = Observer::new().allow_control().router(&tree);
    let mut events = rt.events();
    for round in 0..2 {
        for _ in 0..1000 {
            let headers = [HOST, ("origin", "http://evil.example"), JSON];
            let response = send(&router, &headers, body(&rt, "kill", "job")).await;
            assert_eq!(response.status(), StatusCode::FORBIDDEN);
        }
        // A request that the guard allows is reported as ever.
        assert_eq!(post(&router, "kill").await.0, StatusCode::BAD_REQUEST);
        for _ in 0..10 {
            let why = "the request comes from a page of another origin";
            assert_eq!(reported(&mut events).await.2.why(), Some(why));
        }
        assert_eq!(reported(&mut events).await.2.why(), Some("the body is not a JSON object"));
        let rest = reported(&mut events).await.2;
        let rest = rest.why().unwrap();
        assert!(rest.starts_with("990 requests within a second"), "{round}: {rest}");
    }
    let lines = log.take();
    assert_eq!(lines.iter().filter(|line| line.target == "regrow::control").count(), 24);
}

/// A client that the guard allows sends what is no control request, as fast as it can.
#[tokio::test(start_paused = true)]
async fn at_most_10_requests_that_are_none_are_reported_in_a_second_and_hide_no_others() {
    let rt = Runtime::new();
    let tree = app(&rt).await;
    let router = Observer::new().allow_control().router(&tree);
    let mut events = rt.events();
    for _ in 0..1000 {
        assert_eq!(post(&router, "kill").await.0, StatusCode::BAD_REQUEST);
    }
    let foreign = [HOST, ("origin", "http://evil.example"), JSON];
    send(&router, &foreign, body(&rt, "kill", "job")).await;
    assert_eq!(post(&router, body(&rt, "kill", "job")).await.0, StatusCode::OK);
    for _ in 0..10 {
        assert_eq!(reported(&mut events).await.2.why(), Some("the body is not a JSON object"));
    }
    let why = Some("the request comes from a page of another origin");
    assert_eq!(reported(&mut events).await.2.why(), why);
    assert_eq!(reported(&mut events).await.2, ControlOutcome::Done);
    let rest = reported(&mut events).await.2;
    assert!(rest.why().unwrap().starts_with("990 requests within a second; the first: the body"));
}

/// Another page changes the level, or the program itself.
#[tokio::test(start_paused = true)]
async fn the_level_of_the_log_reaches_every_reader() {
    let rt = Runtime::new();
    let tree = app(&rt).await;
    let router = Observer::new().allow_control().router(&tree);
    let mut observation = rt.observe().sample_every(SECOND);
    let Some(Observed::Picture(picture)) = observation.next().await else { panic!() };
    assert_eq!(picture.log_level, LogLevel::Off);
    let level = json!({ "action": "log_level", "level": "debug" }).to_string();
    assert_eq!(post(&router, level).await.0, StatusCode::OK);
    let Some(Observed::Change(change)) = observation.next().await else { panic!() };
    let ChangeKind::Control { action, .. } = change.kind else { panic!() };
    assert_eq!((action.level(), change.path.as_str()), (Some(LogLevel::Debug), ""));
    for level in [LogLevel::Debug, LogLevel::Warn] {
        rt.set_log_level(level);
        let Some(Observed::Sample(sample)) = observation.next().await else { panic!() };
        assert_eq!(sample.log_level, level);
        assert_eq!(observation.picture().await.log_level, level);
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_that_is_no_request_is_refused_and_reported() {
    let rt = Runtime::new();
    let tree = app(&rt).await;
    let router = Observer::new().allow_control().router(&tree);
    let (mut events, job) = (rt.events(), rt.whereis("job"));
    let kill = body(&rt, "kill", "job");
    let types = ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""];
    for of_form in types {
        let headers = [("host", "localhost"), ("content-type", of_form)];
        let response = send(&router, &headers, kill.clone()).await;
        assert_eq!(response.status(), StatusCode::UNSUPPORTED_MEDIA_TYPE, "{of_form}");
        reported(&mut events).await;
    }
    let twice = [("host", "localhost"), JSON, ("content-type", "text/plain")];
    let response = send(&router, &twice, kill.clone()).await;
    assert_eq!(response.status(), StatusCode::UNSUPPORTED_MEDIA_TYPE);
    reported(&mut events).await;
    tokio::time::sleep(SECOND).await; // the limit of the reports is not reached
    for malformed in [
        "",
        "kill",
        "[]",
        "{}",
        r#"{"action":"kill"}"#,
        r#"{"action":"explode","path":"app/job","pid":2,"supervisor":1}"#,
        r#"{"action":"kill","path":7,"pid":2,"supervisor":1}"#,
        r#"{"action":"kill","path":"app/job","pid":-2,"supervisor":1}"#,
        r#"{"action":"kill","path":"app/job","pid":"2","supervisor":1}"#,
        r#"{"action":"log_level","level":"loud"}"#,
        r#"{"action":"log_level"}"#,
    ] {
        assert_eq!(post(&router, malformed).await.0, StatusCode::BAD_REQUEST, "{malformed}");
        assert_eq!(reported(&mut events).await.2.name(), "refused");
        tokio::time::sleep(SECOND).await;
    }
    let long = kill.replace('}', &format!("{}}}", " ".repeat(4096)));
    assert_eq!(post(&router, long).await.0, StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(reported(&mut events).await.2.name(), "refused");
    settled().await;
    assert_eq!(rt.whereis("job"), job);
}

#[tokio::test(start_paused = true)]
async fn other_methods_change_nothing() {
    let rt = Runtime::new();
    let tree = app(&rt).await;
    let router = Observer::new().allow_control().router(&tree);
    for method in ["GET", "HEAD", "PUT", "DELETE", "PATCH", "OPTIONS"] {
        for (host, status) in [("localhost", 405), ("evil.example", 403)] {
            let request = Request::builder().method(method).uri("/control").header("host", host);
            let request = request.body(Body::from(body(&rt, "kill", "job"))).unwrap();
            let response = router.clone().oneshot(request).await.unwrap();
            assert_eq!(response.status(), status, "{method} {host}");
            assert!(response.headers().contains_key("x-frame-options"));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_status_says_why_an_action_was_not_carried_out() {
    let rt = Runtime::new();
    let tree = app(&rt).await;
    let other = Supervisor::one_for_one().named("other").child(idle("elsewhere"));
    let _other = other.start(&rt).await.unwrap();
    let router = Observer::new().allow_control().router(&tree);
    let old = body(&rt, "restart", "job");
    rt.kill(rt.whereis("job").unwrap());
    settled().await;
    let (status, why) = post(&router, old).await;
    assert_eq!(status, StatusCode::CONFLICT);
    assert!(why.contains("another process"), "{why}");
    let (elsewhere, above) = (rt.whereis("elsewhere").unwrap(), rt.whereis("other").unwrap());
    let foreign = json!({
        "action": "kill", "path": "other/elsewhere", "pid": elsewhere.raw(), "supervisor": above.raw(),
    });
    assert_eq!(post(&router, foreign.to_string()).await.0, StatusCode::NOT_FOUND);
    assert!(rt.is_alive(elsewhere));
    // The supervisor is busy with the stop of `slow`.
    let (restart, router_of_it) = (body(&rt, "restart", "slow"), router.clone());
    let busy = tokio::spawn(async move { post(&router_of_it, restart).await });
    settled().await;
    let (status, why) = post(&router, body(&rt, "restart", "job")).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(why.contains("nothing was done"), "{why}");
    assert_eq!(busy.await.unwrap().0, StatusCode::OK);
    tree.stop().await.unwrap();
    let (status, _) = post(&router, json!({ "action": "kill", "path": "app" }).to_string()).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
}

/// A body whose end never arrives.
fn broken() -> Body {
    let parts = futures_util::stream::iter([
        Ok::<_, io::Error>("{\"action\":"),
        Err(io::Error::other("reset")),
    ]);
    Body::from_stream(parts)
}

#[tokio::test(start_paused = true)]
async fn a_request_that_breaks_off_is_not_begun_and_one_that_is_complete_is_finished() {
    let rt = Runtime::new();
    let tree = app(&rt).await;
    let router = Observer::new().allow_control().router(&tree);
    let mut events = rt.events();
    assert_eq!(post(&router, broken()).await.0, StatusCode::BAD_REQUEST);
    assert_eq!(reported(&mut events).await.2.why(), Some("the body broke off"));
    let endless = Body::from_stream(futures_util::stream::pending::<io::Result<String>>());
    assert_eq!(post(&router, endless).await.0, StatusCode::REQUEST_TIMEOUT);
    assert_eq!(reported(&mut events).await.2.why(), Some("the body did not arrive in time"));

    // The server drops the handler of a client that leaves.
    let endless = Body::from_stream(futures_util::stream::pending::<io::Result<String>>());
    let gone = tokio::spawn({
        let router = router.clone();
        async move { post(&router, endless).await }
    });
    settled().await;
    gone.abort();
    let (action, _, outcome) = reported(&mut events).await;
    assert_eq!((action, outcome.name()), (None, "refused"));

    let (slow, request) = (rt.whereis("slow"), body(&rt, "restart", "slow"));
    let gone = tokio::spawn({
        let router = router.clone();
        async move { post(&router, request).await }
    });
    settled().await;
    gone.abort();
    let done = (Some(ControlAction::Restart), "unknown".into(), ControlOutcome::Done);
    assert_eq!(reported(&mut events).await, done);
    assert!(rt.whereis("slow").is_some() && rt.whereis("slow") != slow);
}

#[tokio::test(start_paused = true)]
async fn slow_bodies_delay_no_request_whose_body_is_there() {
    let rt = Runtime::new();
    let tree = app(&rt).await;
    let router = Observer::new().allow_control().router(&tree);
    let endless = || Body::from_stream(futures_util::stream::pending::<io::Result<String>>());
    let mut waiting: VecDeque<_> = (0..16)
        .map(|_| {
            tokio::spawn({
                let router = router.clone();
                async move { post(&router, endless()).await }
            })
        })
        .collect();
    settled().await;
    let begin = tokio::time::Instant::now();
    for action in ["kill", "restart"] {
        settled().await;
        assert_eq!(post(&router, body(&rt, action, "job")).await.0, StatusCode::OK);
    }
    // One more slow body ends the wait for the oldest one.
    let slow = router.clone();
    waiting.push_back(tokio::spawn(async move { post(&slow, endless()).await }));
    let oldest = waiting.pop_front().unwrap().await.unwrap();
    assert_eq!(oldest.0, StatusCode::SERVICE_UNAVAILABLE);
    assert!(begin.elapsed() < Duration::from_secs(1), "a request has waited for a slow one");
    for request in waiting {
        assert_eq!(request.await.unwrap().0, StatusCode::REQUEST_TIMEOUT);
    }
}

/// A client that leaves takes its handler away, but not the restart that it has begun.
#[tokio::test(start_paused = true)]
async fn requests_whose_clients_left_count_until_they_have_ended_and_delay_no_kill() {
    let rt = Runtime::new();
    let tree = app(&rt).await;
    let router = Observer::new().allow_control().router(&tree);
    let mut events = rt.events();
    // The supervisor is busy with the first for 20 s, and does not take the others.
    for _ in 0..16 {
        let gone = tokio::spawn({
            let (router, restart) = (router.clone(), body(&rt, "restart", "slow"));
            async move { post(&router, restart).await }
        });
        settled().await;
        gone.abort();
    }
    let (status, _) = post(&router, body(&rt, "restart", "job")).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    let (action, _, outcome) = reported(&mut events).await;
    assert_eq!((action, outcome.name()), (Some(ControlAction::Restart), "refused"));
    let level = json!({ "action": "log_level", "level": "debug" }).to_string();
    for quick in [level, body(&rt, "kill", "job")] {
        assert_eq!(post(&router, quick).await.0, StatusCode::OK);
        assert_eq!(reported(&mut events).await.2, ControlOutcome::Done);
    }
    for _ in 0..15 {
        assert_eq!(reported(&mut events).await.2.name(), "refused");
    }
    assert_eq!(reported(&mut events).await.2, ControlOutcome::Done);
    assert_eq!(post(&router, body(&rt, "restart", "job")).await.0, StatusCode::OK);
}

#[tokio::test(start_paused = true)]
async fn the_requester_is_the_name_from_the_application_else_the_address() {
    let rt = Runtime::new();
    let tree = app(&rt).await;
    let plain = Observer::new().allow_control().router(&tree);
    let address = SocketAddr::from(([10, 0, 0, 7], 4711));
    let with_address = plain.clone().layer(Extension(ConnectInfo(address)));
    let named = with_address.clone().layer(Extension(Caller("alice".into())));
    let mut events = rt.events();
    for (router, expected) in
        [(plain, "unknown"), (with_address, "10.0.0.7:4711"), (named, "alice")]
    {
        let headers = [("host", "localhost"), ("x-forwarded-for", "6.6.6.6"), JSON];
        send(&router, &headers, body(&rt, "restart", "job")).await;
        assert_eq!(reported(&mut events).await.1, expected);
    }
}

/// Sends a request over a socket, and reads the whole answer.
async fn over_socket(address: SocketAddr, body: &str) -> String {
    let mut socket = TcpStream::connect(address).await.unwrap();
    let length = body.len();
    let request = format!(
        "POST /control HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\n\
         content-length: {length}\r\nconnection: close\r\n\r\n{body}"
    );
    socket.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn actions_on_the_observer_itself_and_its_supervisors_are_answered() {
    let rt = Runtime::new();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let page = Observer::new().allow_control().serve_on(Keep::of(listener)).named("observer");
    let web = Supervisor::one_for_one().named("web").unlimited_restarts().child(page);
    let tree = Supervisor::one_for_one().named("app").child(web).start(&rt).await.unwrap();
    let mut events = rt.events();
    let of_page = |action: &str| {
        let (pid, above) = (rt.whereis("observer").unwrap(), rt.whereis("web").unwrap());
        json!({
            "action": action, "path": "app/web/observer", "pid": pid.raw(), "supervisor": above.raw(),
        })
        .to_string()
    };
    for action in ["restart", "kill", "restart"] {
        let answer = over_socket(address, &of_page(action)).await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{action}: {answer}");
        let (_, caller, outcome) = reported(&mut events).await;
        assert!(caller.starts_with("127.0.0.1:"), "{caller}");
        assert_eq!(outcome, ControlOutcome::Done);
        while rt.whereis("observer").is_none() {
            tokio::task::yield_now().await;
        }
    }
    let web = body(&rt, "restart", "web");
    assert!(over_socket(address, &web).await.starts_with("HTTP/1.1 200"));
    let answer = over_socket(address, &of_page("terminate")).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(rt.whereis("observer").is_none());
    tree.stop().await.unwrap();
}
