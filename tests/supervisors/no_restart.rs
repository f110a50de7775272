//! Children that decide by the reason of their end: not to be restarted, or to end the tree.

use crate::support;

use std::error::Error;
use std::fmt;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use regrow::{
    AutoShutdown, Backoff, ChildError, ChildSpec, DynamicSupervisor, ExitReason, GenServer,
    LifecycleEvent, Limit, NoRestart, Reply, Restart, Result, Run, RunError, Runtime,
    ServerContext, StartError, StopCause, Supervisor, SupervisorRef, TaskContext,
};
use support::scripted_children::{ScriptedChildren, Start, limit, states};
use support::settled;
use tokio::sync::Notify;

/// An error that contains another one.
#[derive(Debug)]
struct Wrapped(Box<dyn Error + Send + Sync>);

impl fmt::Display for Wrapped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the import failed")
    }
}

impl Error for Wrapped {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&*self.0)
    }
}

fn quiet(id: &str) -> ChildSpec {
    ChildSpec::task(id, |_| std::future::pending()).named(id)
}

/// How a child passes its decision on.
#[derive(Debug, Clone, Copy)]
enum Way {
    Direct,
    Question,
    InsideAnError,
}

fn through(way: Way, reason: ExitReason) -> Result {
    match way {
        Way::Direct => Err(reason),
        Way::Question => {
            let plain = || -> Result<(), Box<dyn Error + Send + Sync>> {
                Err(reason.into_error())?;
                Ok(())
            };
            plain()?;
            Ok(())
        }
        Way::InsideAnError => Err(Wrapped(reason.into_error().into()))?,
    }
}

/// A permanent task that gives up stays down, whatever way its reason takes.
#[tokio::test(start_paused = true)]
async fn a_child_that_asks_not_to_be_restarted_is_given_up() {
    for way in [Way::Direct, Way::Question, Way::InsideAnError] {
        for restart in [Restart::Permanent, Restart::Transient] {
            let rt = Runtime::new();
            let mut events = rt.events();
            let child = ChildSpec::task("a", move |ctx: TaskContext| async move {
                through(way, ctx.give_up("license expired"))
            });
            let child = child.named("a").restart(restart);
            let spec = Supervisor::one_for_all().child(child).child(quiet("b"));
            let tree = spec.start(&rt).await.unwrap();
            settled().await;
            assert_eq!(states(&tree).await, ["a given up", "b runs"], "{way:?}");
            let child = tree.which_child("a").await.unwrap();
            assert_eq!(child.restarts, 0);
            let ended = loop {
                if let LifecycleEvent::ChildEnded { child, .. } = events.next().await.unwrap() {
                    break child;
                }
            };
            assert_eq!(ended, "a");
            assert!(rt.register("a", rt.whereis("b").unwrap()), "its name is free");
        }
    }
}

/// A server that gives up, or ends the tree, on request.
struct Deciding;

impl GenServer for Deciding {
    type Args = ();
    type Call = Reply<ExitReason>;
    type Cast = ExitReason;

    async fn init((): (), _: &mut ServerContext<Self>) -> Result<Self> {
        Ok(Deciding)
    }

    async fn handle_call(
        &mut self,
        reply: Reply<ExitReason>,
        ctx: &mut ServerContext<Self>,
    ) -> Result {
        reply.send(ctx.give_up("no more"));
        Ok(())
    }

    async fn handle_cast(&mut self, reason: ExitReason, _: &mut ServerContext<Self>) -> Result {
        Err(reason)
    }
}

