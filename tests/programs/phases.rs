//! Several trees that are started in order as one program.

use crate::support;

use std::future::pending;
use std::time::Duration;

use regrow::{
    ChildSpec, CutShort, ExitReason, Health, Phase, Phases, Restart, Run, RunError, Runtime,
    Shutdown, StartError, StopCause, StopOutcome, StopReport, Supervisor, SupervisorRef,
    SupervisorSpec,
};
use support::kinds::{Heard, Say, telling};
use support::settled;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

const SECOND: Duration = Duration::from_secs(1);

type Outcome = Result<StopReport, RunError>;

/// Starts these phases as a program. Cancel the token to stop it.
fn started(rt: &Runtime, run: impl Into<Run>) -> (JoinHandle<Outcome>, CancellationToken) {
    let stop = CancellationToken::new();
    let run = run.into().on(rt).without_signals().stop_on(stop.clone());
    (tokio::spawn(run.run()), stop)
}

fn idle(id: &str) -> ChildSpec {
    ChildSpec::task(id, |_| pending())
}

fn tree(child: ChildSpec) -> SupervisorSpec {
    Supervisor::one_for_one().child(child)
}

/// A child that says when it starts and when it is asked to stop.
fn saying(id: &str, say: &Say, up: &'static str, stopped: &'static str) -> ChildSpec {
    let say = say.clone();
    ChildSpec::task(id, move |mut ctx| async move {
        let stop = ctx.cancellation_token();
        say.send(up)?;
        stop.cancelled().await;
        say.send(stopped)?;
        Ok(())
    })
}

/// A child that is asked to stop, and does not.
fn never_stops(id: &str) -> ChildSpec {
    let never_stops = ChildSpec::task(id, |mut ctx| async move {
        ctx.cancellation_token();
        pending().await
    });
    never_stops.shutdown(Shutdown::Infinity)
}

fn paths(report: &StopReport) -> Vec<&str> {
    report.children.iter().map(|child| child.path.as_str()).collect()
}

async fn said(heard: &mut Heard, all: &[&str]) {
    for what in all {
        assert_eq!(heard.next().await, *what);
    }
}

#[tokio::test(start_paused = true)]
async fn a_phase_starts_when_the_phase_before_it_is_ready() {
    let rt = Runtime::new();
    let journal = ChildSpec::task("journal", |ctx| async move {
        sleep(3 * SECOND).await;
        ctx.set_health(Health::Ready);
        pending().await
    });
    let (say, mut heard) = telling();
    let begin = Instant::now();
    let phases = Phases::new("shop")
        .phase("storage", tree(journal.ready_within(60 * SECOND)))
        .phase("web", tree(saying("listener", &say, "web is up", "web stops")));
    let (program, stop) = started(&rt, phases);
    said(&mut heard, &["web is up"]).await;
    assert_eq!(begin.elapsed(), 3 * SECOND);
    stop.cancel();
    let report = program.await.unwrap().unwrap();
    assert!(report.is_clean());
    let order = ["shop/web/listener", "shop/web", "shop/storage/journal", "shop/storage"];
    assert_eq!(paths(&report), order);
}

#[tokio::test(start_paused = true)]
async fn a_phase_that_does_not_start_stops_the_phases_before_it_in_reverse_order() {
    let rt = Runtime::new();
    let (say, mut heard) = telling();
    let fails = ChildSpec::task("port", |_| async { Err(ExitReason::crashed("port is taken")) });
    let phases = Phases::new("shop")
        .phase("storage", tree(saying("journal", &say, "storage is up", "storage stops")))
        .phase("rooms", tree(saying("lobby", &say, "rooms are up", "rooms stop")))
        .phase("web", tree(fails.ready_within(SECOND)))
        .phase("reports", tree(saying("nightly", &say, "reports are up", "reports stop")));
    let (program, _stop) = started(&rt, phases);
    said(&mut heard, &["storage is up", "rooms are up", "rooms stop", "storage stops"]).await;
    let Err(RunError::Start(error)) = program.await.unwrap() else { panic!("it started") };
    assert!(matches!(&error, StartError::Child { id, .. } if id == "web"), "{error}");
    settled().await;
    assert_eq!(rt.process_count(), 0);
}

