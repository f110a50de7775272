//! The messages that a process leaves unhandled are counted.

use crate::support;

use std::future::pending;

use futures_util::FutureExt;
use regrow::{
    ChildSpec, DynamicSupervisor, ExitReason, GenServer, LifecycleEvent, LogLevel, Overflow,
    Runtime, Supervisor, stream,
};
use support::log::Log;
use support::scribe::{Cast, Scribe, Setup, hold, scribe};
use support::{idler, killed, settled};

/// The counts of calls, of casts, and of messages, of the first such event.
async fn left(events: &mut regrow::Events) -> [usize; 3] {
    loop {
        let event = events.next().now_or_never().flatten().expect("an event");
        if let LifecycleEvent::LeftUnhandled { calls, casts, messages, .. } = event {
            return [calls, casts, messages];
        }
    }
}

fn has_left(events: &mut regrow::Events) -> bool {
    std::iter::from_fn(|| events.next().now_or_never().flatten())
        .any(|event| matches!(event, LifecycleEvent::LeftUnhandled { .. }))
}

/// Queues a call, two casts, two messages and a stream.
async fn queue_some(rt: &Runtime, scribe: &regrow::ServerRef<Scribe>) {
    let (caller, pid) = (scribe.clone(), scribe.pid().unwrap());
    tokio::spawn(async move { caller.call_unlimited(|reply| reply).await });
    settled().await;
    assert!(scribe.cast(Cast::Write(1)) && scribe.cast(Cast::Write(2)));
    assert!(rt.send(pid, vec![3]) && rt.send(pid, vec![4]));
    assert!(rt.send_stream(pid, stream().1));
}

#[tokio::test(start_paused = true)]
async fn a_killed_server_reports_the_messages_in_its_mailbox_before_its_exit() {
    let rt = Runtime::new();
    let spec = Scribe::spec(Setup::default()).named("scribe").label("the scribe");
    let scribe = spec.start(&rt).await.unwrap();
    let _release = hold(&scribe).await;
    queue_some(&rt, &scribe).await;
    let (mut events, pid) = (rt.events(), scribe.pid().unwrap());
    killed(&rt, pid).await;
    let (label, name) = (Some("the scribe".into()), Some("scribe".into()));
    let (calls, casts, messages, reason) = (1, 2, 3, ExitReason::Killed);
    let (own, named) = (label.clone(), name.clone());
    let left = LifecycleEvent::LeftUnhandled { pid, label, name, reason, calls, casts, messages };
    assert_eq!(events.next().await, Some(left));
    let exited =
        LifecycleEvent::Exited { pid, label: own, name: named, reason: ExitReason::Killed };
    assert_eq!(events.next().await, Some(exited));
    assert_eq!(rt.unhandled_messages(), 6);
}

