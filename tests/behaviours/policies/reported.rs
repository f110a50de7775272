//! What log, events, reports and health say of failures that are decided by a policy.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use regrow::FailurePolicy::{Escalate, Restart, Resume, Stop};
use regrow::{
    Callback, ChildSpec, CrashCause, CrashReport, DynamicSupervisor, Events, ExitReason, GenServer,
    LifecycleEvent, LogLevel, Result, Runtime, ServerContext, Supervisor,
};

use super::{Ask, Do, Number, as_asked, idle};
use crate::support::log::Log;

fn number() -> ChildSpec {
    Number::child(40).with_id("a").named("a").on_failure(as_asked)
}

async fn next_report(events: &mut Events) -> Arc<CrashReport> {
    loop {
        if let LifecycleEvent::CrashReport(report) = events.next().await.unwrap() {
            return report;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_resumed_failure_is_one_error_line_one_event_and_one_report() {
    let (log, rt) = (Log::listen(), Runtime::new());
    rt.set_log_level(LogLevel::Warn);
    let mut events = rt.events();
    let tree = Supervisor::one_for_one().with_id("app").child(number()).start(&rt).await.unwrap();
    let pid = rt.whereis("a").unwrap();
    rt.server::<Number>("a").cast(Do::Fail(Resume));
    idle().await;
    let lines = log.take();
    let [line] = &lines.iter().filter(|line| line.message == "resumed").collect::<Vec<_>>()[..]
    else {
        panic!("{lines:?}")
    };
    assert_eq!(line.head(), "ERROR resumed");
    assert_eq!((line.field("callback"), line.field("resumes_left")), ("handle_cast", "2"));
    assert!(lines.iter().all(|line| line.message != "exit"));
    let resumed = loop {
        match events.next().await.unwrap() {
            LifecycleEvent::Resumed { child, pid, callback, resumes_left, .. } => {
                break (child.to_string(), pid, callback, resumes_left);
            }
            LifecycleEvent::Exited { .. } => panic!("it has not ended"),
            _ => {}
        }
    };
    assert_eq!(resumed, ("a".to_owned(), pid, Callback::HandleCast, 2));
    let report = next_report(&mut events).await;
    assert_eq!(
        (report.pid, report.path.as_str(), report.cause),
        (pid, "app/a", CrashCause::Resumed)
    );
    assert_eq!(report.handling.unwrap().callback, Callback::HandleCast);
    assert_eq!(report.links, [tree.pid().unwrap()]);
    let child = report.child.as_ref().unwrap();
    assert_eq!((child.policy, child.incarnation), (Some(Resume), 1));
    assert!(report.to_string().contains("after this failure: resume"), "{report}");
    assert_eq!(tree.tree().await.unwrap().health().to_string(), "ready");
}

#[tokio::test(start_paused = true)]
async fn the_report_of_a_crash_says_what_the_policy_has_decided() {
    let rt = Runtime::new();
    let mut events = rt.events();
    let tree = Supervisor::one_for_one().child(number()).start(&rt).await.unwrap();
    rt.server::<Number>("a").cast(Do::Fail(Stop));
    let report = next_report(&mut events).await;
    assert_eq!(report.child.as_ref().unwrap().policy, Some(Stop));
    assert_eq!(report.cause, CrashCause::Own);
    let health = tree.tree().await.unwrap().health().to_string();
    assert_eq!(health, "a: given up: error: asks for stop");
    let history = tree.which_child("a").await.unwrap();
    assert_eq!(history.restarts, 0);
}

/// Its own decision, not the closure, ends it.
#[tokio::test(start_paused = true)]
async fn the_report_of_a_child_that_gives_up_names_no_policy() {
    let rt = Runtime::new();
    let mut events = rt.events();
    let _tree = Supervisor::one_for_one().child(number()).start(&rt).await.unwrap();
    rt.server::<Number>("a").cast(Do::GiveUp);
    let report = next_report(&mut events).await;
    assert_eq!(report.child.as_ref().unwrap().policy, None);
}

/// A server that fails in `init` or in `terminate`.
struct Fails;

#[derive(Debug, Clone, Copy, PartialEq)]
enum In {
    Init,
    Terminate,
}

impl GenServer for Fails {
    type Args = In;
    type Call = ();
    type Cast = ();

    async fn init(place: In, ctx: &mut ServerContext<Self>) -> Result<Self> {
        ctx.trap_exit(true);
        if place == In::Init { Err(Ask(Escalate))? } else { Ok(Fails) }
    }

    async fn terminate(&mut self, _: &ExitReason) {
        std::panic::panic_any("as asked");
    }
}

/// A child whose closure escalates, and how often the closure was asked.
fn fails(place: In) -> (ChildSpec, Arc<AtomicU32>) {
    let asked = Arc::new(AtomicU32::new(0));
    let counted = asked.clone();
    let child = Fails::child(place).with_id("b").on_failure(move |_| {
        counted.fetch_add(1, Ordering::SeqCst);
        Escalate
    });
    (child, asked)
}

async fn reports_of_b(events: &mut Events, expected: u32) {
    for _ in 0..expected {
        let report = loop {
            let report = next_report(events).await;
            if report.path.ends_with('b') {
                break report;
            }
        };
        assert_eq!(report.child.as_ref().unwrap().policy, None, "{report}");
    }
}

#[tokio::test(start_paused = true)]
async fn no_policy_is_asked_or_reported_for_a_child_that_is_stopped() {
    let rt = Runtime::new();
    let mut events = rt.events();
    let (child, asked) = fails(In::Terminate);
    let tree = Supervisor::one_for_all().child(number()).child(child).start(&rt).await.unwrap();
    rt.server::<Number>("a").cast(Do::Fail(Restart)); // the group restarts
    idle().await;
    tree.terminate_child("b").await.unwrap();
    tree.restart_child("b").await.unwrap();
    tree.stop().await.unwrap();
    reports_of_b(&mut events, 3).await;
    assert_eq!(asked.load(Ordering::SeqCst), 0);
}

#[tokio::test(start_paused = true)]
async fn no_policy_is_asked_or_reported_for_a_failed_init_on_request() {
    let rt = Runtime::new();
    let mut events = rt.events();
    let (child, asked) = fails(In::Init);
    let fixed = Supervisor::one_for_one().start(&rt).await.unwrap();
    fixed.start_child(child.clone()).await.unwrap_err();
    let dynamic = DynamicSupervisor::new().start(&rt).await.unwrap();
    dynamic.start_child(child.clone()).await.unwrap_err();
    Supervisor::one_for_one().child(child).start(&rt).await.unwrap_err();
    reports_of_b(&mut events, 3).await;
    assert_eq!(asked.load(Ordering::SeqCst), 0);
}