/// What becomes of the program when a phase ends.
#[tokio::test(start_paused = true)]
async fn the_type_of_a_phase_decides_what_its_end_means() {
    let ends = |reason: ExitReason| {
        let body = move |_| async move {
            sleep(SECOND).await;
            Err(reason)
        };
        let child = ChildSpec::task("work", body).restart(Restart::Transient).significant(true);
        let auto = regrow::AutoShutdown::AnySignificant;
        Phase::new(tree(child).intensity(0, SECOND).auto_shutdown(auto))
    };
    let run = |phase: Phase| {
        let phases = Phases::new("shop").phase("storage", tree(idle("journal")));
        started(&Runtime::new(), phases.phase("work", phase))
    };
    let (clean, failure) = (ExitReason::Normal, ExitReason::crashed("no space"));

    // The program ends.
    let report = run(ends(clean.clone())).0.await.unwrap().unwrap();
    assert_eq!(report.cause, StopCause::TreeEnded);
    for phase in [ends(failure.clone()), ends(failure.clone()).transient()] {
        let error = run(phase).0.await.unwrap().unwrap_err();
        let RunError::GaveUp { path, limit, .. } = &error else { panic!("{error}") };
        assert_eq!((path.as_str(), &limit.last), ("shop/work/work", &failure));
    }
    // The program continues.
    for phase in
        [ends(clean.clone()).transient(), ends(clean).temporary(), ends(failure).temporary()]
    {
        let (program, stop) = run(phase);
        sleep(60 * SECOND).await;
        assert!(!program.is_finished());
        stop.cancel();
        let report = program.await.unwrap().unwrap();
        assert_eq!(paths(&report), ["shop/storage/journal", "shop/storage"]);
        assert!(report.is_clean());
    }
}

/// Only the phase that overruns its time is cut short, and the report names each of its processes.
#[tokio::test(start_paused = true)]
async fn a_phase_that_overruns_its_time_is_cut_short_and_the_others_stop_in_order() {
    let rt = Runtime::new();
    let (say, mut heard) = telling();
    let rooms = tree(never_stops("lobby")).with_id("rooms");
    let web = Supervisor::one_for_one().child(idle("front")).child(rooms).child(idle("listener"));
    let phases = Phases::new("shop")
        .phase("storage", tree(saying("journal", &say, "up", "storage stops")))
        .phase("web", Phase::new(web).stop_within(3 * SECOND))
        .phase("reports", tree(idle("nightly")));
    let (program, stop) = started(&rt, phases);
    said(&mut heard, &["up"]).await;
    settled().await;
    stop.cancel();
    let report = program.await.unwrap().unwrap();
    said(&mut heard, &["storage stops"]).await;

    let outcome = |path: &str| {
        let child = report.children.iter().find(|child| child.path == path);
        child.unwrap_or_else(|| panic!("no {path} in {report}")).outcome.clone()
    };
    let cut = CutShort::PhaseTime;
    assert_eq!(outcome("shop/web/rooms/lobby"), StopOutcome::Killed);
    assert_eq!(outcome("shop/web/rooms"), StopOutcome::HeldUp(cut));
    assert_eq!(outcome("shop/web/front"), StopOutcome::NotAsked(cut));
    assert_eq!(outcome("shop/web/listener"), StopOutcome::Stopped(ExitReason::Shutdown));
    let clean = [outcome("shop/storage/journal"), outcome("shop/storage")];
    assert_eq!(clean, [const { StopOutcome::Stopped(ExitReason::Shutdown) }; 2]);
    assert_eq!(report.children.len(), 9);
    assert!(!report.forced && !report.is_clean());
    assert_eq!(report.took, 3 * SECOND);
    let text = report.to_string();
    assert!(text.contains("killed at the end of its phase's time before it was asked"), "{text}");
    assert_eq!(rt.process_count(), 0);
}