/// The decision counts only for the process that made it.
#[tokio::test(start_paused = true)]
async fn the_decision_of_another_process_is_an_ordinary_crash() {
    let rt = Runtime::new();
    let child = |id: &str| Deciding::child(()).with_id(id).named(id);
    let tree = Supervisor::one_for_one().intensity(9, Duration::from_secs(9));
    let tree = tree.child(child("a")).child(child("b")).start(&rt).await.unwrap();
    let [a, b] = ["a", "b"].map(|name| rt.server::<Deciding>(name));
    let of_a = a.call(|reply| reply).await.unwrap();
    assert!(b.cast(of_a.clone()), "b ends with the reason of a");
    settled().await;
    assert!(b.cast(ExitReason::from(Wrapped(of_a.clone().into_error().into()))));
    settled().await;
    rt.exit(b.pid().unwrap(), of_a.clone());
    settled().await;
    assert_eq!(states(&tree).await, ["a runs", "b runs"]);
    assert_eq!(tree.which_child("b").await.unwrap().restarts, 3);

    assert!(a.cast(of_a.clone()));
    settled().await;
    assert_eq!(states(&tree).await, ["a given up", "b runs"]);
    // The next incarnation is another process.
    tree.restart_child("a").await.unwrap();
    assert!(a.cast(of_a));
    settled().await;
    assert_eq!(states(&tree).await, ["a runs", "b runs"]);
}

/// A task that ends with this reason after a notification.
fn ends_after(
    id: &str,
    go: &Arc<Notify>,
    reason: impl Fn(&TaskContext) -> ExitReason + Clone + Send + Sync + 'static,
) -> ChildSpec {
    let go = go.clone();
    ChildSpec::task(id, move |ctx: TaskContext| {
        let (go, reason) = (go.clone(), reason.clone());
        async move {
            go.notified().await;
            Err(reason(&ctx))
        }
    })
}

/// The helper of a job crashes because the job has ended, and its exit comes first. The restart of
/// the group finds the job ended by its own decision.
#[tokio::test(start_paused = true)]
async fn a_restart_of_its_group_does_not_override_the_decision_of_a_child() {
    for (ends_tree, with_backoff, restart) in [
        (true, false, Restart::Permanent),
        (true, true, Restart::Temporary),
        (false, false, Restart::Transient),
        (false, true, Restart::Permanent),
    ] {
        let (rt, go) = (Runtime::new(), [(); 2].map(|()| Arc::new(Notify::new())));
        let job = ends_after("job", &go[0], move |ctx| {
            if ends_tree { ctx.end_tree("all of it") } else { ctx.give_up("no more") }
        });
        let mut helper = ends_after("helper", &go[1], |_| ExitReason::crashed("its job is gone"));
        if with_backoff {
            helper = helper.backoff(Backoff::new());
        }
        let job = job.named("job").restart(restart);
        let tree = Supervisor::one_for_all().child(job).child(helper).start(&rt).await.unwrap();
        settled().await;
        let stranger = rt.spawn(async |_| std::future::pending().await).pid();
        for first_helper in go.iter().rev() {
            first_helper.notify_one();
        }
        if ends_tree {
            let reason = tree.ended().await;
            let limit = limit(&reason);
            assert_eq!((limit.child.as_str(), limit.limit), ("job", Limit::EndOfTree));
            continue;
        }
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert_eq!(states(&tree).await, ["job given up", "helper runs"]);
        assert_eq!(tree.which_child("helper").await.unwrap().restarts, 1);
        assert!(rt.register("job", stranger), "its name is free");
    }
}

/// Starts a tree of three supervisors, whose innermost child ends the tree with this reason.
async fn nested(rt: &Runtime, reason: ExitReason) -> SupervisorRef {
    let end = ChildSpec::task("end", move |ctx: TaskContext| {
        let reason = reason.clone();
        async move { Err(ctx.end_tree(reason)) }
    });
    let inner = Supervisor::one_for_one().with_id("inner").child(end.named("end"));
    let middle = Supervisor::rest_for_one().with_id("middle").child(inner).child(quiet("x"));
    Supervisor::one_for_all().named("root").child(middle).child(quiet("y")).start(rt).await.unwrap()
}

/// All supervisors up to the root end, and none is restarted.
#[tokio::test(start_paused = true)]
async fn a_child_ends_its_whole_tree() {
    let rt = Runtime::new();
    let mut events = rt.events();
    let reason = nested(&rt, ExitReason::crashed("bad schema")).await.ended().await;
    let mut at = &reason;
    for child in ["middle", "inner", "end"] {
        let limit = limit(at);
        assert_eq!((limit.child.as_str(), limit.limit), (child, Limit::EndOfTree));
        at = &limit.last;
    }
    let asked: &NoRestart = at.crash().unwrap().downcast_ref().unwrap();
    assert!(asked.ends_tree());
    assert_eq!(*asked.reason(), ExitReason::crashed("bad schema"));
    assert_eq!(rt.process_count(), 0);
    while let Some(event) = futures_util::FutureExt::now_or_never(events.next()).flatten() {
        assert!(!matches!(event, LifecycleEvent::Restarting { .. }), "{event:?}");
    }
}

