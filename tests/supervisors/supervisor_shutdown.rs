//! How supervisors stop their children, and what a killed supervisor leaves behind.

use crate::support;

use std::time::Duration;

use regrow::{
    ChildSpec, DynamicSupervisor, ExitReason, Leftovers, Restart, Runtime, Shutdown, Supervisor,
    SupervisorSpec,
};
use support::injected_panics::hush_injected_panics;
use support::log::Log;
use support::reporter::counts;
use support::scripted_children::{ScriptedChildren, Stop, states};
use support::settled;
use tokio::time::Instant;

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// Returns a child that ignores the stop request.
fn deaf(id: &str, shutdown: Shutdown) -> ChildSpec {
    let child = ChildSpec::task(id, |mut ctx| async move {
        ctx.shutdown().await;
        std::future::pending().await
    });
    child.shutdown(shutdown)
}

/// SHU-001: only this child is killed; its supervisor continues.
#[tokio::test(start_paused = true)]
async fn a_child_that_ignores_its_shutdown_is_killed_after_its_shutdown_time() {
    let mut t = ScriptedChildren::new();
    t.on_stop("deaf", Stop::Deaf);
    let second = Shutdown::Timeout(ms(1_000));
    let spec = Supervisor::one_for_one().child(t.child("good").shutdown(second));
    let tree = spec.child(t.child("deaf").shutdown(second)).start(&t.rt).await.unwrap();
    let ended = ["good", "deaf"].map(|id| t.rt.ended(t.rt.whereis(id).unwrap()));
    let log = Log::listen();
    let start = Instant::now();
    assert_eq!(tree.stop().await, Ok(ExitReason::Shutdown));
    assert_eq!(start.elapsed(), ms(1_000));
    let [good, deaf] = ended;
    assert_eq!((good.await, deaf.await), (ExitReason::Shutdown, ExitReason::Killed));
    let lines = log.take();
    let errors: Vec<_> =
        lines.iter().filter(|line| line.message.contains("shutdown error")).collect();
    let [line] = errors[..] else { panic!("{lines:?}") };
    assert_eq!(line.head(), "WARN shutdown error: it overran its time");
    assert_eq!((line.field("child"), line.field("reason")), ("deaf", "killed"));
    let told = ["good starts", "deaf starts", "deaf stops: shutdown", "good stops: shutdown"];
    assert_eq!(t.reports().await, told);
}

/// SHU-002.
#[tokio::test(start_paused = true)]
async fn brutal_kill_does_not_ask_the_child_to_stop() {
    let mut t = ScriptedChildren::new();
    let spec = Supervisor::one_for_one().child(t.child("a").shutdown(Shutdown::BrutalKill));
    let tree = spec.start(&t.rt).await.unwrap();
    let ended = t.rt.ended(t.rt.whereis("a").unwrap());
    let (log, start) = (Log::listen(), Instant::now());
    assert_eq!(tree.stop().await, Ok(ExitReason::Shutdown));
    assert_eq!((ended.await, start.elapsed()), (ExitReason::Killed, Duration::ZERO));
    assert_eq!(t.reports().await, ["a starts"]);
    assert!(log.heads().iter().all(|head| !head.contains("shutdown error")));
}

/// SHU-003.
#[tokio::test(start_paused = true)]
async fn a_stop_waits_for_children_with_shutdown_infinity() {
    let mut t = ScriptedChildren::new();
    t.on_stop("slow", Stop::Takes(ms(2_000)));
    let slow = t.child("slow").shutdown(Shutdown::Infinity);
    let inner = Supervisor::one_for_one().with_id("inner").child(slow);
    let worker = t.child("a").shutdown(Shutdown::Infinity);
    let tree = Supervisor::one_for_one().child(worker).child(inner).start(&t.rt).await.unwrap();
    let (ended, start) = (t.rt.ended(t.rt.whereis("slow").unwrap()), Instant::now());
    assert_eq!(tree.stop().await, Ok(ExitReason::Shutdown));
    assert_eq!((ended.await, start.elapsed()), (ExitReason::Shutdown, ms(2_000)));
    let told = ["a starts", "slow starts", "slow stops: shutdown", "slow is gone"];
    assert_eq!(t.reports().await, [&told[..], &["a stops: shutdown"]].concat());
}

