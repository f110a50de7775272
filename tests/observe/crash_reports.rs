//! Crash reports: which ends are reported, and what a report says.

use crate::support;

use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use regrow::{
    Callback, ChildSpec, CrashCause, CrashReport, DynamicSupervisor, Events, ExitReason, GenServer,
    LifecycleEvent, LogLevel, MessageKind, Name, Restart, Result, Runtime, ServerContext, Shutdown,
    StartError, Supervisor,
};
use support::log::{Broken, Log};
use support::settled;

/// A server that fails in the way that its message names.
struct Room;

#[derive(Debug, Clone)]
enum Note {
    Keep,
    Panic,
    Fail,
}

#[derive(Debug)]
struct NoChalk(std::num::ParseIntError);

impl fmt::Display for NoChalk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no chalk")
    }
}

impl Error for NoChalk {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.0)
    }
}

impl GenServer for Room {
    type Args = bool;
    type Call = ();
    type Cast = Note;

    async fn init(opens: bool, _: &mut ServerContext<Self>) -> Result<Self> {
        if !opens {
            Err("seven".parse::<u8>().map_err(NoChalk).unwrap_err())?;
        }
        Ok(Room)
    }

    async fn handle_cast(&mut self, note: Note, _: &mut ServerContext<Self>) -> Result {
        match note {
            Note::Keep => Ok(()),
            Note::Panic => panic!("wet\nchalk"),
            Note::Fail => Err("seven".parse::<u8>().map_err(NoChalk).unwrap_err())?,
        }
    }
}

const LOBBY: Name<Room> = Name::new("lobby");

/// Returns the next crash report.
async fn next_report(events: &mut Events) -> Arc<CrashReport> {
    loop {
        if let LifecycleEvent::CrashReport(report) = events.next().await.unwrap() {
            return report;
        }
    }
}

/// Returns the reports of all events until now.
async fn reports(mut events: Events, rt: &Runtime) -> Vec<Arc<CrashReport>> {
    settled().await;
    rt.log_spawn(regrow::Pid::OUTSIDE, "the last event", "");
    let mut reports = Vec::new();
    loop {
        match events.next().await.unwrap() {
            LifecycleEvent::CrashReport(report) => reports.push(report),
            LifecycleEvent::Spawned { label, .. } if label == "the last event" => return reports,
            _ => {}
        }
    }
}

fn lobby() -> ChildSpec {
    Room::child(true).named(LOBBY).shutdown(Shutdown::Timeout(Duration::from_secs(2)))
}

/// Starts `chat`, with the supervisor `rooms`, with the child `lobby`.
async fn chat(rt: &Runtime, lobby: ChildSpec) -> regrow::SupervisorRef {
    let rooms = Supervisor::one_for_one().with_id("rooms").child(lobby);
    Supervisor::one_for_one().with_id("chat").child(rooms).start(rt).await.unwrap()
}

/// The text of a report, as a person reads it: what crashed and why first.
#[tokio::test(start_paused = true)]
async fn the_report_of_a_panic_in_a_handler_names_its_handler_life_and_place_in_the_tree() {
    let rt = Runtime::new();
    rt.track_handlers(true);
    let mut events = rt.events();
    let tree = chat(&rt, lobby().with_id("lobby")).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert!(rt.server(LOBBY).cast(Note::Fail));
    let first = next_report(&mut events).await;
    settled().await;
    for note in [Note::Panic, Note::Keep, Note::Keep] {
        assert!(rt.server(LOBBY).cast(note));
    }
    let second = next_report(&mut events).await;
    let location = first.reason.crash().unwrap().location().unwrap();
    let expected = format!(
        "chat/rooms/lobby #3 crashed: error: no chalk
  because   invalid digit found in string
  at        {location}
  in        handle_cast of a observe::crash_reports::Note for 0.0ns
  life      incarnation 1, up 2.0s
  child     permanent, 2s to stop, 3 restarts in 5s allowed
  mailbox   0 unhandled
  links     #2
  below     rooms #2, chat #1"
    );
    assert_eq!(support::from_one(&first), expected);
    assert!(location.file().ends_with("crash_reports.rs"));
    let expected = r"chat/rooms/lobby #4 crashed: panic: wet\nchalk
  in        handle_cast of a observe::crash_reports::Note for 0.0ns
  life      incarnation 2, up 1.0ms
  before    incarnation 1 ran for 2.0s: error: no chalk
  child     permanent, 2s to stop, 3 restarts in 5s allowed
  mailbox   2 unhandled
  links     #2
  below     rooms #2, chat #1";
    assert_eq!(support::from_one(&second), expected);
    tree.stop().await.unwrap();
}

