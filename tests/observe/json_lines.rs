//! Events as lines of JSON: complete, in order, by the published schema, also after errors of the
//! writer.

use crate::support;

use std::collections::BTreeSet;
use std::future::pending;
use std::io::{self, Write};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use regrow::{
    ChildSpec, ControlAction, ControlRequest, DynamicSupervisor, EventHandler, EventHandlers,
    EventManager, Exhausted, ExitReason, FailurePolicy, GenServer, HandlerContext, Heartbeat,
    JsonLinesError, LifecycleEvent, Removal, Restart, Runtime, ServerContext, ServerRef, Shutdown,
    Supervisor, SupervisorRef, json_lines,
};
use serde_json::Value;
use support::settled;

const SECOND: Duration = Duration::from_secs(1);

/// What the writers of a test have written. The next writer fails after `fails_after` bytes.
#[derive(Clone, Default)]
struct File(Arc<Mutex<Content>>);

#[derive(Default)]
struct Content {
    bytes: Vec<u8>,
    flushed: usize,
    opened: usize,
    fails_after: Option<usize>,
    open_fails: bool,
}

impl File {
    fn with<R>(&self, act: impl FnOnce(&mut Content) -> R) -> R {
        act(&mut self.0.lock().expect("no holder of the lock panics"))
    }

    fn child(&self) -> ChildSpec {
        let file = self.clone();
        json_lines("sink", move || {
            file.with(|content| {
                content.opened += 1;
                if std::mem::take(&mut content.open_fails) {
                    return Err(io::Error::other("no such disk"));
                }
                Ok(())
            })?;
            Ok(file.clone())
        })
    }

    fn text(&self) -> String {
        self.with(|content| String::from_utf8(content.bytes.clone()).unwrap())
    }

    fn lines(&self) -> Vec<Value> {
        let text = self.text();
        text.lines().map(|line| serde_json::from_str(line).expect(line)).collect()
    }

    /// Waits until a line has this text.
    async fn has(&self, text: &str) {
        while !self.text().contains(text) {
            settled().await;
        }
    }
}

impl Write for File {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.with(|content| {
            let taken = match content.fails_after {
                Some(0) => {
                    content.fails_after = None;
                    return Err(io::Error::other("disk full"));
                }
                Some(left) => left.min(bytes.len()),
                None => bytes.len(),
            };
            content.fails_after = content.fails_after.map(|left| left - taken);
            content.bytes.extend_from_slice(&bytes[..taken]);
            Ok(taken)
        })
    }

    fn flush(&mut self) -> io::Result<()> {
        self.with(|content| content.flushed = content.bytes.len());
        Ok(())
    }
}

/// Adds the keys of an object and of all objects in it.
fn keys(value: &Value, into: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                into.insert(key.clone());
                keys(value, into);
            }
        }
        Value::Array(values) => values.iter().for_each(|value| keys(value, into)),
        _ => {}
    }
}

fn task(id: &str) -> ChildSpec {
    ChildSpec::task(id, |mut ctx| async move {
        ctx.recv().await;
        Err(std::fmt::Error)?
    })
}

/// Lets every kind of event happen, and returns the lines.
async fn every_event() -> Vec<Value> {
    let (rt, file) = (Runtime::new(), File::default());
    let day = Duration::from_secs(86_400);
    let nested = Supervisor::one_for_one().with_id("nested").intensity(0, day);
    let nested = ChildSpec::from(nested.child(task("last").named("last")));
    let tree = Supervisor::one_for_one()
        .child(file.child())
        .child(task("flaky").named("flaky"))
        .child(task("given up").named("given up").restart_budget(0, day, Exhausted::GiveUp))
        .child(nested.restart(Restart::Temporary))
        .child(DynamicSupervisor::new().named("jobs"))
        .start(&rt)
        .await
        .unwrap();
    for name in ["flaky", "given up", "last"] {
        assert!(rt.send_named(name, b"crash".to_vec()) && rt.send_named(name, b"two".to_vec()));
    }
    settled().await;
    let failing = ChildSpec::new("failing", Failing);
    assert!(tree.start_child(failing).await.is_err());
    let stubborn = ChildSpec::task("stubborn", |mut ctx| async move {
        ctx.cancellation_token();
        std::future::pending().await
    });
    tree.start_child(stubborn.shutdown(Shutdown::Timeout(Duration::ZERO))).await.unwrap();
    settled().await;
    tree.terminate_child("stubborn").await.unwrap();
    settled().await;
    hand_a_queue_on(&rt, &tree).await;
    fail_and_go_on(&rt, &tree).await;
    hang(&rt, &tree, &file).await;
    fail_a_handler(&rt).await;
    request_what_is_refused(&rt).await;
    settled().await; // no event of before is among those that are missed
    for n in 0..2_000 {
        rt.log_spawn(regrow::Pid::from_raw(n), "crowd", "");
    }
    tree.stop().await.unwrap();
    file.lines()
}

