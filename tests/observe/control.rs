//! Actions on children of a declared list that are requested from outside: which process they act
//! on, how they end, and how they are reported.

use crate::support;

use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::FutureExt;
use regrow::{
    Backoff, ChildError, ChildSpec, ChildState, ControlAction, ControlError, ControlOutcome,
    ControlRequest, Events, Exhausted, Health, LifecycleEvent, LogLevel, Pid, Restart, Result,
    Runtime, Shutdown, Supervisor, SupervisorRef,
};
use support::settled;
use tokio::runtime::Builder;
use tokio::sync::Notify;

const SECOND: Duration = Duration::from_secs(1);

pub(crate) fn idle(id: &str) -> ChildSpec {
    ChildSpec::task(id, |_| pending()).named(id)
}

/// A child that ends this long after it was asked to stop.
pub(crate) fn slow_stop(id: &str, takes: Duration) -> ChildSpec {
    let child = ChildSpec::task(id, move |mut ctx| async move {
        ctx.cancellation_token().cancelled().await;
        tokio::time::sleep(takes).await;
        Ok(())
    });
    child.named(id).shutdown(Shutdown::Infinity)
}

async fn app(rt: &Runtime, children: impl IntoIterator<Item = ChildSpec>) -> SupervisorRef {
    let app = Supervisor::one_for_one().named("app");
    let app = children.into_iter().fold(app, |app, child| app.child(child));
    app.start(rt).await.unwrap()
}

/// Returns a request for this action on a child of `app`, as a picture shows it now.
async fn request(rt: &Runtime, action: ControlAction, path: &str) -> ControlRequest {
    let picture = rt.observe().picture().await;
    ControlRequest::new(action).of(picture.find(path).unwrap()).caller("alice")
}

/// Carries out this action on a child, as a picture shows it now.
pub(crate) async fn control(
    rt: &Runtime,
    action: ControlAction,
    path: &str,
) -> Result<(), ControlError> {
    rt.control(request(rt, action, path).await).await
}

/// The next event of a request: its path and its outcome.
async fn reported(events: &mut Events) -> (String, ControlOutcome) {
    loop {
        if let LifecycleEvent::Control { path, outcome, .. } = events.next().await.unwrap() {
            return (path.map(|path| path.to_string()).unwrap_or_default(), outcome);
        }
    }
}

