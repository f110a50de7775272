//! The stop of a program for all kinds of children: each pair of kinds as siblings.

use crate::support;

use std::future::pending;
use std::time::Duration;

use regrow::{
    ChildSpec, CutShort, DynamicSupervisor, DynamicSupervisorRef, ExitReason, GenServer, Leftovers,
    Restart, Result, Run, RunError, Runtime, ServerContext, Shutdown, StopOutcome, StopReport,
    Supervisor,
};
use support::settled;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

const SECOND: Duration = Duration::from_secs(1);

/// The time that a child has to stop.
const OWN: Duration = Duration::from_secs(2);

/// The reaction of a child to a request to stop.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Manner {
    Polite,
    /// The child needs one second to stop, and has two.
    Slow,
    /// The child ignores the request.
    Deaf,
}

impl Manner {
    async fn act(self) {
        match self {
            Manner::Polite => {}
            Manner::Slow => drop(timeout(SECOND, pending::<()>()).await),
            Manner::Deaf => pending().await,
        }
    }

    fn takes(self) -> Duration {
        match self {
            Manner::Polite => Duration::ZERO,
            Manner::Slow => SECOND,
            Manner::Deaf => OWN,
        }
    }

    fn outcome(self) -> StopOutcome {
        match self {
            Manner::Deaf => StopOutcome::Killed,
            _ => StopOutcome::Stopped(ExitReason::Shutdown),
        }
    }
}

struct Server(Manner);

impl GenServer for Server {
    type Args = Manner;
    type Call = ();
    type Cast = ();

    async fn init(manner: Manner, ctx: &mut ServerContext<Self>) -> Result<Self> {
        ctx.trap_exit(true);
        Ok(Server(manner))
    }

    async fn handle_call(&mut self, (): (), _: &mut ServerContext<Self>) -> Result {
        Ok(())
    }

    async fn handle_cast(&mut self, (): (), _: &mut ServerContext<Self>) -> Result {
        Ok(())
    }

    async fn terminate(&mut self, _: &ExitReason) {
        self.0.act().await;
    }
}

/// A kind of child.
#[derive(Clone, Copy)]
struct Kind {
    make: fn(&str, Manner) -> ChildSpec,
    /// Whether the child is a supervisor, which has one child itself.
    holds_one: bool,
}

const fn leaf(make: fn(&str, Manner) -> ChildSpec) -> Kind {
    Kind { make, holds_one: false }
}

const fn holder(make: fn(&str, Manner) -> ChildSpec) -> Kind {
    Kind { make, holds_one: true }
}

const KINDS: [Kind; 5] =
    [leaf(server), leaf(task), leaf(serve), holder(supervisor), holder(dynamic)];

fn server(id: &str, manner: Manner) -> ChildSpec {
    Server::child(manner).with_id(id).shutdown(Shutdown::Timeout(OWN))
}

fn task(id: &str, manner: Manner) -> ChildSpec {
    let body = move |mut ctx: regrow::TaskContext| async move {
        ctx.cancellation_token().cancelled().await;
        manner.act().await;
        Ok(())
    };
    ChildSpec::task(id, body).shutdown(Shutdown::Timeout(OWN))
}

fn serve(id: &str, manner: Manner) -> ChildSpec {
    let body = move |shutdown: regrow::ShutdownSignal| async move {
        shutdown.await;
        manner.act().await;
        Ok::<_, ExitReason>(())
    };
    ChildSpec::serve(id, body).shutdown(Shutdown::Timeout(OWN))
}

fn supervisor(id: &str, manner: Manner) -> ChildSpec {
    Supervisor::one_for_one().with_id(id).child(task("in", manner)).into()
}

/// Makes a dynamic supervisor without a child; [`filled`] starts one.
fn dynamic(id: &str, _: Manner) -> ChildSpec {
    DynamicSupervisor::new().named(id).into()
}

/// Starts a child in each dynamic supervisor.
async fn filled(rt: &Runtime, children: [(&str, Manner); 2]) {
    for (id, manner) in children {
        if rt.whereis(id).is_some() {
            let child = task("in", manner).restart(Restart::Temporary);
            DynamicSupervisorRef::named(rt, id).start_child(child).await.unwrap();
        }
    }
}

/// Starts a program of these two children. Returns the program and the token that stops it.
async fn running(
    rt: &Runtime,
    [a, b]: [(Kind, Manner); 2],
    limit: Duration,
) -> (JoinHandle<std::result::Result<StopReport, RunError>>, CancellationToken) {
    let stop = CancellationToken::new();
    let tree = Supervisor::one_for_one().with_id("app").child((a.0.make)("a", a.1)).child((b
        .0
        .make)(
        "b", b.1,
    ));
    let run = Run::new(tree).on(rt).without_signals().stop_on(stop.clone()).deadline(limit);
    let program = tokio::spawn(run.run());
    support::until("all", || rt.list().len() >= 3).await;
    filled(rt, [("a", a.1), ("b", b.1)]).await;
    (program, stop)
}