async fn request_what_is_refused(rt: &Runtime) {
    let request = ControlRequest::new(ControlAction::Kill).path("none");
    rt.control(request).await.unwrap_err();
}

/// Lets a child crash that hands its queue on to its successor.
async fn hand_a_queue_on(rt: &Runtime, tree: &SupervisorRef) {
    tree.start_child(Queued::child(()).named("queued").keep_queue()).await.unwrap();
    let queued: ServerRef<Queued> = rt.server("queued");
    assert!(queued.cast(true) && queued.cast(false));
    settled().await;
}

/// Lets the handler of a server fail that goes on.
async fn fail_and_go_on(rt: &Runtime, tree: &SupervisorRef) {
    let child = Queued::child(()).with_id("resumed").named("resumed");
    tree.start_child(child.on_failure(|_| FailurePolicy::Resume)).await.unwrap();
    assert!(rt.server::<Queued>("resumed").cast(true));
    settled().await;
}

/// Lets a child be late with its heartbeat, and a process hold its thread.
async fn hang(rt: &Runtime, tree: &SupervisorRef, file: &File) {
    let hangs = ChildSpec::task("hangs", |_| pending());
    tree.start_child(hangs.heartbeat(Heartbeat::every(SECOND))).await.unwrap();
    file.has("unresponsive").await;
    hold_the_thread(rt);
    file.has("long_poll_ended").await;
    rt.watch_polls(None).unwrap();
}

/// Lets a handler of an event manager fail.
async fn fail_a_handler(rt: &Runtime) {
    let manager = EventManager::start(rt, EventHandlers::new()).await.unwrap();
    manager.add_handler::<Fails>("always", ()).await.unwrap();
    manager.sync_notify(7).await.unwrap();
}

struct Fails;

impl EventHandler<u8> for Fails {
    type Args = ();
    type Call = ();
    type RemoveArg = ();
    type Output = ();

    async fn init((): (), _: &mut HandlerContext<u8>) -> regrow::Result<Self> {
        Ok(Fails)
    }

    async fn handle_event(&mut self, _: &u8, _: &mut HandlerContext<u8>) -> regrow::Result {
        Err(std::fmt::Error)?
    }

    async fn terminate(self, _: Removal<()>) {}
}

struct Queued;

impl GenServer for Queued {
    type Args = ();
    type Call = ();
    type Cast = bool;

    async fn init((): (), _: &mut ServerContext<Self>) -> regrow::Result<Self> {
        Ok(Queued)
    }

    async fn handle_cast(&mut self, crash: bool, _: &mut ServerContext<Self>) -> regrow::Result {
        if crash { Err(std::fmt::Error)? } else { Ok(()) }
    }
}

/// Starts a process that does not yield until another thread has received the report of it.
fn hold_the_thread(rt: &Runtime) {
    rt.watch_polls(Duration::from_millis(50)).unwrap();
    let (mut events, (release, released)) = (rt.events(), mpsc::channel());
    std::thread::spawn(move || {
        let tokio = tokio::runtime::Builder::new_current_thread().build().unwrap();
        while !matches!(tokio.block_on(events.next()), Some(LifecycleEvent::LongPoll { .. })) {}
        release.send(()).unwrap();
    });
    rt.spawn(|_| async move { released.recv().unwrap() });
}

struct Failing;

#[async_trait::async_trait]
impl regrow::StartChild for Failing {
    async fn start(
        &self,
        _: &mut regrow::StartContext,
    ) -> Result<regrow::Started, regrow::StartError> {
        Err(regrow::StartError::Failed(ExitReason::crashed("no luck")))
    }
}