/// The values of a report, with a budget and a backoff of the child's own. Handlers are not tracked,
/// and the handler is known nevertheless.
#[tokio::test(start_paused = true)]
async fn a_report_has_the_handler_without_tracking_and_the_own_rules_of_the_child() {
    let rt = Runtime::new();
    let mut events = rt.events();
    let backoff = regrow::Backoff::new().max(Duration::from_secs(9));
    let lobby = lobby().with_id("lobby").backoff(backoff);
    let lobby = lobby.restart_budget(7, Duration::from_secs(60), regrow::Exhausted::GiveUp);
    let _tree = chat(&rt, lobby).await;
    assert!(rt.server(LOBBY).cast(Note::Panic));
    let report = next_report(&mut events).await;
    let handling = report.handling.unwrap();
    assert_eq!((handling.callback, handling.kind), (Callback::HandleCast, Some(MessageKind::Cast)));
    assert!(handling.message_type.unwrap().ends_with("Note") && handling.elapsed.is_none());
    let child = report.child.as_ref().unwrap();
    assert_eq!((child.backoff, child.budget), (Some(backoff), Some((7, Duration::from_secs(60)))));
    assert_eq!(report.label.as_deref(), Some("lobby"));
    assert_eq!(report.name.as_deref(), Some("lobby"));
    assert!(report.to_string().contains("restarted after 1s to 9s, 7 restarts in 60s allowed"));
}

/// A failed first start, under a dynamic supervisor: no earlier incarnation, and `init`.
#[tokio::test(start_paused = true)]
async fn the_report_of_a_failed_init_names_init() {
    let rt = Runtime::new();
    let mut events = rt.events();
    let rooms = DynamicSupervisor::new().with_id("rooms").start(&rt).await.unwrap();
    let failed = rooms.start_child(Room::child(false).with_id("lobby")).await;
    assert!(matches!(failed, Err(StartError::Failed(_))));
    let report = next_report(&mut events).await;
    assert_eq!((&*report.path, report.cause), ("rooms/lobby", CrashCause::Own));
    assert_eq!(report.handling.unwrap().callback, Callback::Init);
    assert_eq!(report.child.as_ref().unwrap().incarnation, 1);
    assert!(report.reason.crash().unwrap().downcast_ref::<NoChalk>().is_some());
}

/// A kill of a child is reported, with what the child was handling if that is tracked.
#[tokio::test(start_paused = true)]
async fn a_killed_child_is_reported_as_ended_from_outside() {
    let rt = Runtime::new();
    let mut events = rt.events();
    let job = ChildSpec::task("job", |_| std::future::pending()).named("job");
    let tree = Supervisor::one_for_one().with_id("app").child(job).start(&rt).await.unwrap();
    support::killed(&rt, rt.whereis("job").unwrap()).await;
    let report = next_report(&mut events).await;
    assert_eq!((&*report.path, report.cause), ("app/job", CrashCause::Outside));
    assert_eq!((&report.reason, report.handling), (&ExitReason::Killed, None));
    assert!(
        support::from_one(report).starts_with("app/job #2 was ended from outside: killed\n  life ")
    );
    tree.stop().await.unwrap();
}

