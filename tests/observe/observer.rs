//! The observer over HTTP: which requests are answered, what the events deliver, and when a page is
//! closed.

use crate::support;

use std::future::pending;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Request, StatusCode};
use futures_util::StreamExt;
use regrow::observer::{self, Observer};
use regrow::{ChildSpec, Keep, Observed, Pid, Runtime, Shutdown, Supervisor, SupervisorRef};
use support::settled;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tower::ServiceExt;

const SECOND: Duration = Duration::from_secs(1);

fn idle(id: &str) -> ChildSpec {
    ChildSpec::task(id, |_| pending()).named(id)
}

async fn app(rt: &Runtime) -> SupervisorRef {
    let app = Supervisor::one_for_one().named("app").unlimited_restarts().child(idle("job"));
    app.start(rt).await.unwrap()
}

/// Sends a request with these headers.
async fn send(router: &Router, path: &str, headers: &[(&str, &str)]) -> axum::response::Response {
    let mut request = Request::get(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    router.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap()
}

async fn get(router: &Router, path: &str) -> axum::response::Response {
    send(router, path, &[("host", "127.0.0.1:8090")]).await
}

async fn text(response: axum::response::Response) -> String {
    String::from_utf8(to_bytes(response.into_body(), usize::MAX).await.unwrap().to_vec()).unwrap()
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers.get(name).map_or("", |value| value.to_str().unwrap())
}

/// The events of an answer.
struct Page {
    body: axum::body::BodyDataStream,
    /// What was read, and not taken yet.
    read: String,
    /// The lengths of the parts that were read.
    parts: Vec<usize>,
}

impl Page {
    async fn open(router: &Router) -> Page {
        let response = get(router, "/events").await;
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(header(response.headers(), "content-type"), "text/event-stream");
        Page {
            body: response.into_body().into_data_stream(),
            read: String::new(),
            parts: Vec::new(),
        }
    }

    /// Returns the next item, or `None` at the end.
    async fn next(&mut self) -> Option<serde_json::Value> {
        while !self.read.contains("\n\n") {
            let part = self.body.next().await?.unwrap();
            self.parts.push(part.len());
            self.read.push_str(std::str::from_utf8(&part).unwrap());
        }
        let (event, rest) = self.read.split_once("\n\n").unwrap();
        let item = event.strip_prefix("data: ").unwrap();
        assert!(!item.contains('\n'));
        let item = serde_json::from_str(item).unwrap();
        self.read = rest.to_owned();
        Some(item)
    }
}

#[tokio::test(start_paused = true)]
async fn the_events_are_a_picture_and_then_each_change() {
    let rt = Runtime::new();
    let tree = app(&rt).await;
    let mut page = Page::open(&observer::router(&tree)).await;
    let picture = page.next().await.unwrap();
    assert_eq!(
        (&picture["type"], &picture["nodes"][1]["path"]),
        (&"picture".into(), &"app/job".into())
    );
    rt.kill(rt.whereis("job").unwrap());
    let mut kinds = Vec::new();
    while kinds.last().is_none_or(|kind| kind != "started") {
        let item = page.next().await.unwrap();
        assert_eq!((&item["type"], &item["path"]), (&"change".into(), &"app/job".into()));
        kinds.push(item["change"].as_str().unwrap().to_owned());
    }
    assert_eq!(kinds, ["ended", "restarting", "starting", "started"]);
    tree.stop().await.unwrap();
    let mut last = None;
    while let Some(item) = page.next().await {
        last = Some(item);
    }
    assert_eq!(last.unwrap()["path"], "app"); // and the events are over
}

#[tokio::test(start_paused = true)]
async fn a_change_is_sent_at_once_and_those_that_follow_it_together() {
    let rt = Runtime::new();
    let tree = app(&rt).await;
    let mut page = Page::open(&observer::router(&tree)).await;
    page.next().await.unwrap();
    tokio::time::sleep(SECOND / 2).await;
    let begin = tokio::time::Instant::now();
    page.parts.clear();
    for round in 1..=2 {
        rt.kill(rt.whereis("job").unwrap());
        let mut kinds = Vec::new();
        while kinds.last().is_none_or(|kind| kind != "started") {
            kinds.push(page.next().await.unwrap()["change"].as_str().unwrap().to_owned());
            if round == 1 && kinds.len() == 1 {
                assert_eq!(begin.elapsed(), Duration::ZERO, "the first change has waited");
            }
        }
        assert_eq!(kinds, ["ended", "restarting", "starting", "started"]);
    }
    // At most one part for each 50 ms, after the first one.
    assert!(page.parts.len() <= 3 && begin.elapsed() < SECOND / 5, "{:?}", page.parts);
}

/// Enough processes for a picture that is sent in many parts.
const MANY: usize = 5_000;

/// A tree of many tasks, of which one has failed.
async fn many(rt: &Runtime) -> SupervisorRef {
    let mut app = Supervisor::one_for_one().named("app").unlimited_restarts();
    for number in 0..MANY {
        app = app.child(ChildSpec::task(format!("<{number}>"), |_| pending()));
    }
    let tree = app.child(idle("job")).start(rt).await.unwrap();
    rt.kill(rt.whereis("job").unwrap());
    settled().await;
    tree
}

#[tokio::test(start_paused = true)]
async fn a_long_picture_arrives_in_parts_between_which_other_tasks_run() {
    let rt = Runtime::with_mailbox_depth();
    let tree = many(&rt).await;
    let turns = Arc::new(AtomicUsize::new(0));
    let counted = turns.clone();
    let counter = tokio::spawn(async move {
        loop {
            counted.fetch_add(1, Ordering::Relaxed);
            tokio::task::yield_now().await;
        }
    });
    let mut page = Page::open(&observer::router(&tree)).await;
    page.next().await.unwrap();
    counter.abort();
    // A picture is read in some 26 slices, and its JSON is made in 156 pieces.
    let turns = turns.load(Ordering::Relaxed);
    assert!(turns > 150, "another task had {turns} turns");
    assert!(page.parts.len() > 20 && page.parts.iter().all(|part| *part < 64 << 10));
}

#[tokio::test(start_paused = true)]
async fn a_long_picture_and_a_long_sample_have_the_values_of_a_plain_reader() {
    let rt = Runtime::with_mailbox_depth();
    let tree = many(&rt).await;
    let mut page = Page::open(&observer::router(&tree)).await;
    let mut picture = page.next().await.unwrap();
    let mut observation = tree.observe().unwrap().sample_every(SECOND);
    let Some(plain) = observation.next().await else { panic!("no picture") };
    let mut plain: serde_json::Value = serde_json::from_str(&plain.to_json()).unwrap();
    for node in picture["nodes"].as_array().unwrap() {
        let pid = Pid::from_raw(node["pid"].as_u64().unwrap());
        rt.send(pid, b"to do".to_vec());
    }
    let mut sample = page.next().await.unwrap();
    let plain_sample = loop {
        let item = observation.next().await.unwrap();
        if matches!(item, Observed::Sample(_)) {
            break item;
        }
    };
    let mut plain_sample: serde_json::Value =
        serde_json::from_str(&plain_sample.to_json()).unwrap();
    assert_eq!(sample["processes"].as_array().unwrap().len(), MANY + 1);
    for item in [&mut picture, &mut plain, &mut sample, &mut plain_sample] {
        without_times(item);
    }
    assert!(picture == plain, "the pieces of a picture are another value");
    assert!(sample == plain_sample, "the pieces of a sample are another value");
}

/// Removes the times, which differ from reader to reader.
fn without_times(item: &mut serde_json::Value) {
    item["time_ms"].take();
    item["nodes"].as_array_mut().into_iter().flatten().for_each(|node| {
        node["started_ms"].take();
        node["history"].as_array_mut().into_iter().flatten().for_each(|run| {
            run["started_ms"].take();
            run["ended_ms"].take();
        });
    });
}

#[tokio::test(start_paused = true)]
async fn changes_are_followed_by_a_picture_within_seconds() {
    let rt = Runtime::new();
    let tree = app(&rt).await;
    let mut page = Page::open(&observer::router(&tree)).await;
    page.next().await.unwrap();
    rt.kill(rt.whereis("job").unwrap());
    let pictured = async { while page.next().await.unwrap()["type"] != "picture" {} };
    timeout(7 * SECOND, pictured).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_request_is_answered_for_addresses_localhost_and_allowed_hosts_only() {
    let rt = Runtime::new();
    let tree = app(&rt).await;
    let router = Observer::new().allow_host("Ops.Example.com").router(&tree);
    let allowed = [
        "127.0.0.1",
        "127.0.0.1:80",
        "[::1]",
        "[::1]:8090",
        "localhost",
        "LocalHost:1",
        "10.0.0.7:80",
        "ops.example.com",
        "OPS.example.com:443",
    ];
    for host in allowed {
        let response = send(&router, "/", &[("host", host)]).await;
        assert_eq!(response.status(), StatusCode::OK, "{host}");
    }
    let refused = [
        "evil.example",
        "evil.example:80",
        "127.0.0.1.evil.example",
        "localhost.evil.example",
        "",
        "localhost:80:80",
        "evil@localhost",
        "ops.example.com.evil.example",
        "127.0.0.1@evil.example",
        "localhost:x",
    ];
    for host in refused {
        for path in ["/", "/app/main.js", "/style.css", "/events", "/process/1"] {
            let response = send(&router, path, &[("host", host)]).await;
            assert_eq!(response.status(), StatusCode::FORBIDDEN, "{host} {path}");
        }
    }
    assert_eq!(send(&router, "/", &[]).await.status(), StatusCode::FORBIDDEN);
    let twice = [("host", "localhost"), ("host", "evil.example")];
    assert_eq!(send(&router, "/", &twice).await.status(), StatusCode::FORBIDDEN);
}

#[tokio::test(start_paused = true)]
async fn a_request_of_another_site_is_refused() {
    let rt = Runtime::new();
    let tree = app(&rt).await;
    let router = observer::router(&tree);
    let job = format!("/process/{}", rt.whereis("job").unwrap().raw());
    let status = async |headers: &[(&str, &str)]| {
        let headers = [&[("host", "localhost:80")], headers].concat();
        send(&router, &job, &headers).await.status()
    };
    assert_eq!(status(&[("origin", "http://localhost:80")]).await, StatusCode::OK);
    assert_eq!(status(&[("sec-fetch-site", "same-origin")]).await, StatusCode::OK);
    assert_eq!(status(&[("sec-fetch-site", "none")]).await, StatusCode::OK);
    for origin in ["http://evil.example", "null", "http://localhost", "http://localhost:81"] {
        assert_eq!(status(&[("origin", origin)]).await, StatusCode::FORBIDDEN, "{origin}");
    }
    for site in ["cross-site", "same-site"] {
        assert_eq!(status(&[("sec-fetch-site", site)]).await, StatusCode::FORBIDDEN, "{site}");
    }
    let linked = [("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "navigate")];
    assert_eq!(status(&linked).await, StatusCode::OK);
}

#[tokio::test(start_paused = true)]
async fn each_answer_forbids_framing_foreign_content_and_caching() {
    let rt = Runtime::new();
    let tree = app(&rt).await;
    let router = observer::router(&tree);
    let mut answers = Vec::new();
    for path in
        ["/", "/app/main.js", "/style.css", "/events", "/process/1", "/process/99", "/process/x"]
    {
        answers.push((path, get(&router, path).await));
    }
    answers.push(("refused", send(&router, "/", &[("host", "evil.example")]).await));
    for (path, answer) in answers {
        let headers = answer.headers();
        let policy = header(headers, "content-security-policy");
        assert!(policy.contains("default-src 'self'"), "{path}: {policy}");
        assert!(policy.contains("frame-ancestors 'none'"), "{path}: {policy}");
        assert!(!policy.contains("unsafe"), "{path}: {policy}");
        assert_eq!(header(headers, "x-content-type-options"), "nosniff", "{path}");
        assert_eq!(header(headers, "x-frame-options"), "DENY", "{path}");
        assert_eq!(header(headers, "referrer-policy"), "no-referrer", "{path}");
        assert_eq!(header(headers, "cache-control"), "no-store", "{path}");
        assert!(headers.keys().all(|name| !name.as_str().starts_with("access-control")), "{path}");
    }
}

#[tokio::test(start_paused = true)]
async fn no_route_changes_anything() {
    let rt = Runtime::new();
    let tree = app(&rt).await;
    let router = observer::router(&tree);
    for path in ["/", "/app/main.js", "/style.css", "/events", "/process/1"] {
        for method in ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"] {
            let request = Request::builder().method(method).uri(path).header("host", "localhost");
            let request = request.body(Body::empty()).unwrap();
            let status = router.clone().oneshot(request).await.unwrap().status();
            assert_eq!(status, StatusCode::METHOD_NOT_ALLOWED, "{method} {path}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_page_refers_to_its_routes_wherever_it_is_mounted() {
    let rt = Runtime::new();
    let tree = app(&rt).await;
    let at_root = observer::router(&tree);
    assert!(text(get(&at_root, "/").await).await.contains("src=\"app/main.js\""));
    let nested = Router::new().nest("/ops/observer", observer::router(&tree));
    let page = text(get(&nested, "/ops/observer").await).await;
    assert!(page.contains("src=\"./observer/app/main.js\""), "{page}");
    assert_eq!(get(&nested, "/ops/observer/app/main.js").await.status(), StatusCode::OK);
    assert_eq!(get(&nested, "/ops/observer/events").await.status(), StatusCode::OK);
    let hostile = Router::new().nest("/{any}", observer::router(&tree));
    let page = text(get(&hostile, "/%22%3E'\"onload=x").await).await;
    assert!(page.contains("src=\"./%22%3Eonload=x/app/main.js\""), "{page}");
}

#[tokio::test(start_paused = true)]
async fn the_page_and_its_script_insert_no_html_and_load_nothing_from_elsewhere() {
    let rt = Runtime::new();
    let tree = app(&rt).await;
    let router = observer::router(&tree);
    let mut paths = vec!["/".to_owned(), "/style.css".to_owned(), "/app/main.js".to_owned()];
    let mut next = 0;
    while let Some(path) = paths.get(next).cloned() {
        next += 1;
        let answer = get(&router, &path).await;
        assert_eq!(answer.status(), StatusCode::OK, "{path}");
        let asset = text(answer).await;
        for import in asset.split("from \"./").skip(1) {
            let module = format!("/app/{}", import.split('"').next().unwrap());
            if !paths.contains(&module) {
                paths.push(module);
            }
        }
        let forbidden = [
            "innerHTML",
            "outerHTML",
            "insertAdjacentHTML",
            "document.write",
            "eval(",
            "new Function",
            "http://",
            "https://",
            "@import",
            "style=\"",
            "onclick=\"",
        ];
        for word in forbidden {
            assert!(!asset.contains(word), "{path} contains {word}");
        }
    }
    assert!(paths.len() > 10, "the imports were not found: {paths:?}");
}

#[tokio::test(start_paused = true)]
async fn the_details_of_a_process_are_there_while_it_is_alive() {
    let rt = Runtime::new();
    let tree = app(&rt).await;
    let router = observer::router(&tree);
    let job = rt.whereis("job").unwrap();
    let answer = text(get(&router, &format!("/process/{}", job.raw())).await).await;
    let detail: serde_json::Value = serde_json::from_str(&answer).unwrap();
    assert_eq!((&detail["type"], &detail["path"]), (&"process".into(), &"app/job".into()));
    rt.kill(job);
    settled().await;
    for path in [format!("/process/{}", job.raw()), "/process/x".into(), "/process/-1".into()] {
        assert_eq!(get(&router, &path).await.status(), StatusCode::NOT_FOUND, "{path}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_page_that_does_not_read_is_dropped_at_its_bound_of_bytes() {
    let rt = Runtime::new();
    let long = "x".repeat(20_000);
    let child = ChildSpec::task(long, |_| pending()).named("job");
    let app = Supervisor::one_for_one().named("app").unlimited_restarts().child(child);
    let tree = app.start(&rt).await.unwrap();
    let router = observer::router(&tree);
    let response = get(&router, "/events").await;
    // Each restart is four changes of 20 kB.
    for _ in 0..100 {
        rt.kill(rt.whereis("job").unwrap());
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let mut body = response.into_body().into_data_stream();
    assert!(body.next().await.unwrap().is_err());
    assert!(body.next().await.is_none());
    // A page that reads gets all of them.
    let mut page = Page::open(&router).await;
    page.next().await.unwrap();
    for _ in 0..100 {
        rt.kill(rt.whereis("job").unwrap());
        while page.next().await.unwrap()["change"] != "started" {}
    }
}

#[tokio::test(start_paused = true)]
async fn at_most_32_pages_are_open_and_a_closed_one_makes_room() {
    let rt = Runtime::new();
    let tree = app(&rt).await;
    let router = observer::router(&tree);
    let mut pages = Vec::new();
    for _ in 0..32 {
        pages.push(Page::open(&router).await);
    }
    assert_eq!(get(&router, "/events").await.status(), StatusCode::SERVICE_UNAVAILABLE);
    pages.pop();
    settled().await;
    pages.push(Page::open(&router).await);
}

#[tokio::test(start_paused = true)]
async fn the_events_of_a_tree_that_has_ended_are_unavailable() {
    let rt = Runtime::new();
    let tree = app(&rt).await;
    let router = observer::router(&tree);
    tree.stop().await.unwrap();
    assert_eq!(get(&router, "/events").await.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(get(&router, "/").await.status(), StatusCode::OK);
}

/// Binds a free port on loopback.
async fn port() -> (Keep<TcpListener>, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (Keep::of(listener), address)
}

/// A page over a socket.
struct Client {
    socket: TcpStream,
    read: String,
}

impl Client {
    /// Opens the events, and reads until this text.
    async fn open(address: SocketAddr, until: &str) -> Client {
        let mut socket = TcpStream::connect(address).await.unwrap();
        let request = format!("GET /events HTTP/1.1\r\nhost: {address}\r\n\r\n");
        socket.write_all(request.as_bytes()).await.unwrap();
        let mut client = Client { socket, read: String::new() };
        client.read_until(until).await;
        client
    }

    /// Reads until this text, and drops what was read up to its end.
    async fn read_until(&mut self, until: &str) {
        while !self.read.contains(until) {
            let mut part = [0; 4096];
            let count = self.socket.read(&mut part).await.unwrap();
            assert_ne!(count, 0, "the connection was closed before {until}");
            self.read.push_str(std::str::from_utf8(&part[..count]).unwrap());
        }
        let end = self.read.find(until).unwrap() + until.len();
        self.read.drain(..end);
    }
}

#[tokio::test]
async fn an_observer_as_a_child_serves_the_tree_that_it_is_in() {
    let rt = Runtime::new();
    let (port, address) = port().await;
    let app = Supervisor::one_for_one().named("app").child(Observer::new().serve_on(port));
    let tree = app.child(idle("job")).start(&rt).await.unwrap();
    let mut client = Client::open(address, "app/job").await;
    rt.kill(rt.whereis("job").unwrap());
    client.read_until("\"change\":\"started\"").await;
    let stopped = tokio::spawn(async move { tree.stop().await });
    // The page is the first child, and so the last that stops.
    client.read_until("\"change\":\"ending\"").await;
    client.read_until("0\r\n\r\n").await; // the end of the events
    stopped.await.unwrap().unwrap();
}

#[tokio::test]
async fn the_port_of_an_observer_stays_open_while_it_is_restarted() {
    let rt = Runtime::new();
    let (port, address) = port().await;
    let app = Supervisor::one_for_one().named("app");
    let tree = app.child(Observer::new().serve_on(port).named("page")).start(&rt).await.unwrap();
    for _ in 0..3 {
        rt.kill(rt.whereis("page").unwrap());
        Client::open(address, "app/observer").await;
    }
    tree.stop().await.unwrap();
}

#[tokio::test]
async fn an_observer_with_a_page_that_does_not_read_stops_within_its_time() {
    let rt = Runtime::new();
    let (port, address) = port().await;
    let child = Observer::new().serve_on(port).shutdown(Shutdown::Timeout(20 * SECOND));
    let tree = Supervisor::one_for_one().named("app").child(child).start(&rt).await.unwrap();
    let _client = Client::open(address, "picture").await;
    timeout(15 * SECOND, tree.stop()).await.unwrap().unwrap();
}

#[tokio::test]
async fn an_address_that_is_not_loopback_takes_an_explicit_word() {
    let rt = Runtime::new();
    let every = SocketAddr::from(([0, 0, 0, 0], 0));
    let refused = Supervisor::one_for_one().child(observer::serve(every)).start(&rt).await;
    let error = refused.unwrap_err().to_string();
    assert!(error.contains("0.0.0.0:0") && error.contains("allow_network"), "{error}");
    let given = Keep::of(TcpListener::bind(every).await.unwrap());
    let child = Observer::new().serve_on(given);
    let refused = Supervisor::one_for_one().child(child).start(&rt).await;
    assert!(refused.unwrap_err().to_string().contains("allow_network"));
    let allowed = Observer::new().allow_network().serve(every);
    let tree = Supervisor::one_for_one().child(allowed).start(&rt).await.unwrap();
    tree.stop().await.unwrap();
}
