//! How supervisors start: in order, completely or not at all, from valid and invalid
//! specifications.

use crate::support;

use std::time::Duration;

use regrow::{
    ChildSpec, ChildType, ExitReason, Inside, Leftovers, Restart, Shutdown, StartCause, StartError,
    Supervisor, SupervisorRef, SupervisorSpec,
};
use support::crash;
use support::reporter::counts;
use support::scripted_children::{ScriptedChildren, Start, Stop, states};
use tokio::sync::oneshot;

/// Adds these children in order.
fn over<const N: usize>(spec: SupervisorSpec, children: [ChildSpec; N]) -> SupervisorSpec {
    children.into_iter().fold(spec, SupervisorSpec::child)
}

/// SUP-001.
#[tokio::test(start_paused = true)]
async fn an_empty_supervisor_starts_and_stops() {
    let t = ScriptedChildren::new();
    let tree = Supervisor::one_for_one().start(&t.rt).await.unwrap();
    assert_eq!(counts(&tree.count_children().await.unwrap()), (0, 0, 0, 0));
    assert_eq!(tree.stop().await, Ok(ExitReason::Shutdown));
    assert_eq!(t.rt.leftovers(), Leftovers::default());
}

/// SUP-002, SUP-003: each child is started after the one before it is ready, and stopped after the
/// one after it has ended.
#[tokio::test(start_paused = true)]
async fn children_start_in_order_and_stop_in_reverse() {
    let mut t = ScriptedChildren::new();
    for id in ["a", "b", "c", "d", "e"] {
        t.on_stop(id, Stop::Takes(Duration::from_millis(10)));
    }
    let spec = over(Supervisor::one_for_one(), t.children(["a", "b", "c", "d", "e"]));
    let tree = spec.start(&t.rt).await.unwrap();
    assert_eq!(t.reports().await, ["a starts", "b starts", "c starts", "d starts", "e starts"]);
    assert_eq!(tree.stop().await, Ok(ExitReason::Shutdown));
    let stop = |id| [format!("{id} stops: shutdown"), format!("{id} is gone")];
    assert_eq!(t.reports().await, ["e", "d", "c", "b", "a"].map(stop).concat());
}

/// SUP-033: subtrees are stopped completely, the last child first, and no process is left when the
/// stop returns.
#[tokio::test(start_paused = true)]
async fn a_tree_stops_depth_first() {
    let mut t = ScriptedChildren::new();
    let inner = |id, children| over(Supervisor::one_for_one().with_id(id), children);
    let top = Supervisor::one_for_one()
        .child(inner("left", t.children(["a", "b"])))
        .child(inner("right", t.children(["c", "d"])));
    let tree = top.start(&t.rt).await.unwrap();
    assert_eq!(counts(&tree.count_children().await.unwrap()), (2, 2, 2, 0));
    assert_eq!(t.reports().await, ["a starts", "b starts", "c starts", "d starts"]);
    tree.stop().await.unwrap();
    assert_eq!(t.rt.leftovers(), Leftovers::default());
    assert_eq!(t.reports().await, ["d", "c", "b", "a"].map(|id| format!("{id} stops: shutdown")));
}

/// SUP-004, T15: after the failed start, another supervisor can use the names at once.
#[tokio::test(start_paused = true)]
async fn a_failed_child_start_stops_the_started_children_in_reverse() {
    let mut t = ScriptedChildren::new();
    t.next_starts("c", [Start::Fails]);
    let spec = over(Supervisor::one_for_one().named("top"), t.children(["a", "b", "c", "d"]));
    let error = spec.clone().start(&t.rt).await.unwrap_err();
    assert_eq!(t.rt.leftovers(), Leftovers::default());
    let why = Box::new(StartError::Failed(crash("c has no luck")));
    assert_eq!(error, StartError::Child { id: "c".into(), error: why });
    let told = ["a starts", "b starts", "c fails", "b stops: shutdown", "a stops: shutdown"];
    assert_eq!(t.reports().await, told);
    let tree = spec.start(&t.rt).await.unwrap();
    assert_eq!(t.rt.whereis("top"), tree.pid());
}

/// SUP-004: the error of a tree contains the path to the child that failed.
#[tokio::test(start_paused = true)]
async fn a_nested_start_failure_has_the_path_of_the_child() {
    let t = ScriptedChildren::new();
    t.next_starts("c", [Start::Fails]);
    let inner = Supervisor::one_for_one().with_id("inner").child(t.child("c"));
    let error = Supervisor::one_for_one().child(inner).start(&t.rt).await.unwrap_err();
    let StartError::Child { id, error } = error else { panic!("{error:?}") };
    assert_eq!(id, "inner");
    assert_eq!(
        error.to_string(),
        "child \"c\" was not started: it ended before it was ready: c has no luck"
    );
    assert_eq!(t.rt.leftovers(), Leftovers::default());
}