/// A child that is killed before it is ready is ended from outside.
#[tokio::test(start_paused = true)]
async fn a_child_that_is_killed_before_it_is_ready_is_reported() {
    let rt = Runtime::new();
    let mut events = rt.events();
    let job = ChildSpec::task("job", |_| std::future::pending()).named("job");
    let tree = Supervisor::one_for_one().with_id("app").start(&rt).await.unwrap();
    let starting = job.ready_within(Duration::from_secs(9));
    let start = tokio::spawn({
        let tree = tree.clone();
        async move { tree.start_child(starting).await }
    });
    settled().await;
    support::killed(&rt, rt.whereis("job").unwrap()).await;
    let report = next_report(&mut events).await;
    assert_eq!((&*report.path, report.cause), ("app/job", CrashCause::Outside));
    assert!(start.await.unwrap().is_err());
    assert!(tree.stop().await.is_ok());
}

/// The report of a tracked server has the time of a failing `init` or `terminate`.
#[tokio::test(start_paused = true)]
async fn the_report_of_a_tracked_server_names_the_callback_that_failed_and_its_time() {
    struct Late;
    impl GenServer for Late {
        type Args = bool;
        type Call = ();
        type Cast = ();
        async fn init(fails: bool, _: &mut ServerContext<Self>) -> Result<Self> {
            tokio::time::sleep(Duration::from_secs(1)).await;
            if fails { Err(ExitReason::crashed("init")) } else { Ok(Late) }
        }
        async fn terminate(&mut self, _: &ExitReason) {
            tokio::time::sleep(Duration::from_secs(2)).await;
            panic!("in terminate");
        }
    }
    let rt = Runtime::new();
    rt.track_handlers(true);
    let mut events = rt.events();
    assert!(Late::start(&rt, true).await.is_err());
    let handling = next_report(&mut events).await.handling.unwrap();
    let elapsed = Duration::from_secs(1);
    assert_eq!((handling.callback, handling.elapsed), (Callback::Init, Some(elapsed)));
    let server = Late::start(&rt, false).await.unwrap();
    assert!(server.stop(ExitReason::Shutdown).await.is_err());
    let handling = next_report(&mut events).await.handling.unwrap();
    let elapsed = Duration::from_secs(2);
    assert_eq!((handling.callback, handling.elapsed), (Callback::Terminate, Some(elapsed)));
}

/// A plain process crashes, and a child that is linked to it ends with it. Each is reported once: the
/// first as the process that failed.
#[tokio::test(start_paused = true)]
async fn the_exit_of_a_linked_process_is_reported_as_its_own_crash_and_an_end_of_a_child_from_outside()
 {
    let rt = Runtime::new();
    let events = rt.events();
    let job = ChildSpec::task("job", |_| std::future::pending()).named("job");
    let _tree = Supervisor::one_for_one().with_id("app").child(job).start(&rt).await.unwrap();
    let job = rt.whereis("job").unwrap();
    let plain = rt.spawn_link(job, |_| async { panic!("boom") });
    let reports = reports(events, &rt).await;
    let [own, linked] = &reports[..] else { panic!("{reports:?}") };
    assert_eq!((own.pid, own.cause, &*own.path), (plain.pid(), CrashCause::Own, ""));
    assert_eq!((&own.links[..], own.child.is_none()), (&[job][..], true));
    assert_eq!((linked.pid, linked.cause), (job, CrashCause::Outside));
    assert_eq!(linked.reason, own.reason);
    assert!(own.to_string().starts_with(&format!("{} crashed: panic: boom\n", plain.pid())));
}