/// Occupies the supervisor with the start of a child until the returned value is notified.
async fn occupy(tree: &SupervisorRef) -> Arc<Notify> {
    let (begun, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (signal, wait) = (begun.clone(), go_on.clone());
    let slow = ChildSpec::task("slow", move |ctx| {
        let (signal, wait) = (signal.clone(), wait.clone());
        async move {
            signal.notify_one();
            wait.notified().await;
            ctx.set_health(Health::Ready);
            pending().await
        }
    });
    let tree = tree.clone();
    tokio::spawn(async move { tree.start_child(slow.ready_within(600 * SECOND)).await });
    begun.notified().await;
    go_on
}

fn changed(id: &str, pid: Option<Pid>) -> Result<(), ControlError> {
    Err(ControlError::Child(ChildError::Changed { id: id.into(), pid }))
}

#[tokio::test(start_paused = true)]
async fn a_restart_stops_and_starts_one_child_and_spends_no_budget() {
    let rt = Runtime::new();
    let tree = app(&rt, [idle("a"), idle("b")]).await;
    let (a, b) = (rt.whereis("a").unwrap(), rt.whereis("b").unwrap());
    let mut observation = tree.observe().unwrap();
    observation.next().await;
    for _ in 0..10 {
        control(&rt, ControlAction::Restart, "app/a").await.unwrap();
    }
    let mut kinds = Vec::new();
    while kinds.last() != Some(&"control") {
        let text = observation.next().await.unwrap().to_string();
        kinds.push(
            ["stopping", "ended", "starting", "started", "control"]
                .into_iter()
                .find(|kind| text.contains(&format!(" {kind}")))
                .unwrap(),
        );
    }
    assert_eq!(kinds, ["stopping", "ended", "starting", "started", "control"]);
    assert_ne!(rt.whereis("a"), Some(a));
    assert_eq!(rt.whereis("b"), Some(b));
    let info = tree.which_child("a").await.unwrap();
    assert_eq!((info.restarts, info.starts_by_hand), (0, 10));
    assert_eq!(tree.tree().await.unwrap().root.budget().unwrap().left, 3);
}

#[tokio::test(start_paused = true)]
async fn after_a_restart_earlier_failures_count_neither_for_the_backoff_nor_for_the_own_budget() {
    let rt = Runtime::new();
    let backoff = Backoff::new().first(SECOND).factor(8.0).jitter(0.0);
    let a = idle("a").backoff(backoff).restart_budget(2, 3600 * SECOND, Exhausted::GiveUp);
    let tree = app(&rt, [a]).await;
    let crash = async || {
        rt.kill(rt.whereis("a").unwrap());
        settled().await;
        let state = tree.which_child("a").await.unwrap().state;
        let ChildState::Restarting { retry_in } = state else { panic!("{state:?}") };
        tokio::time::sleep(retry_in.unwrap()).await;
        settled().await;
        (retry_in.unwrap() + SECOND / 2).as_secs() // a little has passed since the crash
    };
    assert_eq!((crash().await, crash().await), (1, 8));
    control(&rt, ControlAction::Restart, "app/a").await.unwrap();
    assert_eq!((crash().await, crash().await), (1, 8));
}

#[tokio::test(start_paused = true)]
async fn a_request_for_an_earlier_process_is_refused_and_stops_nothing() {
    let rt = Runtime::new();
    let _tree = app(&rt, [idle("a")]).await;
    let actions = [
        ControlAction::Restart,
        ControlAction::Terminate,
        ControlAction::Kill,
        ControlAction::Suspend,
    ];
    for action in actions {
        let old = request(&rt, action, "app/a").await;
        rt.kill(rt.whereis("a").unwrap());
        settled().await;
        let now = rt.whereis("a").unwrap();
        let shown = matches!(action, ControlAction::Restart | ControlAction::Terminate);
        assert_eq!(rt.control(old).await, changed("a", shown.then_some(now)), "{action}");
        assert_eq!(rt.whereis("a"), Some(now), "{action}");
        tokio::time::sleep(10 * SECOND).await; // the budget is full again
    }
}

#[tokio::test(start_paused = true)]
async fn of_two_requests_at_once_the_second_is_refused() {
    let rt = Runtime::new();
    let tree = app(&rt, [idle("a")]).await;
    let request = request(&rt, ControlAction::Restart, "app/a").await;
    let both = tokio::join!(rt.control(request.clone()), rt.control(request));
    assert_eq!(both.0, Ok(()));
    assert_eq!(both.1, changed("a", rt.whereis("a")));
    assert_eq!(tree.which_child("a").await.unwrap().starts_by_hand, 1);
}

/// The end of the child is queued after the request: the stop finds the ended process.
#[tokio::test(start_paused = true)]
async fn a_child_that_ends_after_the_request_is_started_once() {
    let rt = Runtime::new();
    let tree = app(&rt, [idle("a")]).await;
    let request = request(&rt, ControlAction::Restart, "app/a").await;
    let go_on = occupy(&tree).await;
    let (runtime, a) = (rt.clone(), rt.whereis("a").unwrap());
    let restarted = tokio::spawn(async move { runtime.control(request).await });
    settled().await;
    support::killed(&rt, a).await;
    go_on.notify_one();
    assert_eq!(restarted.await.unwrap(), Ok(()));
    settled().await;
    let info = tree.which_child("a").await.unwrap();
    assert_eq!((info.restarts, info.starts_by_hand, info.history.len()), (0, 1, 1));
    assert_eq!(info.state, ChildState::Running(rt.whereis("a").unwrap()));
}

/// The end of the child is queued before the request, which then finds the successor.
#[tokio::test(start_paused = true)]
async fn a_child_that_ends_before_the_request_is_left_to_its_restart() {
    let rt = Runtime::new();
    let tree = app(&rt, [idle("a")]).await;
    let request = request(&rt, ControlAction::Terminate, "app/a").await;
    let go_on = occupy(&tree).await;
    support::killed(&rt, rt.whereis("a").unwrap()).await;
    let runtime = rt.clone();
    let terminated = tokio::spawn(async move { runtime.control(request).await });
    settled().await;
    go_on.notify_one();
    let refused = terminated.await.unwrap();
    assert_eq!(refused, changed("a", rt.whereis("a")));
    assert!(rt.whereis("a").is_some());
}

#[tokio::test(start_paused = true)]
async fn a_request_that_a_busy_supervisor_does_not_take_is_withdrawn() {
    let rt = Runtime::new();
    let tree = app(&rt, [idle("a")]).await;
    let (a, mut events) = (rt.whereis("a"), rt.events());
    let go_on = occupy(&tree).await;
    for action in [ControlAction::Restart, ControlAction::Terminate] {
        assert_eq!(control(&rt, action, "app/a").await, Err(ControlError::NotBegun));
        let (_, outcome) = reported(&mut events).await;
        assert!(outcome.why().unwrap().contains("nothing was done"), "{outcome}");
    }
    go_on.notify_one();
    tree.count_children().await.unwrap(); // the supervisor has handled the requests
    assert_eq!(rt.whereis("a"), a);
}

#[tokio::test(start_paused = true)]
async fn an_action_that_takes_long_is_unfinished_and_goes_on() {
    let rt = Runtime::new();
    let tree = app(&rt, [slow_stop("a", 40 * SECOND)]).await;
    let (a, mut events) = (rt.whereis("a"), rt.events());
    assert_eq!(control(&rt, ControlAction::Restart, "app/a").await, Err(ControlError::Unfinished));
    let (path, outcome) = reported(&mut events).await;
    assert_eq!((path.as_str(), outcome.name()), ("app/a", "unfinished"));
    assert_eq!(tree.count_children().await.unwrap().active, 1);
    assert!(rt.whereis("a").is_some() && rt.whereis("a") != a);
}

#[tokio::test(start_paused = true)]
async fn a_supervisor_that_is_asked_to_stop_finishes_the_action_and_takes_no_other() {
    let rt = Runtime::new();
    let tree = app(&rt, [slow_stop("a", 2 * SECOND), slow_stop("b", 2 * SECOND)]).await;
    let (first, second) = (
        request(&rt, ControlAction::Restart, "app/b").await,
        request(&rt, ControlAction::Restart, "app/a").await,
    );
    let runtime = rt.clone();
    let restarted = tokio::spawn(async move { runtime.control(first).await });
    settled().await;
    let stopped = tokio::spawn({
        let tree = tree.clone();
        async move { tree.stop().await }
    });
    assert_eq!(restarted.await.unwrap(), Ok(()));
    settled().await;
    let stopping = ControlError::SupervisorStopping(tree.pid().unwrap());
    assert_eq!(rt.control(second.clone()).await, Err(stopping));
    stopped.await.unwrap().unwrap();
    assert_eq!(rt.control(second).await, Err(ControlError::NotFound("app/a".into())));
    assert_eq!(rt.process_count(), 0);
}

#[tokio::test(start_paused = true)]
async fn an_action_is_unfinished_if_its_supervisor_is_killed() {
    let rt = Runtime::new();
    let tree = app(&rt, [slow_stop("a", 20 * SECOND)]).await;
    let request = request(&rt, ControlAction::Restart, "app/a").await;
    let runtime = rt.clone();
    let restarted = tokio::spawn(async move { runtime.control(request).await });
    settled().await;
    rt.kill(tree.pid().unwrap());
    assert_eq!(restarted.await.unwrap(), Err(ControlError::Unfinished));
}

/// The answer and the report agree, and say whether something was done.
#[test]
fn a_request_is_unfinished_if_tokio_shuts_down_after_its_beginning_else_refused() {
    let tokio = || Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    for is_busy in [false, true] {
        let inside = tokio();
        let (mut asked, mut events) = inside.block_on(async {
            let rt = Runtime::new();
            let tree = app(&rt, [slow_stop("a", 20 * SECOND)]).await;
            let restart = request(&rt, ControlAction::Restart, "app/a").await;
            if is_busy {
                occupy(&tree).await;
            }
            let events = rt.events();
            let mut asked = Box::pin(async move { rt.control(restart).await });
            assert!(asked.as_mut().now_or_never().is_none());
            settled().await;
            (asked, events)
        });
        drop(inside);
        tokio().block_on(async {
            let (error, reported_as) = match is_busy {
                false => (ControlError::Unfinished, "unfinished"),
                true => (ControlError::TokioGone, "refused"),
            };
            assert_eq!(asked.as_mut().await, Err(error));
            assert_eq!(reported(&mut events).await.1.name(), reported_as);
        });
    }
}

/// The restart waits for a child that the killed supervisor has left behind, and is cancelled.
#[tokio::test(start_paused = true)]
async fn a_restart_that_waits_for_an_orphan_and_is_cancelled_has_failed_after_its_beginning() {
    for (meanwhile, failed) in [("terminate", "was not started"), ("delete", "no child")] {
        let rt = Runtime::new();
        let inner = Supervisor::one_for_one().named("inner").child(slow_stop("slow", SECOND));
        let inner = ChildSpec::from(inner).shutdown(Shutdown::BrutalKill);
        let tree = app(&rt, [inner]).await;
        let (restart, mut events) =
            (request(&rt, ControlAction::Restart, "app/inner").await, rt.events());
        let runtime = rt.clone();
        let asked = tokio::spawn(async move { runtime.control(restart).await });
        settled().await;
        tree.terminate_child("inner").await.unwrap();
        if meanwhile == "delete" {
            tree.delete_child("inner").await.unwrap();
        }
        let error = asked.await.unwrap().unwrap_err();
        assert!(matches!(error, ControlError::Failed(_)), "{meanwhile}: {error:?}");
        assert!(error.to_string().contains(failed), "{meanwhile}: {error}");
        assert_eq!(reported(&mut events).await.1.name(), "unfinished");
        assert_eq!(rt.whereis("inner"), None);
        assert!(tree.stop().await.is_ok());
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_whose_requester_is_gone_is_carried_out_and_reported() {
    let rt = Runtime::new();
    let _tree = app(&rt, [slow_stop("a", SECOND)]).await;
    let (a, mut events) = (rt.whereis("a"), rt.events());
    let request = request(&rt, ControlAction::Restart, "app/a").await;
    let runtime = rt.clone();
    let requester = tokio::spawn(async move { runtime.control(request).await });
    settled().await;
    requester.abort();
    assert_eq!(reported(&mut events).await, ("app/a".into(), ControlOutcome::Done));
    assert!(rt.whereis("a").is_some() && rt.whereis("a") != a);
}

#[tokio::test(start_paused = true)]
async fn a_kill_is_an_end_that_the_restart_policy_decides_about() {
    let rt = Runtime::new();
    let tree = app(&rt, [idle("a"), idle("once").restart(Restart::Temporary)]).await;
    control(&rt, ControlAction::Kill, "app/a").await.unwrap();
    control(&rt, ControlAction::Kill, "app/once").await.unwrap();
    settled().await;
    assert_eq!(tree.which_child("a").await.unwrap().restarts, 1);
    assert_eq!(tree.tree().await.unwrap().root.budget().unwrap().left, 2);
    assert!(tree.which_child("once").await.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_terminated_child_is_stopped_until_a_restart() {
    let rt = Runtime::new();
    let tree = app(&rt, [idle("a")]).await;
    control(&rt, ControlAction::Terminate, "app/a").await.unwrap();
    assert_eq!(tree.which_child("a").await.unwrap().state, ChildState::Stopped);
    assert_eq!(control(&rt, ControlAction::Kill, "app/a").await, changed("a", None));
    control(&rt, ControlAction::Restart, "app/a").await.unwrap();
    assert!(rt.whereis("a").is_some());
}

#[tokio::test(start_paused = true)]
async fn a_temporary_child_and_one_that_waits_for_its_restart_are_not_restarted() {
    let rt = Runtime::new();
    let waits = idle("waits").backoff(Backoff::new());
    let tree = app(&rt, [idle("once").restart(Restart::Temporary), waits]).await;
    rt.kill(rt.whereis("waits").unwrap());
    settled().await;
    let refused = control(&rt, ControlAction::Restart, "app/once").await;
    assert_eq!(refused, Err(ControlError::Child(ChildError::Temporary("once".into()))));
    let refused = control(&rt, ControlAction::Restart, "app/waits").await;
    assert_eq!(refused, Err(ControlError::Child(ChildError::Restarting("waits".into()))));
    control(&rt, ControlAction::Terminate, "app/waits").await.unwrap();
    tokio::time::sleep(60 * SECOND).await;
    assert_eq!(tree.which_child("waits").await.unwrap().state, ChildState::Stopped);
}

#[tokio::test(start_paused = true)]
async fn a_failed_start_leaves_the_child_stopped_and_a_given_up_child_can_be_started() {
    let rt = Runtime::new();
    let fails = Arc::new(AtomicBool::new(false));
    let does = fails.clone();
    let flaky = ChildSpec::task("flaky", move |ctx| {
        let does = does.clone();
        async move {
            assert!(!does.load(Ordering::Relaxed), "no disk");
            ctx.set_health(Health::Ready);
            pending().await
        }
    });
    let flaky = flaky.ready_within(SECOND).restart_budget(0, SECOND, Exhausted::GiveUp);
    let tree = app(&rt, [flaky]).await;
    fails.store(true, Ordering::Relaxed);
    let failed = control(&rt, ControlAction::Restart, "app/flaky").await.unwrap_err();
    assert!(matches!(failed, ControlError::Failed(ChildError::NotStarted(_))), "{failed}");
    assert_eq!(tree.which_child("flaky").await.unwrap().state, ChildState::Stopped);
    fails.store(false, Ordering::Relaxed);
    control(&rt, ControlAction::Restart, "app/flaky").await.unwrap();
    control(&rt, ControlAction::Kill, "app/flaky").await.unwrap();
    settled().await;
    assert_eq!(tree.which_child("flaky").await.unwrap().state, ChildState::GivenUp);
    control(&rt, ControlAction::Restart, "app/flaky").await.unwrap();
    assert_eq!(tree.count_children().await.unwrap().active, 1);
}

#[tokio::test(start_paused = true)]
async fn a_topmost_supervisor_can_be_killed_and_nothing_else() {
    let rt = Runtime::new();
    let tree = app(&rt, [idle("a")]).await;
    let pid = tree.pid().unwrap();
    for action in [ControlAction::Restart, ControlAction::Terminate] {
        assert_eq!(control(&rt, action, "app").await, Err(ControlError::Topmost(pid)));
    }
    let suspended = control(&rt, ControlAction::Suspend, "app").await;
    assert_eq!(suspended, Err(ControlError::IsSupervisor(pid)));
    let ended = tree.ended();
    tree.control(request(&rt, ControlAction::Kill, "app").await).await.unwrap();
    ended.await;
}

#[tokio::test(start_paused = true)]
async fn a_handle_of_a_tree_controls_this_tree_only() {
    let rt = Runtime::new();
    let inner = Supervisor::one_for_one().named("inner").child(idle("a"));
    let app = Supervisor::one_for_one().named("app").child(inner).child(idle("b"));
    let _app = app.start(&rt).await.unwrap();
    let other = Supervisor::one_for_one().with_id("app").child(ChildSpec::task("b", |_| pending()));
    let other = other.start(&rt).await.unwrap();
    let inner = SupervisorRef::named(&rt, "inner");
    for path in ["app/b", "app"] {
        let request = request(&rt, ControlAction::Kill, path).await;
        let error = ControlError::NotFound(path.into());
        assert_eq!(inner.control(request.clone()).await, Err(error.clone()), "{path}");
        assert_eq!(other.control(request).await, Err(error), "{path}");
    }
    for path in ["app/inner/a", "app/inner"] {
        inner.control(request(&rt, ControlAction::Restart, path).await).await.unwrap();
    }
    // The supervisor, the path and the process have to fit together.
    let (a, b) = (rt.whereis("a").unwrap(), rt.whereis("b").unwrap());
    for path in ["app/inner/a", "app/b"] {
        for pid in [a, b] {
            let request = ControlRequest::new(ControlAction::Kill).path(path).pid(pid);
            let above = if path == "app/b" { rt.whereis("inner") } else { rt.whereis("app") };
            let forged = rt.control(request.supervisor(above.unwrap())).await;
            assert_eq!(forged, Err(ControlError::NotFound(path.into())));
        }
    }
    assert!(rt.is_alive(a) && rt.is_alive(b));
}

/// A request that has the pid of the top of a tree, and the rest of a child of another tree, which
/// would tell the requester which process that child has.
#[tokio::test(start_paused = true)]
async fn the_pid_of_the_top_of_a_tree_does_not_open_another_tree() {
    let rt = Runtime::new();
    let own = app(&rt, [idle("a")]).await;
    let other = Supervisor::one_for_one().named("other").child(idle("b"));
    let other = other.start(&rt).await.unwrap();
    let (top, above) = (own.pid().unwrap(), other.pid().unwrap());
    for action in [ControlAction::Restart, ControlAction::Terminate] {
        let forged = ControlRequest::new(action).path("other/b").pid(top).supervisor(above);
        let error = ControlError::NotFound("other/b".into());
        assert_eq!(own.control(forged).await, Err(error), "{action}");
    }
    let foreign = request(&rt, ControlAction::Restart, "other/b").await;
    assert_eq!(own.control(foreign).await, Err(ControlError::NotFound("other/b".into())));
}

#[tokio::test(start_paused = true)]
async fn the_level_of_the_log_is_that_of_the_runtime_and_each_observation_shows_the_change() {
    let rt = Runtime::new();
    let tree = app(&rt, [idle("a")]).await;
    let mut observation = tree.observe().unwrap();
    observation.next().await;
    let level = ControlRequest::new(ControlAction::LogLevel(LogLevel::Debug));
    tree.control(level.caller("bob")).await.unwrap();
    assert!(rt.wants_log(LogLevel::Debug));
    let text = observation.next().await.unwrap().to_string();
    assert_eq!(text, " control: log_level debug by bob: done");
}

#[tokio::test(start_paused = true)]
async fn each_request_is_a_line_and_an_event_with_a_bounded_and_escaped_requester() {
    let log = support::log::Log::listen();
    let rt = Runtime::new();
    let _tree = app(&rt, [idle("a")]).await;
    let (mut events, mut observation) = (rt.events(), rt.observe());
    observation.next().await;
    let hostile = format!("eve\n\u{1b}[2J{}", "x".repeat(10_000));
    let kill = request(&rt, ControlAction::Kill, "app/a").await.caller(hostile);
    rt.control(kill.clone()).await.unwrap();
    rt.control(kill).await.unwrap_err();
    let mut outcomes = Vec::new();
    while let Some(Some(event)) = events.next().now_or_never() {
        let LifecycleEvent::Control { caller, outcome, action, .. } = event else { continue };
        assert_eq!(action, Some(ControlAction::Kill));
        assert_eq!(caller.chars().count(), 256);
        assert!(caller.starts_with("eve\n") && caller.ends_with('…'));
        outcomes.push(outcome.name());
    }
    assert_eq!(outcomes, ["done", "refused"]);
    let lines = log.take();
    let lines: Vec<_> = lines.iter().filter(|line| line.target == "regrow::control").collect();
    let heads: Vec<_> = lines.iter().map(|line| line.head()).collect();
    assert_eq!(heads, ["INFO done", "WARN refused"]);
    for line in lines {
        assert!(line.field("caller").contains("eve\\n"), "{}", line.field("caller"));
        assert_eq!((line.field("action"), line.field("path")), ("kill", "app/a"));
    }
    let mut text = String::new();
    while !text.contains("control") {
        text = observation.next().await.unwrap().to_string();
    }
    assert!(text.starts_with("app/a") && text.contains("eve\\n\\u{1b}[2J"), "{text}");
    assert!(text.len() < 1_000 && !text.contains('\n'));
}