/// Starts a program of these two children, stops it when all tasks are idle, and returns the
/// report.
async fn stopped(rt: &Runtime, both: [(Kind, Manner); 2], limit: Duration) -> StopReport {
    let (program, stop) = running(rt, both, limit).await;
    settled().await;
    stop.cancel();
    program.await.unwrap().unwrap()
}

/// Returns the expected rows of one child, and of its own child if it is a supervisor.
fn expected(id: &str, (kind, manner): (Kind, Manner)) -> Vec<(String, StopOutcome, Duration)> {
    let (outcome, takes) = (manner.outcome(), manner.takes());
    if !kind.holds_one {
        return vec![(format!("app/{id}"), outcome, takes)];
    }
    let shutdown = StopOutcome::Stopped(ExitReason::Shutdown);
    vec![(format!("app/{id}/in"), outcome, takes), (format!("app/{id}"), shutdown, takes)]
}

/// SHU-001: the child that was started last is stopped first, and the other child after the end of
/// that one. Each child has its own shutdown time. All times are exact to the millisecond.
#[tokio::test(start_paused = true)]
async fn any_two_kinds_of_children_stop_one_after_the_other() {
    let manners = [Manner::Polite, Manner::Slow, Manner::Deaf];
    let all = || KINDS.into_iter().flat_map(|kind| manners.map(|manner| (kind, manner)));
    for a in all() {
        for b in all() {
            let rt = Runtime::new();
            let report = stopped(&rt, [a, b], 25 * SECOND).await;
            let told = report.children.iter();
            let told: Vec<_> =
                told.map(|child| (child.path.clone(), child.outcome.clone(), child.took)).collect();
            assert_eq!(told, [expected("b", b), expected("a", a)].concat(), "{report}");
            assert_eq!(report.took, a.1.takes() + b.1.takes(), "{report}");
            let deaf = [a.1, b.1].contains(&Manner::Deaf);
            assert_eq!((report.is_clean(), report.forced), (!deaf, false), "{report}");
            assert_eq!(rt.leftovers(), Leftovers::default(), "{report}");
        }
    }
}

/// The earlier of the two time limits applies to every child: a deadline shortens a longer shutdown
/// time.
#[tokio::test(start_paused = true)]
async fn the_deadline_ends_a_stop_whatever_kind_of_child_hangs() {
    for a in KINDS {
        for b in KINDS {
            let rt = Runtime::new();
            let both = [(a, Manner::Polite), (b, Manner::Deaf)];
            let report = stopped(&rt, both, SECOND).await;
            assert_eq!((report.took, report.forced), (SECOND, true), "{report}");
            let outcome = |path: &str| {
                let child = report.children.iter().find(|child| child.path == path);
                child.map(|child| child.outcome.clone())
            };
            // Only the hanging child is reported as killed for its delay.
            let by = CutShort::Deadline;
            let hung = if b.holds_one { "app/b/in" } else { "app/b" };
            assert_eq!(outcome(hung), Some(StopOutcome::Killed), "{report}");
            let holder = b.holds_one.then(|| StopOutcome::HeldUp(by));
            assert_eq!(outcome("app/b").filter(|_| b.holds_one), holder, "{report}");
            assert_eq!(outcome("app/a"), Some(StopOutcome::NotAsked(by)), "{report}");
            let inner = a.holds_one.then(|| StopOutcome::NotAsked(by));
            assert_eq!(outcome("app/a/in"), inner, "{report}");
            assert_eq!(rt.leftovers(), Leftovers::default(), "{report}");
        }
    }
}

fn blocking(id: &str, _: Manner) -> ChildSpec {
    ChildSpec::blocking(id, |mut ctx| {
        while ctx.recv().is_some() {}
        Ok(())
    })
}

#[cfg(all(unix, feature = "process"))]
fn command(id: &str, _: Manner) -> ChildSpec {
    ChildSpec::command(id, || {
        let mut sleeper = tokio::process::Command::new("sleep");
        sleeper.arg("100000");
        sleeper
    })
}

/// Threads and operating system processes do not follow the paused clock, so this test asserts the
/// order of the stops and that nothing is left, but no times.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn blocking_and_command_children_stop_in_reverse_order_too() {
    let own: &[Kind] = &[
        leaf(blocking),
        #[cfg(all(unix, feature = "process"))]
        leaf(command),
    ];
    for &one in own {
        for &other in KINDS.iter().chain(own) {
            for both in [[one, other], [other, one]] {
                let rt = Runtime::new();
                let [a, b] = both.map(|kind| (kind, Manner::Polite));
                let (program, stop) = running(&rt, [a, b], 600 * SECOND).await;
                stop.cancel();
                let report = program.await.unwrap().unwrap();
                let paths: Vec<_> = report.children.iter().map(|c| c.path.clone()).collect();
                let order = [expected("b", b), expected("a", a)].concat();
                assert_eq!(paths, order.into_iter().map(|(path, ..)| path).collect::<Vec<_>>());
                assert!(report.is_clean() && !report.forced, "{report}");
                assert_eq!(rt.leftovers(), Leftovers::default(), "{report}");
            }
        }
    }
}