/// Clean ends, ends that a supervisor asked for, and those of processes without a supervisor that
/// others end, are no crashes.
#[tokio::test(start_paused = true)]
async fn ends_that_were_asked_for_are_not_reported() {
    let rt = Runtime::new();
    let events = rt.events();
    let stubborn = |id: &str| {
        let stubborn = ChildSpec::task(id, |mut ctx| async move {
            ctx.cancellation_token();
            std::future::pending().await
        });
        stubborn.shutdown(Shutdown::BrutalKill)
    };
    let rooms = DynamicSupervisor::new().with_id("rooms");
    let tree = Supervisor::one_for_all().child(stubborn("a")).child(stubborn("b")).child(rooms);
    let tree = tree.start(&rt).await.unwrap();
    tree.terminate_child("a").await.unwrap();
    tree.restart_child("a").await.unwrap();
    let starts = starts_that_fail_or_are_given_up(&rt).await;
    starts.stop().await.unwrap();
    let idle = support::idler(&rt);
    rt.set_label(idle.pid(), "idle");
    idle.kill();
    idle.join().await;
    tree.stop().await.unwrap();
    let tree = Supervisor::one_for_one().child(stubborn("a")).start(&rt).await.unwrap();
    let ended = tree.ended();
    rt.kill(tree.pid().unwrap());
    ended.await;
    let _tree = Supervisor::one_for_one().child(stubborn("a")).start(&rt).await.unwrap();
    rt.shutdown();
    assert_eq!(reports(events, &rt).await, []);
}

/// A server whose `init` never ends.
struct Slow;

impl GenServer for Slow {
    type Args = ();
    type Call = ();
    type Cast = ();

    async fn init((): (), _: &mut ServerContext<Self>) -> Result<Self> {
        std::future::pending().await
    }
}

/// Starts a task, and then hangs if it is a restart.
struct Hanging;

#[async_trait::async_trait]
impl regrow::StartChild for Hanging {
    async fn start(&self, ctx: &mut regrow::StartContext) -> Result<regrow::Started, StartError> {
        let started = ctx.task(async |mut ctx| {
            ctx.recv().await;
            Ok(())
        });
        let started = started.await?;
        match ctx.cause() {
            regrow::StartCause::First => Ok(started),
            _ => std::future::pending().await,
        }
    }
}

/// Lets a start of a server exceed its time, a child never be ready, a restart be cancelled while it
/// hangs, and the key of a server with a name be taken.
async fn starts_that_fail_or_are_given_up(rt: &Runtime) -> regrow::SupervisorRef {
    let tree = Supervisor::one_for_one().child(DynamicSupervisor::new().named("starts"));
    let tree = tree.start(rt).await.unwrap();
    let starts = regrow::DynamicSupervisorRef::named(rt, "starts");
    let second = Duration::from_secs(1);
    let slow = Slow::child(()).with_id("slow").init_timeout(second);
    assert!(starts.start_child(slow).await.is_err());
    let never_ready = ChildSpec::task("never ready", |_| std::future::pending());
    assert!(starts.start_child(never_ready.ready_within(second)).await.is_err());
    let hanging = ChildSpec::new("hanging", Hanging).named("hanging");
    let hanging = hanging.shutdown(Shutdown::Timeout(second));
    let child = starts.start_child(hanging).await.unwrap();
    assert!(rt.send_named("hanging", b"end".to_vec()));
    settled().await;
    starts.terminate_child(child).await.unwrap();
    let registry = regrow::Registry::<u32, ()>::unique(rt);
    for (name, is_free) in [("one", true), ("two", false)] {
        let room = Room::child(true).named(name).via(&registry, 7, ());
        assert_eq!(starts.start_child(room).await.is_ok(), is_free);
    }
    tree
}

/// A restart of a group: the child that crashed is reported, the children that its supervisor stops
/// are not.
#[tokio::test(start_paused = true)]
async fn of_a_group_that_restarts_only_the_crashed_child_is_reported() {
    let rt = Runtime::new();
    let events = rt.events();
    let idle = |id: &str| ChildSpec::task(id, |_| std::future::pending());
    let tree = Supervisor::one_for_all().child(idle("a")).child(lobby().with_id("b"));
    let _tree = tree.child(idle("c")).start(&rt).await.unwrap();
    assert!(rt.server(LOBBY).cast(Note::Fail));
    let reports = reports(events, &rt).await;
    assert_eq!(
        reports.iter().map(|report| report.label.as_deref()).collect::<Vec<_>>(),
        [Some("b")]
    );
}