/// A clean reason ends the tree cleanly.
#[tokio::test(start_paused = true)]
async fn a_clean_end_of_the_tree_is_clean_at_every_level() {
    let rt = Runtime::new();
    let reason = nested(&rt, ExitReason::Normal).await.ended().await;
    assert!(reason.is_clean(), "{reason}");
    assert_eq!(rt.process_count(), 0);
}

/// The run returns the path, and exit code 1 or 0.
#[tokio::test(start_paused = true)]
async fn a_run_whose_tree_a_child_ended() {
    let tree = |reason: ExitReason| {
        let end = ChildSpec::task("migrate", move |ctx: TaskContext| {
            let reason = reason.clone();
            async move { Err(ctx.end_tree(reason)) }
        });
        let inner = Supervisor::one_for_one().with_id("data").child(end);
        Run::new(Supervisor::one_for_one().named("app").child(inner)).without_signals()
    };
    let error = tree(ExitReason::crashed("bad schema")).run().await.unwrap_err();
    assert_eq!(format!("{:?}", error.exit_code()), format!("{:?}", ExitCode::FAILURE));
    let RunError::GaveUp { path, limit, .. } = error else { panic!("{error}") };
    assert_eq!((path.as_str(), limit.limit), ("app/data/migrate", Limit::EndOfTree));
    assert!(limit.last.crash().unwrap().downcast_ref::<NoRestart>().is_some());

    let report = tree(ExitReason::Normal).run().await.unwrap();
    assert_eq!(report.cause, StopCause::TreeEnded);
}

/// A server whose init ends the tree at its second start.
struct Init;

impl GenServer for Init {
    type Args = ();
    type Call = Reply<()>;
    type Cast = ();

    async fn init((): (), ctx: &mut ServerContext<Self>) -> Result<Self> {
        match ctx.start_cause().restarts() {
            0 => Ok(Init),
            1 => Err(ctx.end_tree("the second start")),
            _ => panic!("it was tried again"),
        }
    }
}

/// The decision may be made in the init of a restart, also of a nested supervisor.
#[tokio::test(start_paused = true)]
async fn an_init_may_end_the_tree_at_a_restart() {
    for kill_inner in [false, true] {
        let rt = Runtime::new();
        let first = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(true));
        let child = if kill_inner {
            let start = move |ctx: TaskContext| {
                let first = first.clone();
                async move {
                    if first.swap(false, std::sync::atomic::Ordering::Relaxed) {
                        std::future::pending().await
                    }
                    Err(ctx.end_tree("the second start"))
                }
            };
            ChildSpec::task("a", start).named("a")
        } else {
            Init::child(()).with_id("a").named("a")
        };
        let inner = Supervisor::one_for_one().named("inner").child(child);
        let tree = Supervisor::one_for_one().child(inner).start(&rt).await.unwrap();
        let victim = if kill_inner { "inner" } else { "a" };
        rt.kill(rt.whereis(victim).unwrap());
        let reason = tree.ended().await;
        let inner = &limit(&reason).last;
        assert_eq!(limit(&reason).limit, Limit::EndOfTree);
        assert_eq!((limit(inner).child.as_str(), limit(inner).limit), ("a", Limit::EndOfTree));
    }
}

