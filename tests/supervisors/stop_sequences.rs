//! The stop of several children one after the other, in which the end of a child begins the stop of
//! the next one: each stop is like the stop of one child alone.

use crate::support;

use std::time::Duration;

use regrow::{
    Busy, ChildSpec, ExitReason, NodeState, Shutdown, Supervisor, SupervisorRef, SupervisorSpec,
};
use support::injected_panics::hush_injected_panics;
use support::log::Log;
use support::scripted_children::{ScriptedChildren, Stop, states};
use support::settled;
use tokio::time::{Instant, sleep};

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn over<const N: usize>(spec: SupervisorSpec, children: [ChildSpec; N]) -> SupervisorSpec {
    children.into_iter().fold(spec, SupervisorSpec::child)
}

/// Starts these children under `one_for_all`, and forgets the reports of their starts.
async fn start<const N: usize>(
    t: &mut ScriptedChildren,
    children: [ChildSpec; N],
) -> SupervisorRef {
    let tree = over(Supervisor::one_for_all(), children).start(&t.rt).await.unwrap();
    t.reports().await;
    tree
}

fn grace(child: ChildSpec, millis: u64) -> ChildSpec {
    child.shutdown(Shutdown::Timeout(ms(millis)))
}

/// The shutdown time of a child begins when the child is asked to stop, and not with the stop of the
/// group.
#[tokio::test(start_paused = true)]
async fn each_child_of_a_group_has_its_own_shutdown_time() {
    let mut t = ScriptedChildren::new();
    for id in ["a", "b", "c", "d"] {
        t.on_stop(id, Stop::Takes(ms(800)));
    }
    let children = t.children(["a", "b", "c", "d"]).map(|child| grace(child, 1_000));
    let tree = start(&mut t, children).await;
    let (log, began) = (Log::listen(), Instant::now());
    assert_eq!(tree.stop().await, Ok(ExitReason::Shutdown));
    assert_eq!(began.elapsed(), ms(3_200));
    assert!(log.heads().iter().all(|head| !head.contains("shutdown error")));
    let gone = ["d stops: shutdown", "d is gone", "c stops: shutdown", "c is gone"];
    let then = ["b stops: shutdown", "b is gone", "a stops: shutdown", "a is gone"];
    assert_eq!(t.reports().await, [gone, then].concat());
}

/// The child in the middle overruns its time. It is killed when its own time is over, and the stop
/// goes on with the next child.
#[tokio::test(start_paused = true)]
async fn a_late_child_of_a_group_is_killed_and_the_others_are_stopped_in_order() {
    let mut t = ScriptedChildren::new();
    t.on_stop("d", Stop::Takes(ms(100)));
    t.on_stop("c", Stop::Deaf);
    let children = t.children(["a", "b", "c", "d", "e"]).map(|child| grace(child, 1_000));
    let tree = start(&mut t, children).await;
    let c = t.rt.ended(t.rt.whereis("c").unwrap());
    let log = Log::listen();
    t.crash("e");
    sleep(ms(1_099)).await;
    let down = ["e stops: boom", "d stops: shutdown", "d is gone", "c stops: shutdown"];
    assert_eq!(t.reports().await, down);
    sleep(ms(1)).await;
    let rest = ["b stops: shutdown", "a stops: shutdown"];
    let up = ["a starts", "b starts", "c starts", "d starts", "e starts"];
    assert_eq!(t.reports().await, [&rest[..], &up].concat());
    assert_eq!(c.await, ExitReason::Killed);
    let lines = log.take();
    let late: Vec<_> =
        lines.iter().filter(|line| line.message.contains("shutdown error")).collect();
    let [line] = late[..] else { panic!("{lines:?}") };
    assert_eq!(line.head(), "WARN shutdown error: it overran its time");
    assert_eq!(line.field("child"), "c");
    tree.stop().await.unwrap();
}

/// The deadline of a later child may be earlier than that of the child before it, which ended in
/// time.
#[tokio::test(start_paused = true)]
async fn a_child_with_a_shorter_time_is_killed_at_its_own_deadline() {
    let mut t = ScriptedChildren::new();
    t.on_stop("b", Stop::Deaf);
    let [a, b, c] = t.children(["a", "b", "c"]);
    let children = [a, grace(b, 50), c.shutdown(Shutdown::Infinity)];
    let tree = start(&mut t, children).await;
    let began = Instant::now();
    assert_eq!(tree.stop().await, Ok(ExitReason::Shutdown));
    assert_eq!(began.elapsed(), ms(50));
    let told = ["c stops: shutdown", "b stops: shutdown", "a stops: shutdown"];
    assert_eq!(t.reports().await, told);
}