/// The server takes all items out of its inbox at once, so some of them are in its own buffer when
/// it crashes, and others in the inbox.
#[tokio::test(start_paused = true)]
async fn messages_that_the_reader_has_taken_from_the_inbox_are_counted_with_the_others() {
    for bound in [None, Some(100)] {
        let rt = Runtime::new();
        let spec = Scribe::spec(Setup::default());
        let spec = match bound {
            Some(capacity) => spec.mailbox_capacity(capacity, Overflow::Reject),
            None => spec,
        };
        let scribe = spec.start(&rt).await.unwrap();
        let (first, second) = (tokio::sync::oneshot::channel(), tokio::sync::oneshot::channel());
        assert!(scribe.cast(Cast::Hold(first.1)));
        settled().await;
        assert!(scribe.cast(Cast::Hold(second.1)) && scribe.cast(Cast::Crash));
        queue_some(&rt, &scribe).await;
        drop(first.0);
        settled().await; // the whole batch is taken, and the second handler runs
        queue_some(&rt, &scribe).await;
        let (mut events, ended) = (rt.events(), scribe.ended());
        drop(second.0);
        assert!(ended.await.is_abnormal());
        assert_eq!(left(&mut events).await, [2, 4, 6]);
        assert_eq!(rt.unhandled_messages(), 12);
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_handled_everything_reports_nothing() {
    let rt = Runtime::new();
    let mut events = rt.events();
    let (scribe, _) = scribe(&rt, Setup::default()).await;
    assert!(scribe.cast(Cast::Write(1)));
    scribe.stop(ExitReason::Normal).await.unwrap();
    let (scribe, _) = support::scribe::scribe(&rt, Setup::default()).await;
    assert!(scribe.cast(Cast::Crash)); // its handler had begun
    scribe.ended().await;
    assert!(!has_left(&mut events));
    assert_eq!(rt.unhandled_messages(), 0);
}

/// Signals, timers and requests to inspect a server are no messages of a user.
#[tokio::test(start_paused = true)]
async fn signals_timers_and_system_messages_are_not_counted() {
    let rt = Runtime::new();
    let (scribe, _) = scribe(&rt, Setup { trap: true, ..Setup::default() }).await;
    let release = hold(&scribe).await;
    drop(release);
    let act = |ctx: &mut regrow::ServerContext<Scribe>| {
        ctx.cast_after(std::time::Duration::ZERO, Cast::Write(1));
        ctx.continue_with(Cast::Hold(tokio::sync::oneshot::channel().1));
    };
    assert!(scribe.cast(Cast::Act(Box::new(act))));
    settled().await;
    let (_held, pid) = (hold(&scribe).await, scribe.pid().unwrap());
    let other = idler(&rt);
    assert!(rt.link(pid, other.pid()));
    rt.monitor(pid, other.pid());
    other.kill();
    other.join().await;
    let asked = scribe.clone();
    tokio::spawn(async move { asked.get_status().await });
    settled().await;
    let mut events = rt.events();
    killed(&rt, pid).await;
    assert!(!has_left(&mut events));
}

#[tokio::test(start_paused = true)]
async fn a_plain_process_and_a_task_report_what_they_did_not_receive() {
    let rt = Runtime::new();
    let mut events = rt.events();
    let idle = idler(&rt);
    assert!(rt.send(idle.pid(), vec![1]));
    idle.kill();
    idle.join().await;
    assert_eq!(left(&mut events).await, [0, 0, 1]);

    let task = ChildSpec::task("task", |_| pending()).named("task");
    let tree = Supervisor::one_for_one().child(task).start(&rt).await.unwrap();
    assert!(rt.send_named("task", vec![1]) && rt.send_named("task", vec![2]));
    tree.stop().await.unwrap();
    assert_eq!(left(&mut events).await, [0, 0, 2]);
}

/// A reader that another task keeps after the end of its process.
#[tokio::test(start_paused = true)]
async fn messages_in_a_reader_that_outlives_its_process_are_counted_when_it_is_dropped() {
    let rt = Runtime::new();
    let (give, taken) = tokio::sync::oneshot::channel();
    let process = rt.spawn(|mut ctx| async move {
        drop(ctx.recv().await);
        drop(give.send(ctx));
    });
    for byte in 0..3 {
        assert!(rt.send(process.pid(), vec![byte]));
    }
    assert_eq!(process.join().await, ExitReason::Normal);
    assert_eq!(rt.unhandled_messages(), 0);
    let mut events = rt.events();
    drop(taken.await.unwrap());
    assert_eq!((left(&mut events).await, rt.unhandled_messages()), ([0, 0, 2], 2));
}

/// The casts of a supervisor are its own. Here it has a retry and the results of starts queued.
#[tokio::test(start_paused = true)]
async fn a_supervisor_reports_no_casts_of_its_own() {
    let rt = Runtime::new();
    let mut events = rt.events();
    let rooms = DynamicSupervisor::new().named("rooms");
    let tree = Supervisor::one_for_one().child(rooms).start(&rt).await.unwrap();
    let rooms = rt.whereis("rooms").unwrap();
    let dynamic = regrow::DynamicSupervisor::new().start(&rt).await.unwrap();
    for n in 0..20 {
        let dynamic = dynamic.clone();
        let spec = ChildSpec::task(format!("{n}"), |_| async { Err(ExitReason::crashed("no")) });
        tokio::spawn(async move { dynamic.start_child(spec).await });
    }
    tokio::task::yield_now().await;
    killed(&rt, dynamic.pid().unwrap()).await;
    killed(&rt, rooms).await;
    tree.stop().await.unwrap();
    while let Some(Some(event)) = events.next().now_or_never() {
        if let LifecycleEvent::LeftUnhandled { casts, .. } = event {
            assert_eq!(casts, 0);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_left_is_logged_as_a_warning_with_its_counts() {
    let log = Log::listen();
    let rt = Runtime::new();
    rt.set_log_level(LogLevel::Warn);
    let spec = Scribe::spec(Setup::default()).label("scribe");
    let scribe = spec.start(&rt).await.unwrap();
    let _release = hold(&scribe).await;
    queue_some(&rt, &scribe).await;
    let pid = scribe.pid().unwrap();
    killed(&rt, pid).await;
    let lines = log.take();
    let line = lines.iter().find(|line| line.message == "left unhandled").unwrap();
    assert_eq!(line.head(), "WARN left unhandled");
    assert_eq!((line.field("pid"), line.field("label")), (&*pid.to_string(), "scribe"));
    let counts = ["calls", "casts", "messages"].map(|field| line.field(field));
    assert_eq!(counts, ["1", "2", "3"]);
}