/// A start on request: the caller gets the error first.
#[tokio::test(start_paused = true)]
async fn an_init_may_decide_in_a_start_on_request() {
    for new in [true, false] {
        let t = ScriptedChildren::new();
        let tree = Supervisor::one_for_one().child(t.child("a")).start(&t.rt).await.unwrap();
        tree.terminate_child("a").await.unwrap();
        t.next_starts("a", [Start::GivesUp]);
        assert!(matches!(tree.restart_child("a").await, Err(ChildError::NotStarted(_))));
        assert_eq!(states(&tree).await, ["a given up"]);

        let id = if new { "b" } else { "a" };
        t.next_starts(id, [Start::GivesUp, Start::EndsTree]);
        for left in ["a given up", "none: the tree ends"] {
            if new {
                let started = tree.start_child(t.child("b")).await;
                assert!(matches!(started, Err(StartError::Failed(_))), "{started:?}");
            } else {
                let started = tree.restart_child("a").await;
                assert!(matches!(started, Err(ChildError::NotStarted(_))), "{started:?}");
            }
            settled().await;
            assert_eq!(tree.is_alive(), left == "a given up");
            if tree.is_alive() {
                assert_eq!(states(&tree).await, [left]);
            }
        }
        let reason = tree.ended().await;
        let limit = limit(&reason);
        assert_eq!((limit.child.as_str(), limit.limit), (id, Limit::EndOfTree));
    }
}

/// The init of a supervisor has the same methods.
#[tokio::test(start_paused = true)]
async fn the_init_of_a_supervisor_may_end_the_tree() {
    let rt = Runtime::new();
    let inner = Supervisor::with_init(|ctx| async move {
        match ctx.start_cause().restarts() {
            0 => Ok(Supervisor::one_for_one()),
            _ => Err(ctx.end_tree("the second start")),
        }
    });
    let tree = Supervisor::one_for_one().child(inner.named("inner")).start(&rt).await.unwrap();
    rt.kill(rt.whereis("inner").unwrap());
    let reason = tree.ended().await;
    let limit = limit(&reason);
    assert_eq!((limit.child.as_str(), limit.limit), ("inner", Limit::EndOfTree));
}

/// Under a dynamic supervisor.
#[tokio::test(start_paused = true)]
async fn a_dynamic_child_is_removed_or_ends_the_tree() {
    let rt = Runtime::new();
    let jobs = DynamicSupervisor::new().named("jobs");
    let tree = Supervisor::one_for_one().child(jobs).start(&rt).await.unwrap();
    let jobs = regrow::DynamicSupervisorRef::named(&rt, "jobs");
    let gives_up =
        ChildSpec::task("a", |ctx: TaskContext| async move { Err(ctx.give_up("no more")) });
    jobs.start_child(gives_up.named("a")).await.unwrap();
    settled().await;
    assert!(jobs.which_children().await.unwrap().is_empty());
    assert!(rt.register("a", rt.whereis("jobs").unwrap()), "its name is free");

    let ends =
        ChildSpec::task("b", |ctx: TaskContext| async move { Err(ctx.end_tree("all of it")) });
    jobs.start_child(ends.restart(Restart::Temporary)).await.unwrap();
    let reason = tree.ended().await;
    assert_eq!(limit(&limit(&reason).last).child, "b");
    assert_eq!(rt.process_count(), 0);
}

/// The child ended by itself: it is not reported again as one that was stopped.
#[tokio::test(start_paused = true)]
async fn the_end_of_a_dynamic_child_that_ends_the_tree_is_no_failed_stop() {
    let rt = Runtime::new();
    let mut events = rt.events();
    let jobs = DynamicSupervisor::new().start(&rt).await.unwrap();
    let ends = |ctx: TaskContext| async move { Err(ctx.end_tree(ExitReason::Normal)) };
    jobs.start_child(ChildSpec::task("b", ends)).await.unwrap();
    assert!(jobs.ended().await.is_clean());
    let mut ends = 0;
    while let Some(event) = futures_util::FutureExt::now_or_never(events.next()).flatten() {
        assert!(!matches!(event, LifecycleEvent::ShutdownFailed { .. }), "{event:?}");
        ends += u32::from(matches!(event, LifecycleEvent::ChildEnded { .. }));
    }
    assert_eq!(ends, 1);
}

/// A raw process and a blocking child have the same methods.
#[tokio::test]
async fn blocking_children_and_raw_processes_decide_as_well() {
    let rt = Runtime::new();
    let child = ChildSpec::blocking("a", |ctx| Err(ctx.give_up("no more")));
    let tree = Supervisor::one_for_one().start(&rt).await.unwrap();
    let pid = tree.start_child(child).await.unwrap();
    rt.ended(pid).await;
    assert_eq!(states(&tree).await, ["a given up"]);
    let raw = rt.spawn_fallible(|ctx| async move { Err(ctx.give_up("no more")) });
    let pid = raw.pid();
    let reason = raw.join().await;
    let own: &NoRestart = reason.crash().unwrap().downcast_ref().unwrap();
    assert_eq!((own.by(), own.ends_tree()), (pid, false));
}

