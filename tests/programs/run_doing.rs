//! The activity that a stop report shows for children that exceeded their time.

use crate::support;

use std::time::Duration;

use regrow::{
    Callback, ChildSpec, Doing, GenServer, Result, Run, Runtime, ServerContext, Shutdown,
    StopOutcome, StopReport, Supervisor, SupervisorSpec,
};
use support::settled;
use tokio_util::sync::CancellationToken;

const SECOND: Duration = Duration::from_secs(1);

/// A server that hangs in every handler. It traps exits, so its stop request is a message, which it
/// never handles.
struct Hangs;

impl GenServer for Hangs {
    type Args = ();
    type Call = ();
    type Cast = ();

    async fn init((): (), ctx: &mut ServerContext<Self>) -> Result<Self> {
        ctx.trap_exit(true);
        Ok(Hangs)
    }

    async fn handle_call(&mut self, (): (), _: &mut ServerContext<Self>) -> Result {
        Ok(())
    }

    async fn handle_cast(&mut self, (): (), _: &mut ServerContext<Self>) -> Result {
        std::future::pending().await
    }
}

fn own(child: ChildSpec) -> ChildSpec {
    child.shutdown(Shutdown::Timeout(2 * SECOND))
}

/// Runs the tree until all tasks are idle, makes the hanging server hang for a second, and stops
/// the tree.
async fn stopped(rt: &Runtime, tree: SupervisorSpec, deadline: Duration) -> StopReport {
    let stop = CancellationToken::new();
    let run = Run::new(tree).on(rt).deadline(deadline).without_signals().stop_on(stop.clone());
    let program = tokio::spawn(run.run());
    settled().await;
    rt.server(regrow::Name::<Hangs>::new("hangs")).cast(());
    tokio::time::sleep(SECOND).await;
    stop.cancel();
    program.await.unwrap().unwrap()
}

fn doings(report: &StopReport) -> Vec<(&str, Option<Doing>)> {
    report.children.iter().map(|child| (child.path.as_str(), child.doing)).collect()
}

/// Makes a child that ignores the request to stop, and continues to receive.
fn deaf(id: &str) -> ChildSpec {
    ChildSpec::task(id, |mut ctx| async move {
        let _told = ctx.cancellation_token();
        loop {
            ctx.recv().await;
        }
    })
}

/// For a server with handler tracking, the report shows the handler and its duration.
#[tokio::test(start_paused = true)]
async fn a_report_names_the_callback_of_a_tracked_server_that_overran() {
    let rt = Runtime::new();
    rt.track_handlers(true);
    let tree = Supervisor::one_for_one().named("app").child(own(Hangs::child(()).named("hangs")));
    let report = stopped(&rt, tree, 25 * SECOND).await;
    let Some(Doing::Handling(handling)) = report.children[0].doing else { panic!("{report}") };
    // One second before the stop, and two seconds of shutdown time.
    assert_eq!((handling.callback, handling.elapsed), (Callback::HandleCast, 3 * SECOND));
    let told = "overran its time, killed: it was in handle_cast for 3.0s";
    assert!(report.to_string().ends_with(told), "{report}");
}

/// For a child that overran and is not tracked, the report shows whether it waited at its mailbox.
/// Children that end in time have no activity in the report.
#[tokio::test(start_paused = true)]
async fn a_report_says_whether_a_child_that_overran_was_receiving_or_working() {
    let rt = Runtime::new();
    let tree = Supervisor::one_for_one()
        .named("app")
        .child(ChildSpec::task("polite", |_| std::future::pending()))
        .child(own(deaf("deaf")))
        .child(own(Hangs::child(()).named("hangs")));
    let report = stopped(&rt, tree, 25 * SECOND).await;
    let expected = [
        ("app/Hangs", Some(Doing::Working)),
        ("app/deaf", Some(Doing::Receiving)),
        ("app/polite", None),
    ];
    assert_eq!(doings(&report), expected);
    assert!(report.to_string().contains("killed: it was waiting for a message"), "{report}");
}

/// The deadline cuts the stop short: the report shows the activity of every child that was still
/// alive.
#[tokio::test(start_paused = true)]
async fn a_forced_stop_reports_the_activity_of_every_remaining_child() {
    let rt = Runtime::new();
    let tree = Supervisor::one_for_one()
        .named("app")
        .child(deaf("deaf"))
        .child(Hangs::child(()).named("hangs").shutdown(Shutdown::Infinity));
    let report = stopped(&rt, tree, SECOND).await;
    let expected = [("app/Hangs", Some(Doing::Working)), ("app/deaf", Some(Doing::Receiving))];
    assert_eq!(doings(&report), expected);
    assert!(report.forced);
}

/// The report shows the activity of a child of a dynamic supervisor that overran its time.
#[tokio::test(start_paused = true)]
async fn a_report_has_the_activity_of_a_dynamic_child_that_overran() {
    let rt = Runtime::new();
    let jobs = regrow::DynamicSupervisor::new().named("jobs");
    let tree = Supervisor::one_for_one().named("app").child(jobs);
    let starts = rt.clone();
    let starter = tokio::spawn(async move {
        settled().await;
        let jobs = regrow::DynamicSupervisorRef::named(&starts, "jobs");
        jobs.start_child(own(deaf("deaf"))).await.unwrap();
    });
    let report = stopped(&rt, tree, 25 * SECOND).await;
    starter.await.unwrap();
    let expected = [("app/jobs/deaf", Some(Doing::Receiving)), ("app/jobs", None)];
    assert_eq!(doings(&report), expected);
}

/// SHU-002: a child with `BrutalKill` that was killed at once has stopped as specified, so the
/// report is clean.
#[tokio::test(start_paused = true)]
async fn a_child_with_shutdown_brutal_kill_is_reported_as_clean() {
    let rt = Runtime::new();
    let brutal = deaf("brutal").shutdown(Shutdown::BrutalKill);
    let report = stopped(&rt, Supervisor::one_for_one().child(brutal), 25 * SECOND).await;
    let child = &report.children[0];
    assert_eq!((&child.outcome, child.doing), (&StopOutcome::KilledAtOnce, None));
    assert!(report.is_clean(), "{report}");
}
