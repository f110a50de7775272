//! A program that is stopped before its tree has started, and two programs on one runtime.

use crate::support;

use std::future::pending;
use std::time::Duration;

use regrow::{
    ChildSpec, CutShort, ExitReason, GenServer, Leftovers, Result, Run, RunError, Runtime,
    ServerContext, Shutdown, StartError, StopCause, StopOutcome, StopReport, Supervisor,
};
use support::settled;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

const SECOND: Duration = Duration::from_secs(1);

/// A server whose `init` takes this long and then returns this result.
struct Slow;

impl GenServer for Slow {
    type Args = (Duration, Result);
    type Call = ();
    type Cast = ();

    async fn init((takes, end): Self::Args, _: &mut ServerContext<Self>) -> Result<Self> {
        tokio::time::sleep(takes).await;
        end.map(|()| Slow)
    }

    async fn handle_call(&mut self, (): (), _: &mut ServerContext<Self>) -> Result {
        Ok(())
    }

    async fn handle_cast(&mut self, (): (), _: &mut ServerContext<Self>) -> Result {
        Ok(())
    }
}

fn slow(takes: Duration, end: Result) -> ChildSpec {
    Slow::child((takes, end)).with_id("slow")
}

/// Starts a program of this child and another one, and cancels its stop token while the tree
/// starts. Asserts that the stop cancels the token of `cancel_on_stop` at once.
fn called_off(rt: &Runtime, child: ChildSpec) -> JoinHandle<Result<StopReport, RunError>> {
    let polite = ChildSpec::task("polite", |_| pending());
    let tree = Supervisor::one_for_one().with_id("app").child(polite).child(child);
    let (stop, told) = (CancellationToken::new(), CancellationToken::new());
    let run = Run::new(tree).on(rt).without_signals().stop_on(stop.clone());
    let program = tokio::spawn(run.cancel_on_stop(told.clone()).deadline(SECOND).run());
    tokio::spawn(async move {
        settled().await;
        assert!(!told.is_cancelled());
        stop.cancel();
        settled().await;
        assert!(told.is_cancelled(), "the code beside the tree is notified at once");
    });
    program
}

/// An `init` outlasts the deadline: the stop ends at the deadline, the report names the child, and
/// no process is left.
#[tokio::test(start_paused = true)]
async fn a_stop_during_a_hanging_start_ends_at_the_deadline() {
    let rt = Runtime::new();
    let report = timeout(60 * SECOND, called_off(&rt, slow(3600 * SECOND, Ok(())))).await;
    let report = report.expect("its deadline holds").unwrap().unwrap();
    assert_eq!((&report.cause, report.took, report.forced), (&StopCause::Token, SECOND, true));
    let mut told: Vec<_> =
        report.children.iter().map(|child| (child.path.as_str(), &child.outcome)).collect();
    told.sort_unstable_by_key(|(path, _)| *path);
    let by = CutShort::Deadline;
    let expected =
        [("app/polite", &StopOutcome::NotAsked(by)), ("app/slow", &StopOutcome::NotStarted(by))];
    assert_eq!(told, expected);
    assert_eq!(rt.leftovers(), Leftovers::default());
}

/// A tree that starts before the deadline is stopped in order, within the rest of the time.
#[tokio::test(start_paused = true)]
async fn a_stop_during_a_start_stops_the_tree_once_it_is_up() {
    let rt = Runtime::new();
    let takes = Duration::from_millis(501);
    let report = called_off(&rt, slow(takes, Ok(()))).await.unwrap().unwrap();
    assert_eq!((report.took, report.forced), (Duration::from_millis(500), false));
    let told: Vec<_> = report.children.iter().map(|child| child.path.as_str()).collect();
    assert_eq!(told, ["app/slow", "app/polite"]);
    assert!(report.is_clean());
    assert_eq!(rt.leftovers(), Leftovers::default());
}

/// A start that fails after the stop was requested makes the run return the error of the start.
#[tokio::test(start_paused = true)]
async fn a_start_that_fails_during_a_stop_is_an_error() {
    let rt = Runtime::new();
    let fails = slow(Duration::from_millis(501), Err(ExitReason::crashed("no database")));
    let error = called_off(&rt, fails).await.unwrap().unwrap_err();
    assert!(matches!(&error, RunError::Start(StartError::Child { id, .. }) if id == "slow"));
    assert_eq!(rt.leftovers(), Leftovers::default());
}

/// Each report covers only its own tree, even if the stop of another tree takes longer.
#[tokio::test(start_paused = true)]
async fn two_runs_on_one_runtime_report_only_their_own_trees() {
    let rt = Runtime::new();
    let stop = CancellationToken::new();
    let program = |id: &str, child: ChildSpec| {
        let inner = Supervisor::one_for_one().with_id("inner").child(child);
        let tree = Supervisor::one_for_one().with_id(id).child(inner);
        tokio::spawn(Run::new(tree).on(&rt).without_signals().stop_on(stop.clone()).run())
    };
    let polite = program("a", ChildSpec::task("polite", |_| pending()));
    let deaf = ChildSpec::task("deaf", |mut ctx| async move {
        let stop = ctx.cancellation_token();
        stop.cancelled().await;
        pending().await
    });
    let deaf = program("b", deaf.shutdown(Shutdown::Timeout(SECOND)));
    let other = Supervisor::one_for_one().child(ChildSpec::task("other", |_| pending()));
    let other = other.start(&rt).await.unwrap();
    settled().await;
    stop.cancel();
    settled().await;
    other.stop().await.unwrap();
    let (polite, deaf) = (polite.await.unwrap().unwrap(), deaf.await.unwrap().unwrap());
    let paths = |report: &StopReport| -> Vec<String> {
        report.children.iter().map(|child| child.path.clone()).collect()
    };
    assert_eq!(paths(&polite), ["a/inner/polite", "a/inner"]);
    assert!(polite.is_clean());
    assert_eq!(paths(&deaf), ["b/inner/deaf", "b/inner"]);
    assert_eq!(deaf.children[0].outcome, StopOutcome::Killed);
    assert!(!deaf.is_clean());
}
