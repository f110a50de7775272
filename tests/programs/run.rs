//! A tree run as a program: the causes of its end, the time limits of its stop, and its report.

use crate::support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use regrow::{
    ChildSpec, CutShort, ExitReason, LifecycleEvent, Restart, Run, RunError, Runtime, Shutdown,
    StartError, StopCause, StopOutcome, StopReport, Supervisor, SupervisorRef,
};
use support::{crash, settled};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

const SECOND: Duration = Duration::from_secs(1);

/// Makes a child that ends at the request to stop.
fn polite(id: &str) -> ChildSpec {
    ChildSpec::task(id, |_| std::future::pending())
}

/// Makes a child that stops after a delay.
fn slow(id: &str, takes: Duration) -> ChildSpec {
    ChildSpec::task(id, move |mut ctx| async move {
        let stop = ctx.cancellation_token();
        stop.cancelled().await;
        tokio::time::sleep(takes).await;
        Ok(())
    })
}

/// Makes a child that ignores the request to stop.
fn deaf(id: &str) -> ChildSpec {
    slow(id, Duration::from_secs(1 << 30))
}

/// Starts the program, cancels its token when all children run, and returns the outcome.
async fn stopped(run: Run) -> Result<StopReport, RunError> {
    let stop = CancellationToken::new();
    let program = tokio::spawn(run.without_signals().stop_on(stop.clone()).run());
    settled().await;
    stop.cancel();
    program.await.unwrap()
}

fn outcomes(report: &StopReport) -> Vec<(&str, &StopOutcome, Duration)> {
    let told = report.children.iter();
    told.map(|child| (child.path.as_str(), &child.outcome, child.took)).collect()
}

#[tokio::test(start_paused = true)]
async fn a_clean_stop_is_in_reverse_order_and_lasts_as_long_as_its_slowest_steps() {
    let inner =
        Supervisor::one_for_one().with_id("inner").child(polite("b")).child(slow("c", SECOND));
    let tree = Supervisor::one_for_one().named("app").child(polite("a")).child(inner);
    let report = stopped(Run::new(tree)).await.unwrap();
    let shutdown = StopOutcome::Stopped(ExitReason::Shutdown);
    assert_eq!(
        outcomes(&report),
        [
            ("app/inner/c", &shutdown, SECOND),
            ("app/inner/b", &shutdown, Duration::ZERO),
            ("app/inner", &shutdown, SECOND),
            ("app/a", &shutdown, Duration::ZERO),
        ]
    );
    assert_eq!((&report.cause, report.took, report.forced), (&StopCause::Token, SECOND, false));
    assert!(report.is_clean());
    let text = report.to_string();
    assert!(text.starts_with("stopped by its token in 1.0s\n"), "{text}");
    assert!(text.contains("app/inner/c") && text.contains("stopped (shutdown)"), "{text}");
}

/// The earlier of the child's shutdown time and the common deadline applies to each child.
#[tokio::test(start_paused = true)]
async fn a_stop_respects_each_shutdown_time_and_the_common_deadline() {
    let own = |id: &str, time| deaf(id).shutdown(Shutdown::Timeout(time));
    let tree = Supervisor::one_for_one()
        .named("app")
        .child(polite("last"))
        .child(own("second", 30 * SECOND))
        .child(own("first", 2 * SECOND));
    let report = stopped(Run::new(tree).deadline(5 * SECOND)).await.unwrap();
    assert_eq!(
        outcomes(&report),
        [
            ("app/first", &StopOutcome::Killed, 2 * SECOND),
            ("app/second", &StopOutcome::Killed, 5 * SECOND),
            ("app/last", &StopOutcome::NotAsked(CutShort::Deadline), 5 * SECOND),
        ]
    );
    assert_eq!((report.took, report.forced, report.is_clean()), (5 * SECOND, true, false));
}