/// Another tree has ended by the decision of its child. Its reason, passed on, is an ordinary crash.
#[tokio::test(start_paused = true)]
async fn the_end_of_another_tree_is_an_ordinary_crash_of_the_child_that_passes_it_on() {
    let rt = Runtime::new();
    let ends = ChildSpec::task("ends", async |ctx: TaskContext| Err(ctx.end_tree("no license")));
    let other = Supervisor::one_for_one().child(ends).start(&rt).await.unwrap();
    let reason = other.ended().await;
    assert_eq!(limit(&reason).limit, Limit::EndOfTree);
    let starts = Arc::new(std::sync::atomic::AtomicU32::new(0));
    let child = ChildSpec::task("passes on", {
        let starts = starts.clone();
        async move |_: TaskContext| match starts.fetch_add(1, std::sync::atomic::Ordering::SeqCst) {
            0 => Err(reason),
            _ => std::future::pending().await,
        }
    });
    let tree = Supervisor::one_for_one().child(child).start(&rt).await.unwrap();
    settled().await;
    assert_eq!(states(&tree).await, ["passes on runs"]);
    assert_eq!(starts.load(std::sync::atomic::Ordering::SeqCst), 2);
}

/// The decision of a significant child that a restart of its group finds counts for the supervisor.
#[tokio::test(start_paused = true)]
async fn a_significant_child_that_a_restart_of_its_group_finds_given_up_ends_the_supervisor() {
    let (rt, go) = (Runtime::new(), [(); 2].map(|()| Arc::new(Notify::new())));
    let job = ends_after("job", &go[0], |ctx| ctx.give_up("no more"));
    let helper = ends_after("helper", &go[1], |_| ExitReason::crashed("its job is gone"));
    let job = job.restart(Restart::Transient).significant(true);
    let spec = Supervisor::one_for_all().auto_shutdown(AutoShutdown::AnySignificant);
    let tree = spec.child(job).child(helper).start(&rt).await.unwrap();
    settled().await;
    for first_helper in go.iter().rev() {
        first_helper.notify_one();
    }
    assert_eq!(tree.ended().await, ExitReason::Shutdown);
}

/// A server whose starts are scripted by their number.
struct Scripted;

impl GenServer for Scripted {
    type Args = (Arc<std::sync::atomic::AtomicU32>, bool);
    type Call = Reply<()>;
    type Cast = ();

    async fn init((starts, ends_tree): Self::Args, ctx: &mut ServerContext<Self>) -> Result<Self> {
        match (starts.fetch_add(1, std::sync::atomic::Ordering::SeqCst), ends_tree) {
            (0, false) => Ok(Scripted),
            (_, false) => Err(ctx.give_up("no more")),
            (_, true) => Err(ctx.end_tree("all of it")),
        }
    }

    async fn handle_cast(&mut self, (): (), _: &mut ServerContext<Self>) -> Result {
        Err("as asked")?
    }
}

#[tokio::test(start_paused = true)]
async fn an_init_under_a_dynamic_supervisor_may_decide() {
    for ends_tree in [false, true] {
        let rt = Runtime::new();
        let starts = Arc::new(std::sync::atomic::AtomicU32::new(0));
        let tree = DynamicSupervisor::new().start(&rt).await.unwrap();
        let child = Scripted::child((starts.clone(), ends_tree)).named("scripted");
        let started = tree.start_child(child).await;
        if ends_tree {
            assert!(matches!(started, Err(StartError::Failed(_))), "{started:?}");
            let reason = tree.ended().await;
            assert_eq!(limit(&reason).limit, Limit::EndOfTree);
            continue;
        }
        assert!(rt.server::<Scripted>("scripted").cast(()));
        settled().await;
        assert_eq!(starts.load(std::sync::atomic::Ordering::SeqCst), 2);
        assert_eq!(tree.count_children().await.unwrap().specs, 0, "it is removed");
        assert!(tree.is_alive());
    }
}