/// SHU-004.
#[tokio::test(start_paused = true)]
async fn a_shutdown_time_of_zero_kills_at_once() {
    let mut t = ScriptedChildren::new();
    t.on_stop("traps", Stop::Takes(ms(50)));
    let none = Shutdown::Timeout(Duration::ZERO);
    let plain = ChildSpec::task("plain", |_| std::future::pending()).shutdown(none);
    let spec = Supervisor::one_for_one().child(plain).child(t.child("traps").shutdown(none));
    let tree = spec.start(&t.rt).await.unwrap();
    t.reports().await;
    let plain = t.rt.ended(tree.which_child("plain").await.unwrap().pid().unwrap());
    let (traps, start) = (t.rt.ended(t.rt.whereis("traps").unwrap()), Instant::now());
    assert_eq!(tree.stop().await, Ok(ExitReason::Shutdown));
    assert_eq!((traps.await, start.elapsed()), (ExitReason::Killed, Duration::ZERO));
    let plain = plain.await;
    assert!([ExitReason::Shutdown, ExitReason::Killed].contains(&plain), "{plain}");
    assert!(!t.reports().await.contains(&"traps is gone".to_owned()));
}

/// SHU-006: children are stopped one after the other, and the stop takes no longer than the sum of
/// their shutdown times.
#[tokio::test(start_paused = true)]
async fn shutdown_times_of_fixed_children_add_up() {
    let t = ScriptedChildren::new();
    let grace = Shutdown::Timeout(ms(150));
    let spec = ["a", "b", "c", "d"]
        .into_iter()
        .fold(Supervisor::one_for_one(), |spec, id| spec.child(deaf(id, grace)));
    let tree = spec.start(&t.rt).await.unwrap();
    settled().await;
    let children = tree.which_children().await.unwrap();
    let ended: Vec<_> = children.iter().map(|child| t.rt.ended(child.pid().unwrap())).collect();
    let start = Instant::now();
    assert_eq!(tree.stop().await, Ok(ExitReason::Shutdown));
    assert_eq!(start.elapsed(), ms(600));
    for ended in ended {
        assert_eq!(ended.await, ExitReason::Killed);
    }
}

/// SHU-009: an end with another reason than requested is logged, and the stop continues.
#[tokio::test(start_paused = true)]
async fn a_child_that_crashes_during_its_stop_counts_as_stopped() {
    hush_injected_panics();
    let mut t = ScriptedChildren::new();
    t.on_stop("b", Stop::Panics);
    let spec = Supervisor::one_for_one().child(t.child("a")).child(t.child("b"));
    let tree = spec.intensity(0, ms(1_000)).start(&t.rt).await.unwrap();
    let log = Log::listen();
    tree.terminate_child("b").await.unwrap();
    assert_eq!(states(&tree).await, ["a runs", "b stopped"]);
    let lines = log.take();
    let errors: Vec<_> = lines.iter().filter(|line| line.message == "shutdown error").collect();
    let [line] = errors[..] else { panic!("{lines:?}") };
    assert_eq!((line.field("child"), line.target.as_str()), ("b", "regrow::supervisor"));
    assert!(line.field("reason").contains("while it stopped"));
    tree.restart_child("b").await.unwrap();
    assert_eq!(tree.stop().await, Ok(ExitReason::Shutdown));
    let told = t.reports().await;
    assert_eq!(told[told.len() - 2..], ["b stops: shutdown", "a stops: shutdown"]);
}