/// A child that has no limit follows one that has a limit, and the other way round.
#[tokio::test(start_paused = true)]
async fn children_without_a_limit_may_follow_children_with_one() {
    let mut t = ScriptedChildren::new();
    t.on_stop("b", Stop::Takes(ms(60_000)));
    t.on_stop("d", Stop::Takes(ms(500)));
    let [a, b, c, d] = t.children(["a", "b", "c", "d"]);
    let children =
        [grace(a, 10), b.shutdown(Shutdown::Infinity), c.shutdown(Shutdown::BrutalKill), d];
    let tree = start(&mut t, children).await;
    let began = Instant::now();
    assert_eq!(tree.stop().await, Ok(ExitReason::Shutdown));
    assert_eq!(began.elapsed(), ms(60_500));
    let told = ["d stops: shutdown", "d is gone", "b stops: shutdown", "b is gone"];
    assert_eq!(t.reports().await, [&told[..], &["a stops: shutdown"]].concat());
}

/// The end of the child in the middle is logged before the next child is asked to stop.
#[tokio::test(start_paused = true)]
async fn a_child_that_crashes_as_it_stops_is_logged_before_the_next_is_asked() {
    hush_injected_panics();
    let mut t = ScriptedChildren::new();
    t.on_stop("c", Stop::Panics);
    t.on_stop("b", Stop::Takes(ms(10)));
    let children = t.children(["a", "b", "c", "d"]);
    let tree = start(&mut t, children).await;
    let log = Log::listen();
    t.crash("d");
    // `b` is stopping.
    sleep(ms(5)).await;
    let errors = log.heads().into_iter().filter(|head| head.contains("shutdown error"));
    assert_eq!(errors.collect::<Vec<_>>(), ["WARN shutdown error"]);
    sleep(ms(5)).await;
    let down = ["d stops: boom", "c stops: shutdown", "b stops: shutdown", "b is gone"];
    let up = ["a stops: shutdown", "a starts", "b starts", "c starts", "d starts"];
    assert_eq!(t.reports().await, [&down[..], &up].concat());
    assert_eq!(tree.stop().await, Ok(ExitReason::Shutdown));
}

/// Two siblings crash together. The second has ended when its turn comes; its exit, which is queued,
/// is not handled as a second failure.
#[tokio::test(start_paused = true)]
async fn a_sibling_that_has_crashed_before_its_turn_causes_no_second_restart() {
    let mut t = ScriptedChildren::new();
    let children = t.children(["a", "b", "c", "d"]);
    let tree = start(&mut t, children).await;
    t.crash("d");
    t.crash("b");
    let told = t.reports().await;
    let down = ["d stops: boom", "b stops: boom", "c stops: shutdown", "a stops: shutdown"];
    assert_eq!(told, [&down[..], &["a starts", "b starts", "c starts", "d starts"]].concat());
    assert_eq!(states(&tree).await, ["a runs", "b runs", "c runs", "d runs"]);
    tree.stop().await.unwrap();
}

/// While a later child hangs, the children before it are shown as stopped, the one that hangs with
/// its own time, and the rest as running.
#[tokio::test(start_paused = true)]
async fn children_that_have_stopped_are_shown_as_stopped_while_a_later_one_hangs() {
    let mut t = ScriptedChildren::new();
    t.on_stop("b", Stop::Takes(ms(700)));
    t.on_stop("d", Stop::Takes(ms(200)));
    let children = t.children(["a", "b", "c", "d", "e"]);
    let tree = start(&mut t, children).await;
    t.crash("e");
    sleep(ms(300)).await;
    let snapshot = tree.tree().await.unwrap();
    let shown = ["a", "b", "c", "d", "e"].map(|id| snapshot.find(id).unwrap().state);
    let stopped = NodeState::Stopped;
    assert_eq!(shown, [NodeState::Running, NodeState::Stopping, stopped, stopped, stopped]);
    let Some(Busy::Stopping { child, elapsed }) = &snapshot.root.busy else {
        panic!("{snapshot}");
    };
    // 100 ms, and the time for which the snapshot waited for an answer.
    assert_eq!((child.as_str(), elapsed.as_millis()), ("b", 100 + 250));
    tree.stop().await.unwrap();
}

/// A sequence is limited; more children than that are stopped in several.
#[tokio::test(start_paused = true)]
async fn many_children_are_stopped_in_reverse_order() {
    let (stopped, mut order) = tokio::sync::mpsc::unbounded_channel();
    let rt = regrow::Runtime::new();
    let mut tree = Supervisor::one_for_all();
    for n in 0..300 {
        let stopped = stopped.clone();
        tree = tree.child(ChildSpec::task(format!("{n}"), move |mut ctx| async move {
            ctx.shutdown().await;
            let _ = stopped.send(n);
            Ok(())
        }));
    }
    let tree = tree.start(&rt).await.unwrap();
    settled().await;
    assert_eq!(tree.stop().await, Ok(ExitReason::Shutdown));
    let order: Vec<i32> = std::iter::from_fn(|| order.try_recv().ok()).collect();
    assert_eq!(order, (0..300).rev().collect::<Vec<_>>());
}
