//! A stop report attributes a delay only to the children that caused it, and stays short for
//! thousands of children.

use crate::support;

use std::collections::BTreeMap;
use std::future::pending;
use std::time::Duration;

use regrow::{
    ChildSpec, CutShort, DynamicSupervisor, DynamicSupervisorRef, ExitReason, Restart, Run,
    RunError, Runtime, Shutdown, StopOutcome, StopReport, Supervisor, SupervisorSpec,
};
use support::log::Log;
use support::settled;
use tokio_util::sync::CancellationToken;

const SECOND: Duration = Duration::from_secs(1);
const NOT_ASKED: StopOutcome = StopOutcome::NotAsked(CutShort::Deadline);
const HELD_UP: StopOutcome = StopOutcome::HeldUp(CutShort::Deadline);

fn polite(id: &str) -> ChildSpec {
    ChildSpec::task(id, |_| pending())
}

/// Makes a child that ignores the request to stop.
fn hung(id: &str) -> ChildSpec {
    let hung = ChildSpec::task(id, |mut ctx| async move {
        ctx.cancellation_token();
        pending().await
    });
    hung.shutdown(Shutdown::Infinity)
}

/// Starts a program of this tree, runs `started`, and stops the program by its token.
async fn stopped(
    rt: &Runtime,
    tree: SupervisorSpec,
    started: impl AsyncFnOnce(&Runtime),
) -> Result<StopReport, RunError> {
    let stop = CancellationToken::new();
    let run = Run::new(tree).on(rt).deadline(SECOND).without_signals().stop_on(stop.clone());
    let program = tokio::spawn(run.run());
    settled().await;
    started(rt).await;
    settled().await;
    stop.cancel();
    program.await.unwrap()
}

async fn report(tree: SupervisorSpec) -> StopReport {
    stopped(&Runtime::new(), tree, async |_| ()).await.unwrap()
}

fn outcomes(report: &StopReport) -> BTreeMap<&str, StopOutcome> {
    let children = report.children.iter();
    children.map(|child| (child.path.as_str(), child.outcome.clone())).collect()
}

fn holds(report: &StopReport, text: &str) -> usize {
    report.to_string().lines().filter(|line| line.contains(text)).count()
}

#[tokio::test(start_paused = true)]
async fn children_behind_a_hung_child_are_reported_as_not_asked() {
    let tree = (0..10).map(|at| polite(&format!("polite {at}")));
    let tree = tree.fold(Supervisor::one_for_one().named("app"), SupervisorSpec::child);
    let report = report(tree.child(hung("hung")).child(polite("first to stop"))).await;
    let told = outcomes(&report);
    assert_eq!(told["app/first to stop"], StopOutcome::Stopped(ExitReason::Shutdown));
    assert_eq!(told["app/hung"], StopOutcome::Killed);
    let behind = told.iter().filter(|(_, outcome)| **outcome == NOT_ASKED);
    assert_eq!((told.len(), behind.count()), (12, 10), "{report}");
    assert_eq!(holds(&report, "overran its time"), 1, "{report}");
    assert_eq!(holds(&report, "killed at the deadline before it was asked"), 10, "{report}");
    assert!(!report.is_clean());
}

/// Only the hung child is reported as killed, not the supervisors above it.
#[tokio::test(start_paused = true)]
async fn a_supervisor_that_waits_for_a_hung_child_is_reported_as_held_up() {
    let inner = Supervisor::one_for_one().with_id("inner").child(polite("a")).child(hung("hung"));
    let outer = Supervisor::one_for_one().with_id("outer").child(polite("b")).child(inner);
    let other = Supervisor::one_for_one().with_id("other").child(polite("c"));
    let tree = Supervisor::one_for_one().named("app").child(other).child(outer);
    let report = report(tree).await;
    let expected = [
        ("app/other", NOT_ASKED),
        ("app/other/c", NOT_ASKED),
        ("app/outer", HELD_UP),
        ("app/outer/b", NOT_ASKED),
        ("app/outer/inner", HELD_UP),
        ("app/outer/inner/a", NOT_ASKED),
        ("app/outer/inner/hung", StopOutcome::Killed),
    ];
    assert_eq!(outcomes(&report), BTreeMap::from(expected), "{report}");
    assert_eq!(holds(&report, "killed at the deadline while it stopped its children"), 2);
}

/// A dynamic supervisor asks all its children to stop at the same time, so a hung child does not
/// delay the others.
#[tokio::test(start_paused = true)]
async fn dynamic_siblings_of_a_hung_child_are_reported_as_stopped() {
    let rt = Runtime::new();
    let jobs = DynamicSupervisor::new().named("jobs");
    let tree = Supervisor::one_for_one().named("app").child(polite("before")).child(jobs);
    let start = async |rt: &Runtime| {
        let jobs = DynamicSupervisorRef::named(rt, "jobs");
        let brutal = polite("brutal").shutdown(Shutdown::BrutalKill);
        let timed = hung("hung").shutdown(Shutdown::Timeout(60 * SECOND));
        for child in [timed, polite("a"), polite("b"), brutal] {
            jobs.start_child(child.restart(Restart::Temporary)).await.unwrap();
        }
    };
    let report = stopped(&rt, tree, start).await.unwrap();
    let shutdown = StopOutcome::Stopped(ExitReason::Shutdown);
    let expected = [
        ("app/before", NOT_ASKED),
        ("app/jobs", HELD_UP),
        ("app/jobs/a", shutdown.clone()),
        ("app/jobs/b", shutdown),
        ("app/jobs/brutal", StopOutcome::KilledAtOnce),
        ("app/jobs/hung", StopOutcome::Killed),
    ];
    assert_eq!(outcomes(&report), BTreeMap::from(expected), "{report}");
}