/// Each field of each line is in the section of its event, or in the section for all lines, of the
/// chapter with the schema; and each event of the schema is one that happens.
#[tokio::test(start_paused = true)]
async fn every_field_of_every_line_is_documented() {
    let page = include_str!("../../book/src/json-lines.md");
    let section = |title: &str| {
        let start =
            page.find(&format!("## {title}\n")).unwrap_or_else(|| panic!("no section {title}"));
        let section = &page[start + 3..];
        &section[..section.find("\n## ").unwrap_or(section.len())]
    };
    let every = section("Every line");
    let mut seen = BTreeSet::new();
    for line in every_event().await {
        let event = line["event"].as_str().unwrap();
        seen.insert(event.to_owned());
        let mut fields = BTreeSet::new();
        keys(&line, &mut fields);
        let own = section(&format!("`{event}`"));
        for field in fields {
            let documented = format!("`{field}`");
            assert!(every.contains(&documented) || own.contains(&documented), "{event}: {field}");
        }
        assert_eq!(line["version"], 1);
        assert!(line["at_ms"].as_u64().is_some_and(|at| at > 1_600_000_000_000));
    }
    let documented: BTreeSet<String> = page
        .lines()
        .filter_map(|line| Some(line.strip_prefix("## `")?.strip_suffix('`')?.to_owned()))
        .collect();
    assert_eq!(seen, documented);
}

/// A line says how many events were missed, and none is counted twice.
#[tokio::test(start_paused = true)]
async fn missed_events_are_counted_in_a_line_of_their_own() {
    let lines = every_event().await;
    let crowd = lines.iter().filter(|line| line["label"] == "crowd").count() as u64;
    let missed: u64 = lines.iter().filter_map(|line| line["missed"].as_u64()).sum();
    assert!(missed > 900, "{missed}");
    // The listener also has the events of the stop after the crowd.
    assert_eq!(crowd + missed, 2_000);
}

/// A crash is three lines in order, and the report has the values.
#[tokio::test(start_paused = true)]
async fn the_lines_of_a_crash_are_in_order_and_have_its_values() {
    let lines = every_event().await;
    let of_flaky = |line: &&Value| line["label"] == "flaky" || line["child"] == "flaky";
    let events: Vec<_> = lines.iter().filter(of_flaky).collect();
    let names: Vec<_> = events.iter().map(|line| line["event"].as_str().unwrap()).collect();
    let expected =
        ["spawned", "left_unhandled", "exited", "crash_report", "restarting", "spawned", "exited"];
    assert_eq!(names, expected);
    let report = events[3];
    assert_eq!((&report["cause"], &report["reason_kind"]), (&"own".into(), &"error".into()));
    assert_eq!((&report["child"]["incarnation"], &report["mailbox_depth"]), (&1.into(), &1.into()));
    assert!(report["location"]["file"].as_str().unwrap().ends_with("json_lines.rs"));
    assert_eq!(events[4]["budget_left"], 2);
}

/// Texts can't break a line, and are complete.
#[tokio::test(start_paused = true)]
async fn hostile_texts_break_no_line_and_are_complete() {
    let (rt, file) = (Runtime::new(), File::default());
    let hostile = "\"}\n{\"event\":\"forged\"}\r\u{1b}]0;title\u{7}\u{202e}<script>\u{2028}";
    let job = ChildSpec::task(hostile, move |_| async move { panic!("{hostile}") });
    let tree = Supervisor::one_for_one().with_id(hostile).child(file.child());
    let tree = tree.child(job.restart(Restart::Temporary)).start(&rt).await.unwrap();
    file.has("crash_report").await;
    tree.stop().await.unwrap();
    let is_hostile = |c: char| (c.is_control() && c != '\n') || "\u{202e}\u{2028}<".contains(c);
    assert!(!file.text().contains(is_hostile), "{}", file.text());
    let lines = file.lines();
    assert!(lines.iter().all(|line| line["event"] != "forged"));
    let report = lines.iter().find(|line| line["event"] == "crash_report").unwrap();
    assert_eq!((&report["label"], &report["message"]), (&hostile.into(), &hostile.into()));
}