/// A stop of any two kinds of children ends by its deadline and leaves no process.
#[tokio::test(start_paused = true)]
async fn a_stop_of_any_mix_of_children_ends_by_the_deadline() {
    let kinds: [fn(&str) -> ChildSpec; 5] = [
        polite,
        |id| slow(id, SECOND),
        |id| deaf(id).shutdown(Shutdown::Timeout(SECOND)),
        |id| deaf(id).shutdown(Shutdown::Infinity),
        |id| deaf(id).shutdown(Shutdown::BrutalKill),
    ];
    for one in kinds {
        for two in kinds {
            let rt = Runtime::new();
            let inner = Supervisor::rest_for_one().with_id("inner").child(one("x")).child(two("y"));
            let tree = Supervisor::one_for_one().child(two("a")).child(inner).child(one("b"));
            let report = stopped(Run::new(tree).on(&rt).deadline(10 * SECOND)).await.unwrap();
            assert!(report.took <= 10 * SECOND, "{report}");
            assert_eq!(report.children.len(), 5, "{report}");
            assert_eq!(rt.leftovers(), regrow::Leftovers::default());
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_given_up_child_fails_the_run_with_its_path() {
    let lost = ChildSpec::task("feed", |_| async { Err(crash("no route")) });
    let inner = Supervisor::one_for_one().with_id("ingest").intensity(1, SECOND).child(lost);
    let tree = Supervisor::one_for_one().named("app").intensity(0, SECOND).child(inner);
    let error = Run::new(tree).without_signals().run().await.unwrap_err();
    let RunError::GaveUp { path, limit, .. } = &error else { panic!("{error}") };
    assert_eq!(
        (path.as_str(), limit.restarts, &limit.last),
        ("app/ingest/feed", 1, &crash("no route"))
    );
    assert!(error.to_string().starts_with("app/ingest/feed was given up: "), "{error}");
    assert!(error.to_string().ends_with(": no route"), "{error}");
    // The child ended with a crash reason and no error value, so there is no source.
    assert!(std::error::Error::source(&error).is_none());
    assert_eq!(format!("{error:?}"), error.to_string());
}

#[tokio::test(start_paused = true)]
async fn a_failed_start_fails_the_run_with_the_child_and_its_reason() {
    let bad = ChildSpec::new("bad", Refusing);
    let tree = Supervisor::one_for_one().child(polite("good")).child(bad);
    let error = Run::new(tree).without_signals().run().await.unwrap_err();
    assert!(matches!(&error, RunError::Start(StartError::Child { id, .. }) if id == "bad"));
    assert!(error.to_string().contains("out of order"), "{error}");
}

struct Refusing;

#[async_trait::async_trait]
impl regrow::StartChild for Refusing {
    async fn start(&self, _: &mut regrow::StartContext) -> Result<regrow::Started, StartError> {
        Err(StartError::Failed(crash("out of order")))
    }
}

#[tokio::test(start_paused = true)]
async fn a_tree_that_is_stopped_by_other_code_ends_the_run() {
    let rt = Runtime::new();
    let tree = Supervisor::one_for_one().named("app").child(polite("a"));
    let program = tokio::spawn(Run::new(tree).on(&rt).without_signals().run());
    settled().await;
    SupervisorRef::named(&rt, "app").stop().await.unwrap();
    let report = program.await.unwrap().unwrap();
    assert_eq!((&report.cause, report.is_clean()), (&StopCause::TreeEnded, true));
    let killed = Supervisor::one_for_one().named("app").child(polite("a"));
    let program = tokio::spawn(Run::new(killed).on(&rt).without_signals().run());
    settled().await;
    rt.kill(rt.whereis("app").unwrap());
    let Err(RunError::Ended(reason)) = program.await.unwrap() else { panic!() };
    assert_eq!(reason, ExitReason::Killed);
}

#[tokio::test(start_paused = true)]
async fn cancel_on_stop_cancels_its_token_when_the_stop_begins() {
    let told = CancellationToken::new();
    let run = Run::new(Supervisor::one_for_one().child(slow("a", SECOND)));
    let began = Instant::now();
    let beside: JoinHandle<Duration> = tokio::spawn({
        let told = told.clone();
        async move {
            told.cancelled().await;
            began.elapsed()
        }
    });
    let report = stopped(run.cancel_on_stop(told)).await.unwrap();
    assert!(beside.await.unwrap() < SECOND);
    assert_eq!(report.took, SECOND);
}

/// A run shuts down the runtime that it created, and leaves a given runtime open.
#[tokio::test(start_paused = true)]
async fn a_run_leaves_a_given_runtime_open() {
    let rt = Runtime::new();
    let bystander = rt.spawn(|_| std::future::pending());
    let mut events = rt.events();
    let report = stopped(Run::new(Supervisor::one_for_one().child(polite("a"))).on(&rt)).await;
    assert!(report.unwrap().is_clean());
    assert!(rt.is_alive(bystander.pid()));
    let first = events.next().await.unwrap();
    assert!(matches!(first, LifecycleEvent::Spawned { .. }), "{first:?}");
}

/// A body that never awaits is named in the report and left behind. The run returns without it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_that_never_awaits_is_reported_as_not_yielding() {
    let rt = Runtime::new();
    let (free, up) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let spinning = ChildSpec::task("spinning", {
        let (free, up) = (free.clone(), up.clone());
        move |_| async move {
            up.store(true, Ordering::SeqCst);
            while !free.load(Ordering::SeqCst) {
                std::thread::yield_now();
            }
            Ok(())
        }
    });
    let tree = Supervisor::one_for_one().named("app").child(polite("a")).child(spinning);
    let stop = CancellationToken::new();
    let run =
        Run::new(tree).on(&rt).without_signals().stop_on(stop.clone()).deadline(Duration::ZERO);
    let program = tokio::spawn(run.run());
    support::until("the spinning child", || up.load(Ordering::SeqCst)).await;
    stop.cancel();
    let report = program.await.unwrap().unwrap();
    assert!(report.forced && !report.is_clean());
    let left: Vec<_> = report.children.iter().map(|c| (c.path.as_str(), &c.outcome)).collect();
    assert!(left.contains(&("app/spinning", &StopOutcome::NotYielding)), "{report}");
    free.store(true, Ordering::SeqCst);
    support::assert_nothing_left(&rt).await;
}

/// A temporary child that ends by itself during the stop is no failure.
#[tokio::test(start_paused = true)]
async fn a_child_that_ends_by_itself_during_a_stop_counts_as_stopped() {
    let quick = slow("quick", Duration::ZERO).restart(Restart::Temporary);
    let report = stopped(Run::new(Supervisor::one_for_one().child(quick))).await.unwrap();
    assert!(report.is_clean(), "{report}");
}