/// T45: a child ends by itself just before it is stopped. The end keeps its own reason, and is no
/// error if the restart type of the child allows it.
#[tokio::test(start_paused = true)]
async fn a_child_that_finishes_as_it_is_stopped_keeps_its_own_reason() {
    let t = ScriptedChildren::new();
    let transient = t.child("a").restart(Restart::Transient);
    let tree = Supervisor::one_for_one().child(transient).start(&t.rt).await.unwrap();
    let log = Log::listen();
    t.end("a", ExitReason::Normal);
    tree.terminate_child("a").await.unwrap();
    let info = tree.which_child("a").await.unwrap();
    assert_eq!(info.history[0].reason, ExitReason::Normal);
    assert!(log.heads().iter().all(|head| !head.contains("shutdown error")));
}

/// SHU-011: at any depth, a stop takes no longer than the shutdown times of the children that
/// ignore it.
#[tokio::test(start_paused = true)]
async fn a_deep_tree_stops_within_its_shutdown_times() {
    let t = ScriptedChildren::new();
    let level = |id: &str, below: Option<SupervisorSpec>| {
        let ignorer = deaf(&format!("deaf in {id}"), Shutdown::Timeout(ms(100)));
        let spec = Supervisor::one_for_one().with_id(id).child(ignorer);
        below.into_iter().fold(spec, SupervisorSpec::child)
    };
    let spec = level("one", Some(level("two", Some(level("three", None)))));
    let tree = spec.start(&t.rt).await.unwrap();
    settled().await;
    let start = Instant::now();
    assert_eq!(tree.stop().await, Ok(ExitReason::Shutdown));
    assert!(start.elapsed() <= ms(330), "{:?}", start.elapsed());
    assert_eq!(t.rt.leftovers(), Leftovers::default());
}

/// SUP-032, T02: a killed supervisor leaves no process behind, not even one that traps exits.
#[tokio::test(start_paused = true)]
async fn a_killed_supervisor_leaves_no_children_behind() {
    let mut t = ScriptedChildren::new();
    let inner = Supervisor::one_for_one().with_id("inner").child(t.child("b"));
    let plain = ChildSpec::task("plain", |_| std::future::pending());
    let ignorer = deaf("deaf", Shutdown::Timeout(ms(5_000)));
    let spec =
        Supervisor::one_for_one().child(t.child("a")).child(inner).child(plain).child(ignorer);
    let tree = spec.start(&t.rt).await.unwrap();
    assert_eq!(t.reports().await, ["a starts", "b starts"]);
    let plain = tree.which_child("plain").await.unwrap().pid().unwrap();
    let ended = t.rt.ended(plain);
    t.rt.kill(tree.pid().unwrap());
    assert_eq!(ended.await, ExitReason::Killed);
    let mut told = t.reports().await;
    told.sort();
    assert_eq!(told, ["a stops: killed", "b stops: shutdown"]);
    assert_eq!(t.rt.process_count(), 1, "a child that ignores it has its shutdown time");
    tokio::time::sleep(ms(5_000)).await;
    assert_eq!(t.rt.leftovers(), Leftovers::default());
}

/// T03: a supervisor is killed while it waits for a child to stop. No process is left after the
/// shutdown time of that child, not even the child.
#[tokio::test(start_paused = true)]
async fn a_supervisor_killed_during_a_stop_leaves_no_child_behind() {
    let t = ScriptedChildren::new();
    let ignorer = deaf("deaf", Shutdown::Timeout(ms(1_000)));
    let tree = Supervisor::one_for_one().child(ignorer).start(&t.rt).await.unwrap();
    let ended = t.rt.ended(tree.which_child("deaf").await.unwrap().pid().unwrap());
    settled().await;
    tokio::select! {
        _ = tree.terminate_child("deaf") => panic!("it ignores that"),
        () = tokio::time::sleep(ms(1)) => t.rt.kill(tree.pid().unwrap()),
    };
    let killed = Instant::now();
    assert_eq!(ended.await, ExitReason::Killed);
    assert_eq!(killed.elapsed(), ms(1_000));
}