/// SUP-005.
#[tokio::test(start_paused = true)]
async fn a_supervisor_may_ignore_its_start() {
    let t = ScriptedChildren::new();
    let ignoring = || Supervisor::with_init(|ctx| async move { Err(ctx.ignore()) }).named("top");
    assert_eq!(ignoring().start(&t.rt).await.unwrap_err(), StartError::Ignored);
    assert_eq!(t.rt.leftovers(), Leftovers::default());
    let top = Supervisor::one_for_one().child(ignoring()).child(t.child("a"));
    let tree = top.start(&t.rt).await.unwrap();
    assert_eq!(states(&tree).await, ["top stopped", "a runs"]);
}

/// SUP-005: the `init` of a supervisor runs again at each restart, and its result is validated like
/// any specification.
#[tokio::test(start_paused = true)]
async fn a_supervisor_init_runs_at_each_start() {
    let mut t = ScriptedChildren::new();
    let [a, b] = t.children(["a", "b"]);
    let inner = Supervisor::with_init(move |ctx| async move {
        let child = match ctx.start_cause() {
            StartCause::First => a,
            _ => b,
        };
        Ok(Supervisor::one_for_all().intensity(0, Duration::from_secs(1)).child(child))
    });
    let tree = Supervisor::one_for_one().child(inner.named("inner")).start(&t.rt).await.unwrap();
    let inner = SupervisorRef::named(&t.rt, "inner");
    assert_eq!(states(&inner).await, ["a runs"]);
    t.crash("a");
    assert_eq!(t.reports().await, ["a starts", "a stops: boom", "b starts"]);
    assert_eq!(states(&inner).await, ["b runs"]);
    tree.stop().await.unwrap();

    let twice = Supervisor::with_init(|_| async {
        let child = || ChildSpec::task("x", |_| std::future::pending());
        Ok(Supervisor::one_for_one().child(child()).child(child()))
    });
    assert_eq!(twice.start(&t.rt).await.unwrap_err(), StartError::DuplicateId("x".into()));
    let failing = Supervisor::with_init(|_| async { Err(crash("no plan")) });
    assert_eq!(failing.start(&t.rt).await.unwrap_err(), StartError::Failed(crash("no plan")));
    let beside = Supervisor::with_init(|_| async { Ok(Supervisor::one_for_one()) });
    let error = beside.child(t.child("a")).start(&t.rt).await.unwrap_err();
    assert!(matches!(error, StartError::Invalid(what) if what.contains("with_init")));
    assert_eq!(t.rt.leftovers(), Leftovers::default());
}

/// SUP-006: a child that ignores its start is listed as stopped; a temporary one is not kept.
#[tokio::test(start_paused = true)]
async fn a_child_may_ignore_its_start() {
    let t = ScriptedChildren::new();
    t.next_starts("b", [Start::Ignores]);
    t.next_starts("x", [Start::Ignores]);
    let temporary = t.child("x").restart(Restart::Temporary);
    let spec = over(Supervisor::one_for_one(), t.children(["a", "b"])).child(temporary);
    let tree = spec.start(&t.rt).await.unwrap();
    assert_eq!(states(&tree).await, ["a runs", "b stopped"]);
    assert_eq!(counts(&tree.count_children().await.unwrap()), (2, 1, 0, 2));
    assert_eq!(tree.restart_child("b").await.unwrap(), t.rt.whereis("b").unwrap());
}

/// SUP-012, SUP-013.
#[tokio::test(start_paused = true)]
async fn invalid_settings_are_refused_before_any_child_starts() {
    let t = ScriptedChildren::new();
    let twice = over(Supervisor::one_for_one(), t.children(["a", "b", "a"]));
    assert_eq!(twice.start(&t.rt).await.unwrap_err(), StartError::DuplicateId("a".into()));
    let zero = Supervisor::one_for_one().intensity(1, Duration::ZERO).child(t.child("a"));
    let StartError::Invalid(what) = zero.clone().start(&t.rt).await.unwrap_err() else { panic!() };
    assert!(what.contains("period"));
    assert_eq!(t.rt.spawned(), 0);
    let top = Supervisor::one_for_one().child(zero.with_id("zero"));
    let error = top.start(&t.rt).await.unwrap_err();
    let error_of_child = Box::new(StartError::Invalid(what));
    assert_eq!(error, StartError::Child { id: "zero".into(), error: error_of_child });
    assert_eq!(t.rt.leftovers(), Leftovers::default());
}

/// SUP-014, SUP-015: the settings are returned as they were set. The default budget is three
/// restarts in five seconds.
#[tokio::test(start_paused = true)]
async fn child_spec_returns_the_default_settings() {
    let mut t = ScriptedChildren::new();
    let inner = Supervisor::one_for_one().with_id("inner");
    let tree = Supervisor::one_for_one().child(t.child("a")).child(inner);
    let tree = tree.start(&t.rt).await.unwrap();
    let worker = tree.child_spec("a").await.unwrap();
    let inner = tree.child_spec("inner").await.unwrap();
    for spec in [&worker, &inner] {
        assert_eq!((spec.get_restart(), spec.is_significant()), (Restart::Permanent, false));
        assert_eq!((spec.get_init_timeout(), spec.get_backoff()), (None, None));
    }
    assert_eq!((worker.id(), worker.name(), worker.kind()), ("a", Some("a"), ChildType::Worker));
    assert_eq!(worker.get_shutdown(), Shutdown::Timeout(Duration::from_secs(5)));
    assert_eq!((inner.id(), inner.name()), ("inner", None));
    assert_eq!((inner.kind(), inner.get_shutdown()), (ChildType::Supervisor, Shutdown::Infinity));
    let unknown = tree.child_spec("nobody").await.unwrap_err();
    assert_eq!(unknown.to_string(), "the supervisor has no child \"nobody\"");
    t.reports().await;
    for _ in 0..3 {
        t.crash("a");
        assert_eq!(t.reports().await, ["a stops: boom", "a starts"]);
    }
    t.crash("a");
    tree.ended().await;
}