/// The sink is stopped last. It has written and flushed the ends of the children after it.
#[tokio::test(start_paused = true)]
async fn a_stop_writes_the_ends_of_the_children_after_the_sink_and_flushes() {
    let (rt, file) = (Runtime::new(), File::default());
    let idle = |id: &str| ChildSpec::task(id, |_| std::future::pending());
    let tree = Supervisor::one_for_one().child(file.child()).child(idle("a")).child(idle("b"));
    tree.start(&rt).await.unwrap().stop().await.unwrap();
    let lines = file.lines();
    let of = |line: &Value| format!("{} {}", line["event"], line["label"]).replace('"', "");
    let lines: Vec<_> = lines.iter().map(of).filter(|line| !line.contains("Supervisor")).collect();
    assert_eq!(lines, ["spawned sink", "spawned a", "spawned b", "exited b", "exited a"]);
    file.with(|content| assert_eq!((content.flushed, content.opened), (content.bytes.len(), 1)));
    assert!(!is_heard(&rt).await, "the stopped sink listens no more");
}

/// Whether a listener makes this runtime count the reports of its crashes.
async fn is_heard(rt: &Runtime) -> bool {
    rt.limit_crash_reports(0, Duration::from_secs(1));
    rt.spawn(|_| async { panic!("boom") }).join().await;
    rt.left_out_crash_reports() > 0
}

/// An error in the middle of a line: the supervisor restarts the sink, the cut line is alone on its
/// line, the lost lines are counted, and no event after that is missing.
#[tokio::test(start_paused = true)]
async fn a_write_error_restarts_the_sink_which_counts_the_lost_lines_and_continues() {
    let (rt, file) = (Runtime::new(), File::default());
    let tree = Supervisor::one_for_one().child(file.child());
    let tree = tree.child(task("flaky").named("flaky")).start(&rt).await.unwrap();
    file.has("flaky").await;
    let before = file.text();
    file.with(|content| content.fails_after = Some(10));
    let mut listener = rt.events();
    assert!(rt.send_named("flaky", b"crash".to_vec()));
    file.has("disk full").await;
    tree.stop().await.unwrap();

    let text = file.text();
    let after = text.strip_prefix(&before).unwrap();
    let (torn, after) = after.split_once('\n').unwrap();
    assert_eq!(torn, "{\"version\"");
    let lines: Vec<Value> = after.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines[0]["event"], "missed");
    let missed = lines[0]["missed"].as_u64().unwrap();
    let mut all = 0;
    while let Ok(Some(event)) = tokio::time::timeout(Duration::ZERO, listener.next()).await {
        // The sink cannot write its own stop, nor that of its supervisor.
        let is_too_late = matches!(&event, LifecycleEvent::Exited { label, reason, .. }
            if label.as_deref() != Some("flaky") && *reason == ExitReason::Shutdown);
        all += u64::from(!is_too_late);
    }
    assert_eq!(missed + lines.len() as u64 - 1, all, "{text}");
    file.with(|content| assert_eq!(content.opened, 2));
}

/// A writer that cannot be opened is a crash of the sink, with the error, and the next incarnation has
/// all events.
#[tokio::test(start_paused = true)]
async fn a_writer_that_cannot_be_opened_is_a_crash_and_no_event_is_missed() {
    let (rt, file) = (Runtime::new(), File::default());
    file.with(|content| content.open_fails = true);
    let mut events = rt.events();
    let tree = Supervisor::one_for_one().child(file.child()).start(&rt).await.unwrap();
    let report = loop {
        if let Some(LifecycleEvent::CrashReport(report)) = events.next().await {
            break report;
        }
    };
    let error: &JsonLinesError = report.reason.crash().unwrap().downcast_ref().unwrap();
    assert!(matches!(error, JsonLinesError::Open(_)));
    assert!(report.reason.crash().unwrap().location().is_none());
    file.has("restarting").await;
    tree.stop().await.unwrap();
    let lines = file.lines();
    assert_eq!((&lines[0]["event"], &lines[0]["label"]), (&"spawned".into(), &"sink".into()));
    assert!(lines.iter().all(|line| line["event"] != "missed"));
}