/// T03: a child with `Shutdown::Infinity` is asked to stop, and is never killed.
#[tokio::test(start_paused = true)]
async fn an_infinity_child_outlives_a_killed_supervisor() {
    let t = ScriptedChildren::new();
    let ignorer = deaf("deaf", Shutdown::Infinity);
    let tree = Supervisor::one_for_one().child(ignorer).start(&t.rt).await.unwrap();
    let deaf = tree.which_child("deaf").await.unwrap().pid().unwrap();
    settled().await;
    t.rt.kill(tree.pid().unwrap());
    tokio::time::sleep(Duration::from_secs(3600)).await;
    assert!(t.rt.is_alive(deaf), "it was asked");
    support::killed(&t.rt, deaf).await;
}

/// T01: several children end while the supervisor waits for one child to stop, and none of their
/// ends is lost.
#[tokio::test(start_paused = true)]
async fn exits_during_a_stop_of_another_child_are_not_lost() {
    let mut t = ScriptedChildren::new();
    t.on_stop("slow", Stop::Takes(ms(1_000)));
    let spec = Supervisor::one_for_one().child(t.child("a")).child(t.child("b"));
    let tree = spec.child(t.child("slow")).start(&t.rt).await.unwrap();
    t.reports().await;
    let (stopped, ()) = tokio::join!(tree.terminate_child("slow"), async {
        tokio::time::sleep(ms(500)).await;
        t.crash("a");
        t.crash("b");
    });
    assert_eq!(stopped, Ok(()));
    let told = t.reports().await;
    assert_eq!(told[..2], ["slow stops: shutdown", "a stops: boom"]);
    assert_eq!(told[2..], ["b stops: boom", "slow is gone", "a starts", "b starts"]);
    assert_eq!(counts(&tree.count_children().await.unwrap()), (3, 2, 0, 3));
}

/// Starts so many watchers of a child that they are notified of its end in slices. The first of them lets
/// the shutdown time of the child pass, and then the other ones are notified.
fn watch_slowly(rt: &Runtime, child: &str, shutdown: Duration) {
    let child = rt.whereis(child).expect("it runs");
    for at in 0..2_000 {
        let watcher = rt.spawn(async move |mut ctx: regrow::Context| {
            ctx.recv().await;
            if at == 0 {
                tokio::time::advance(2 * shutdown).await;
            }
        });
        rt.monitor(watcher.pid(), child);
    }
}

/// A child that has ended in time did not overrun it, however long it takes until all of its watchers are
/// notified.
#[tokio::test(start_paused = true)]
async fn a_child_that_ends_in_time_and_is_watched_by_many_is_not_late() {
    let watched = || {
        let child = ChildSpec::task("watched", |_| std::future::pending()).named("watched");
        child.shutdown(Shutdown::Timeout(ms(50)))
    };
    let log = Log::listen();
    let rt = Runtime::new();
    let tree = Supervisor::one_for_one().child(watched()).start(&rt).await.unwrap();
    watch_slowly(&rt, "watched", ms(50));
    settled().await;
    let began = Instant::now();
    tree.terminate_child("watched").await.unwrap();
    assert!(began.elapsed() >= ms(100), "its shutdown time is over");
    tree.stop().await.unwrap();
    let dynamic = DynamicSupervisor::new().start(&rt).await.unwrap();
    dynamic.start_child(watched()).await.unwrap();
    watch_slowly(&rt, "watched", ms(50));
    settled().await;
    let began = Instant::now();
    dynamic.stop().await.unwrap();
    assert!(began.elapsed() >= ms(100), "its shutdown time is over");
    let lines = log.take();
    assert!(lines.iter().all(|line| !line.message.contains("shutdown error")), "{lines:?}");
}