#[tokio::test(start_paused = true)]
async fn the_deadline_of_the_run_cuts_a_phase_short_before_its_own_time() {
    let rt = Runtime::new();
    let phases = Phases::new("shop")
        .phase("storage", tree(idle("journal")))
        .phase("web", Phase::new(tree(never_stops("lobby"))).stop_within(Duration::MAX));
    let (program, stop) = started(&rt, Run::from(phases).deadline(2 * SECOND));
    settled().await;
    stop.cancel();
    let report = program.await.unwrap().unwrap();
    assert!(report.forced);
    assert_eq!(report.took, 2 * SECOND);
    let journal = report.children.iter().find(|child| child.path == "shop/storage/journal");
    assert_eq!(journal.unwrap().outcome, StopOutcome::NotAsked(CutShort::Deadline));
}

#[tokio::test(start_paused = true)]
async fn a_phase_without_time_to_stop_is_killed_at_once() {
    let rt = Runtime::new();
    let phases = Phases::new("shop")
        .phase("web", Phase::new(tree(never_stops("lobby"))).stop_within(Duration::ZERO));
    let (program, stop) = started(&rt, phases);
    settled().await;
    stop.cancel();
    let report = program.await.unwrap().unwrap();
    assert_eq!(report.took, Duration::ZERO);
    assert_eq!(rt.process_count(), 0);
}

/// Nobody asks this program to stop, so the run measures no time. The phase is killed a second after
/// its own time.
#[tokio::test(start_paused = true)]
async fn a_phase_has_its_own_time_also_when_another_phase_ends_the_program() {
    let rt = Runtime::new();
    let begin = Instant::now();
    let journal = ChildSpec::task("journal", |_| async {
        sleep(SECOND).await;
        Err("disk full")?
    });
    let phases = Phases::new("shop")
        .phase("storage", tree(journal).intensity(0, SECOND))
        .phase("web", Phase::new(tree(never_stops("lobby"))).stop_within(3 * SECOND));
    let (program, _stop) = started(&rt, phases);
    let outcome = tokio::time::timeout(60 * SECOND, program).await;
    let error = outcome.expect("the run returns").unwrap().unwrap_err();
    let text = error.to_string();
    assert!(text.starts_with("shop/storage/journal was given up"), "{text}");
    assert_eq!(begin.elapsed(), 5 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn snapshots_and_health_name_the_phases() {
    let rt = Runtime::new();
    let lobby = ChildSpec::task("lobby", |ctx| async move {
        ctx.set_health(Health::Starting);
        pending().await
    });
    let phases =
        Phases::new("shop").phase("storage", tree(idle("journal"))).phase("web", tree(lobby));
    let (_program, _stop) = started(&rt, phases);
    settled().await;
    let snapshot = SupervisorRef::named(&rt, "shop").tree().await.unwrap();
    assert!(snapshot.find("storage/journal").is_some());
    assert_eq!(snapshot.health().to_string(), "web/lobby is starting");
}

/// A phase that never becomes ready: its start ends at the limit of the phase.
#[tokio::test(start_paused = true)]
async fn a_phase_that_does_not_start_within_its_time_fails_the_start() {
    let rt = Runtime::new();
    let never = ChildSpec::task("never", |ctx| async move {
        ctx.set_health(Health::Starting);
        pending().await
    });
    let never = never.ready_within(3_600 * SECOND);
    let phase = Phase::new(tree(never)).start_within(5 * SECOND);
    let begun = Instant::now();
    let (run, _stop) = started(&rt, Phases::new("app").phase("slow", phase));
    let outcome = run.await.unwrap();
    assert!(matches!(outcome, Err(RunError::Start(_))), "{outcome:?}");
    assert_eq!(begun.elapsed(), 5 * SECOND);
}