/// A panic in `terminate` is the crash of the server, whatever ended the server before.
#[tokio::test(start_paused = true)]
async fn the_report_of_a_panic_in_terminate_names_terminate() {
    struct Clumsy;
    impl GenServer for Clumsy {
        type Args = ();
        type Call = ();
        type Cast = ();
        async fn init((): (), _: &mut ServerContext<Self>) -> Result<Self> {
            Ok(Clumsy)
        }
        async fn handle_cast(&mut self, (): (), _: &mut ServerContext<Self>) -> Result {
            panic!("in the handler")
        }
        async fn terminate(&mut self, _: &ExitReason) {
            tokio::time::sleep(Duration::from_secs(1)).await;
            panic!("in terminate")
        }
    }
    let rt = Runtime::new();
    let mut events = rt.events();
    let server = Clumsy::start(&rt, ()).await.unwrap();
    server.cast(());
    let report = next_report(&mut events).await;
    assert_eq!(report.reason.crash().unwrap().message(), "in terminate");
    assert_eq!(report.handling.unwrap().callback, Callback::Terminate);
}

/// The line of the log has the same facts, on one line each, whatever the texts are. The ERROR line
/// of the crash comes first.
#[tokio::test(start_paused = true)]
async fn a_report_of_hostile_texts_is_escaped_in_the_text_and_in_the_log() {
    let (log, rt) = (Log::listen(), Runtime::new());
    rt.set_log_level(LogLevel::Warn);
    let mut events = rt.events();
    let hostile = "\u{1b}[2J\n  at  nowhere\r\u{202e}";
    let job = ChildSpec::task(hostile, move |_| async move { panic!("{hostile}") });
    let tree = Supervisor::one_for_one().with_id(hostile);
    let tree = tree.child(job.restart(Restart::Temporary)).start(&rt).await.unwrap();
    let report = next_report(&mut events).await;
    let text = report.to_string();
    assert_eq!(text.lines().count(), 6, "{text}");
    let is_control = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
    assert!(!text.contains(is_control), "{text:?}");
    let lines = log.take();
    let heads: Vec<_> = lines.iter().map(|line| line.head()).collect();
    assert_eq!(heads[..2], ["ERROR exit", "WARN crash report"]);
    let line = &lines[1];
    assert_eq!((&*line.target, line.field("incarnation")), ("regrow::crash", "1"));
    for field in ["path", "pid", "reason", "history", "child", "ancestors"] {
        assert!(!line.field(field).contains(|c| is_control(c) || c == '\n'), "{field}");
    }
    assert!(line.field("reason").starts_with(r"panic: \u{1b}[2J\n"));
    tree.stop().await.unwrap();
}

/// The line is written from level warn on. A subscriber that panics does no harm.
#[tokio::test(start_paused = true)]
async fn the_line_of_a_report_is_written_from_level_warn_on() {
    for (level, count) in [(LogLevel::Off, 0), (LogLevel::Error, 0), (LogLevel::Warn, 1)] {
        let (log, rt) = (Log::listen(), Runtime::new());
        rt.set_log_level(level);
        rt.spawn(|_| async { panic!("boom") }).join().await;
        let heads = log.heads();
        assert_eq!(heads[0], "ERROR exit");
        assert_eq!(heads.iter().filter(|head| *head == "WARN crash report").count(), count);
    }
    let _broken = tracing::subscriber::set_default(Broken);
    let rt = Runtime::new();
    rt.set_log_level(LogLevel::Warn);
    let mut events = rt.events();
    assert!(rt.spawn(|_| async { panic!("boom") }).join().await.crash().is_some());
    next_report(&mut events).await;
}
