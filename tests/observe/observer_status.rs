//! The line that a server publishes, in the details of a process that an observer serves.

use crate::support;

use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode};
use regrow::observer;
use regrow::{ChildSpec, GenServer, Pid, Reply, Result, Runtime, ServerContext, Supervisor};
use serde_json::{Value, json};
use support::settled;
use tower::ServiceExt;

const SECOND: Duration = Duration::from_secs(1);

/// Publishes a line. A call is the line that it publishes from now on, a cast takes its time.
struct Desk(Option<String>);

impl GenServer for Desk {
    type Args = Option<String>;
    type Call = (Option<String>, Reply<()>);
    type Cast = Duration;

    async fn init(line: Option<String>, _: &mut ServerContext<Self>) -> Result<Self> {
        Ok(Desk(line))
    }

    async fn handle_call(&mut self, call: Self::Call, _: &mut ServerContext<Self>) -> Result {
        self.0 = call.0;
        call.1.send(());
        Ok(())
    }

    async fn handle_cast(&mut self, takes: Duration, _: &mut ServerContext<Self>) -> Result {
        tokio::time::sleep(takes).await;
        Ok(())
    }

    fn format_status(&self) -> Option<String> {
        assert_ne!(self.0.as_deref(), Some("panic"), "a secret of format_status");
        self.0.clone()
    }
}

/// A tree with a desk and a task, which are named, and the routes of its observer.
async fn app(rt: &Runtime, line: &str) -> (regrow::SupervisorRef, Router) {
    let task = ChildSpec::task("task", |_| std::future::pending()).named("task");
    let desk =
        Desk::child(Some(line.to_owned())).with_id("desk").named(regrow::Name::<Desk>::new("desk"));
    let tree = Supervisor::one_for_one().named("app").child(desk).child(task);
    let tree = tree.start(rt).await.unwrap();
    let router = observer::router(&tree);
    (tree, router)
}

fn desk(rt: &Runtime) -> regrow::ServerRef<Desk> {
    rt.server(regrow::Name::new("desk"))
}

async fn detail(router: &Router, pid: Pid) -> Option<Value> {
    let request = Request::get(format!("/process/{}", pid.raw())).header("host", "localhost");
    let response = router.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
    if response.status() == StatusCode::NOT_FOUND {
        return None;
    }
    let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
    assert!(body.iter().all(|byte| !byte.is_ascii_control()));
    Some(serde_json::from_slice(&body).unwrap())
}

async fn status(router: &Router, pid: Pid) -> Value {
    detail(router, pid).await.unwrap()["status"].clone()
}

fn line(line: &str) -> Value {
    json!({ "line": line, "busy_ms": null, "panicked": false })
}

#[tokio::test(start_paused = true)]
async fn the_details_have_the_line_of_a_server_and_none_of_another_process() {
    let rt = Runtime::new();
    let (tree, router) = app(&rt, "3 orders").await;
    let pid = rt.whereis("desk").unwrap();
    assert_eq!(status(&router, pid).await, line("3 orders"));
    // Only a request for the details through the page fills in the line.
    assert_eq!(rt.process_detail(pid).unwrap().status, None);
    desk(&rt).suspend().await.unwrap();
    assert_eq!(status(&router, pid).await, line("3 orders"));
    desk(&rt).resume().await.unwrap();
    for other in [rt.whereis("task").unwrap(), tree.pid().unwrap()] {
        assert_eq!(status(&router, other).await, Value::Null);
    }
    desk(&rt).call(|reply| (None, reply)).await.unwrap();
    assert_eq!(status(&router, pid).await, Value::Null);
}

#[tokio::test(start_paused = true)]
async fn a_hostile_line_is_escaped_and_cut() {
    let rt = Runtime::new();
    let hostile = format!("<script>\u{1b}[2J\n\u{202e}{}", "x".repeat(1 << 20));
    let (_tree, router) = app(&rt, &hostile).await;
    let status = status(&router, rt.whereis("desk").unwrap()).await;
    let shown = status["line"].as_str().unwrap();
    assert!(shown.starts_with("<script>\\u{1b}[2J\\n\\u{202e}x"), "{shown:.60}");
    assert_eq!((shown.chars().count(), shown.chars().last()), (4_097, Some('…')));
}

#[tokio::test(start_paused = true)]
async fn a_busy_server_has_one_request_says_since_when_and_answers_later() {
    let rt = Runtime::with_mailbox_depth();
    let (_tree, router) = app(&rt, "3 orders").await;
    let pid = rt.whereis("desk").unwrap();
    desk(&rt).cast(10 * SECOND);
    settled().await;
    for second in 0..4 {
        let begin = tokio::time::Instant::now();
        let detail = detail(&router, pid).await.unwrap();
        assert!(begin.elapsed() < SECOND);
        let busy = detail["status"]["busy_ms"].as_u64().unwrap();
        let since = second * 1_000;
        assert!((since + 250..since + 300).contains(&busy), "{busy} ms in second {second}");
        assert_eq!(detail["status"]["line"], Value::Null);
        assert_eq!(detail["queued"], 1, "each reader has queued a request");
        tokio::time::sleep_until(begin + SECOND).await;
    }
    tokio::time::sleep(6 * SECOND).await;
    assert_eq!(status(&router, pid).await, line("3 orders"));
}

#[tokio::test(start_paused = true)]
async fn a_panic_of_format_status_is_shown_without_its_text_and_the_server_runs_on() {
    let rt = Runtime::new();
    let (_tree, router) = app(&rt, "panic").await;
    let pid = rt.whereis("desk").unwrap();
    let panicked = json!({ "line": null, "busy_ms": null, "panicked": true });
    assert_eq!(status(&router, pid).await, panicked);
    desk(&rt).call(|reply| (Some("well".into()), reply)).await.unwrap();
    assert_eq!(rt.whereis("desk"), Some(pid));
    assert_eq!(status(&router, pid).await, line("well"));
}

#[tokio::test(start_paused = true)]
async fn a_server_that_ends_while_it_is_asked_is_not_waited_for() {
    let rt = Runtime::new();
    let (_tree, router) = app(&rt, "3 orders").await;
    let pid = rt.whereis("desk").unwrap();
    desk(&rt).cast(10 * SECOND);
    settled().await;
    let begin = tokio::time::Instant::now();
    let (detail, ()) = tokio::join!(detail(&router, pid), async {
        settled().await;
        rt.kill(pid);
    });
    // `settled` takes a millisecond of the paused clock.
    assert_eq!(detail, None);
    assert!(begin.elapsed() < Duration::from_millis(250), "the limit of the wait");
}