/// The deadline passed before the supervisor stopped this child, so its `BrutalKill` was not
/// applied.
#[tokio::test(start_paused = true)]
async fn an_unreached_brutal_kill_child_is_reported_as_not_asked() {
    let brutal = polite("brutal").shutdown(Shutdown::BrutalKill);
    let tree = Supervisor::one_for_one().named("app").child(brutal).child(hung("hung"));
    let report = report(tree).await;
    let expected = [("app/brutal", NOT_ASKED), ("app/hung", StopOutcome::Killed)];
    assert_eq!(outcomes(&report), BTreeMap::from(expected), "{report}");
}

/// `terminate_child` asked the child to stop before the stop of the program began.
#[tokio::test(start_paused = true)]
async fn a_child_that_hangs_in_an_earlier_stop_is_reported_as_killed() {
    let rt = Runtime::new();
    let inner = Supervisor::one_for_one().named("inner").child(hung("hung")).child(polite("a"));
    let tree = Supervisor::one_for_one().named("app").child(inner).child(polite("b"));
    let terminate = async |rt: &Runtime| {
        let inner = regrow::SupervisorRef::named(rt, "inner");
        tokio::spawn(async move { inner.terminate_child("hung").await });
    };
    let report = stopped(&rt, tree, terminate).await.unwrap();
    let told = outcomes(&report);
    assert_eq!(told["app/inner/hung"], StopOutcome::Killed, "{report}");
    assert_eq!(told["app/inner/a"], NOT_ASKED, "{report}");
    assert_eq!(told["app/inner"], HELD_UP, "{report}");
}

#[tokio::test(start_paused = true)]
async fn a_report_of_thousands_of_children_is_short_and_its_data_complete() {
    for hangs in [false, true] {
        let part = |part: usize| {
            let children = (0..100).map(|at| polite(&format!("child {at}")));
            let part = Supervisor::one_for_one().with_id(format!("part {part}"));
            children.fold(part, SupervisorSpec::child)
        };
        let tree = (0..70)
            .map(part)
            .fold(Supervisor::one_for_one().named("app"), |tree, part| tree.child(part));
        let tree = if hangs { tree.child(hung("hung")) } else { tree };
        let report = report(tree).await;
        assert_eq!(report.children.len(), 7070 + usize::from(hangs));
        let text = report.to_string();
        assert!(text.lines().count() < 50, "{text}");
        let first = match hangs {
            true => "71 children, 70 not asked, 1 overran their time",
            false => "70 children, 70 stopped",
        };
        assert!(text.contains(&format!("  app: {first}")), "{text}");
        assert_eq!(report.is_clean(), !hangs);
        if hangs {
            let named = text.lines().find(|line| line.contains("app/hung"));
            assert!(named.unwrap().contains("overran its time, killed"), "{text}");
            assert_eq!(holds(&report, "overran its time"), 1, "{text}");
            assert!(text.contains("and 7047 more that did not stop as they should have"), "{text}");
        } else {
            assert!(!text.contains("that did not stop"), "{text}");
        }
    }
}

/// A log line says whether the program stopped cleanly, stopped uncleanly or failed.
#[tokio::test(start_paused = true)]
async fn the_outcome_of_a_run_is_logged() {
    let told = |log: &Log| {
        let mut lines = log.take();
        lines.retain(|line| line.target == "regrow::run");
        lines
    };
    let tree = || Supervisor::one_for_one().named("app").child(polite("a"));

    let log = Log::listen();
    assert!(report(tree()).await.is_clean());
    let lines = told(&log);
    assert_eq!(lines.iter().map(support::log::Line::head).collect::<Vec<_>>(), ["INFO stopped"]);
    assert_eq!((lines[0].field("cause"), lines[0].field("children")), ("its token", "1"));

    let log = Log::listen();
    assert!(!report(tree().child(hung("hung"))).await.is_clean());
    let lines = told(&log);
    assert_eq!(lines[0].head(), "WARN stopped, but not cleanly");
    assert_eq!((lines[0].field("forced"), lines[0].field("unclean")), ("true", "2"));
    assert!(lines[0].field("first").starts_with("app/hung overran its time"), "{:?}", lines[0]);

    let log = Log::listen();
    let lost = ChildSpec::task("lost", |_| async { Err(ExitReason::crashed("no route")) });
    Run::new(tree().child(lost)).without_signals().run().await.unwrap_err();
    let lines = told(&log);
    assert_eq!(lines[0].head(), "ERROR the run failed");
    assert!(lines[0].field("error").starts_with("app/lost was given up"), "{:?}", lines[0]);
}