/// SUP-031: the end of its parent stops a supervisor in order, and the supervisor ends with the
/// same reason.
#[tokio::test(start_paused = true)]
async fn the_end_of_its_parent_stops_a_supervisor_in_order() {
    for reason in [ExitReason::Shutdown, crash("parent"), ExitReason::Normal, ExitReason::Killed] {
        let mut t = ScriptedChildren::new();
        let spec = over(Supervisor::one_for_one().named("tree"), t.children(["a", "b"]));
        let (end, ends) = oneshot::channel::<ExitReason>();
        let (ready, is_ready) = oneshot::channel();
        let parent = t.rt.spawn_fallible(async move |ctx| {
            let tree = spec.start_link(&ctx).await?;
            assert!(ctx.runtime().link(Inside::pid(&ctx), tree.pid().unwrap()));
            ready.send(tree).unwrap();
            Err(ends.await.unwrap())
        });
        let tree = is_ready.await.unwrap();
        assert_eq!(t.reports().await, ["a starts", "b starts"]);
        let ended = tree.ended();
        end.send(reason.clone()).unwrap();
        assert_eq!(ended.await, reason);
        assert_eq!(t.reports().await, ["b stops: shutdown", "a stops: shutdown"]);
        assert_eq!(parent.join().await, reason);
        assert_eq!(t.rt.leftovers(), Leftovers::default());
    }
}

/// T52: a failed linked start returns an error, and sends no exit signal.
#[tokio::test(start_paused = true)]
async fn a_linked_start_that_fails_sends_no_exit() {
    let t = ScriptedChildren::new();
    t.next_starts("a", [Start::Fails]);
    let spec = Supervisor::one_for_one().child(t.child("a"));
    let parent = t.rt.spawn_fallible(async move |mut ctx| {
        ctx.runtime().set_trap_exit(Inside::pid(&ctx), true);
        assert!(matches!(spec.start_link(&ctx).await, Err(StartError::Child { .. })));
        let none = ctx.recv_timeout(Duration::from_secs(1)).await;
        assert!(none.is_none(), "{none:?}");
        Ok(())
    });
    assert_eq!(parent.join().await, ExitReason::Normal);
}

/// A start function that panics.
struct Panics;

#[async_trait::async_trait]
impl regrow::StartChild for Panics {
    async fn start(&self, _: &mut regrow::StartContext) -> Result<regrow::Started, StartError> {
        panic!("no configuration")
    }
}

/// A panic of a start function during the start of the tree is a crash of the supervisor. Before
/// the start returns, the earlier children have stopped in order, and their names are free.
#[tokio::test(start_paused = true)]
async fn a_panic_in_a_start_function_stops_the_started_children() {
    let mut t = ScriptedChildren::new();
    t.on_stop("a", Stop::Takes(Duration::from_secs(1)));
    let tree = || {
        let patient = Supervisor::one_for_one().child(t.child("a"));
        patient.child(ChildSpec::new("bad", Panics))
    };
    for _ in 0..2 {
        let error = tree().start(&t.rt).await.unwrap_err();
        assert!(matches!(&error, StartError::Failed(reason) if reason.is_abnormal()), "{error}");
        assert_eq!(t.rt.leftovers(), Leftovers::default());
    }
    let told = ["a starts", "a stops: shutdown", "a is gone"];
    assert_eq!(t.reports().await, [told, told].concat());
}

/// An exit that the parent sends is the same as the end of the parent, also a normal one.
#[tokio::test(start_paused = true)]
async fn any_exit_of_its_parent_stops_a_supervisor_with_that_reason() {
    for reason in [ExitReason::Normal, ExitReason::Shutdown, crash("x")] {
        let t = ScriptedChildren::new();
        let (child, sent) = (t.child("a"), reason.clone());
        let parent = t.rt.spawn_fallible(|mut ctx| async move {
            let rt = ctx.runtime();
            rt.set_trap_exit(ctx.pid(), true);
            let tree = Supervisor::one_for_one().child(child).start_link(&ctx).await?;
            let tree = tree.pid().unwrap();
            rt.exit(tree, sent.clone());
            assert_eq!(ctx.recv().await, support::exit(tree, sent));
            Ok(())
        });
        assert_eq!(parent.join().await, ExitReason::Normal, "{reason}");
        assert_eq!(t.rt.process_count(), 0);
    }
}
