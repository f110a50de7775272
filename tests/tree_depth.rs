//! Trees that are deeper than a stack: whatever goes through all of one goes in a loop.
//!
//! Each test runs on a thread whose stack is small for the depth: 2 MiB for ten thousand levels,
//! where a recursion in a debug build takes a few hundred bytes to a few kilobytes a level.

mod support;

use std::future::pending;
use std::time::{Duration, Instant};

use regrow::{
    ChildSpec, ExitReason, GenServer, Reply, Restart, RestartLimitReached, Result, Run, RunError,
    Runtime, ServerContext, Shutdown, StartError, StopOutcome, Supervisor, SupervisorRef,
    SupervisorSpec, TreeSnapshot,
};
use support::crash;
use tokio_util::sync::CancellationToken;

const DEPTH: usize = 10_000;
const STACK: usize = 2 * 1024 * 1024;

/// Supervisors below each other, the innermost with this child. All but the root are called
/// `s`.
fn nested(depth: usize, innermost: ChildSpec) -> SupervisorSpec {
    let spec = Supervisor::one_for_one().with_id("s").child(innermost);
    let spec =
        (1..depth).fold(spec, |below, _| Supervisor::one_for_one().with_id("s").child(below));
    spec.named("app")
}

fn idle(id: &str) -> ChildSpec {
    ChildSpec::task(id, |_| pending())
}

/// Runs it on a stack of this size, with a tokio of one thread.
fn on_a_stack<F: Future<Output = ()>>(size: usize, body: impl FnOnce() -> F + Send + 'static) {
    let run = move || {
        let tokio = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        tokio.block_on(body());
    };
    std::thread::Builder::new().stack_size(size).spawn(run).unwrap().join().unwrap();
}

#[test]
fn more() {
    on_a_stack(STACK, || async {
        let t = Instant::now();
        drop(nested(DEPTH, idle("leaf")));
        eprintln!("drop unstarted {:?}", t.elapsed());
        let rt = Runtime::new();
        let bad = ChildSpec::new("bad", Bad);
        let error = nested(DEPTH, bad).start(&rt).await.unwrap_err();
        eprintln!("failed start {:?} {} {error:?}", t.elapsed(), rt.process_count());
        drop(error);
        let hang = Hangs::child(());
        let start = nested(DEPTH, hang);
        let rt2 = rt.clone();
        let h = tokio::spawn(async move { start.start(&rt2).await.map(drop) });
        support::until("all there", || rt.process_count() > DEPTH).await;
        eprintln!("hanging {:?}", t.elapsed());
        h.abort();
        support::until("all gone", || rt.process_count() == 0).await;
        eprintln!("called off {:?}", t.elapsed());

        let stop = CancellationToken::new();
        let run =
            Run::new(nested(DEPTH, idle("leaf"))).on(&rt).without_signals().stop_on(stop.clone());
        let run = tokio::spawn(run.run());
        support::until("all there", || rt.process_count() > DEPTH).await;
        eprintln!("run {:?}", t.elapsed());
        stop.cancel();
        let report = run.await.unwrap().unwrap();
        eprintln!(
            "run stopped {:?} {} {}",
            t.elapsed(),
            report.children.len(),
            report.to_string().len()
        );
        drop(report);

        let rt = Runtime::new();
        let stop = CancellationToken::new();
        let deaf = ChildSpec::task("deaf", |mut ctx| async move {
            ctx.cancellation_token();
            pending().await
        });
        let run = Run::new(nested(DEPTH, deaf))
            .on(&rt)
            .without_signals()
            .stop_on(stop.clone())
            .deadline(Duration::from_millis(100));
        let run = tokio::spawn(run.run());
        support::until("all there", || rt.process_count() > DEPTH).await;
        eprintln!("run {:?}", t.elapsed());
        stop.cancel();
        let report = run.await.unwrap().unwrap();
        eprintln!("run forced {:?} {} {}", t.elapsed(), report.children.len(), report.to_string());
        drop(report);

        let rt = Runtime::new();
        let spec = Supervisor::one_for_one()
            .intensity(0, Duration::from_secs(1))
            .with_id("s")
            .child(idle("leaf").named("leaf"));
        let spec = (1..DEPTH).fold(spec, |below, _| {
            Supervisor::one_for_one().with_id("s").intensity(0, Duration::from_secs(1)).child(below)
        });
        let run = Run::new(spec).on(&rt).without_signals();
        let run = tokio::spawn(run.run());
        support::until("all there", || rt.process_count() > DEPTH).await;
        eprintln!("run {:?}", t.elapsed());
        rt.kill(rt.whereis("leaf").unwrap());
        let error = run.await.unwrap().unwrap_err();
        eprintln!("gave up {:?} {}", t.elapsed(), error.to_string().len());
        eprintln!("{error:?}");
        drop(error);
        eprintln!("dropped {:?}", t.elapsed());
    });
}

struct Bad;

#[async_trait::async_trait]
impl regrow::StartChild for Bad {
    async fn start(&self, _: &mut regrow::StartContext) -> Result<regrow::Started, StartError> {
        Err(StartError::Failed(crash("no luck")))
    }
}

struct Hangs;

impl GenServer for Hangs {
    type Args = ();
    type Call = Reply<()>;
    type Cast = ();

    async fn init((): (), _: &mut ServerContext<Self>) -> Result<Self> {
        pending().await
    }

    async fn handle_call(&mut self, _: Reply<()>, _: &mut ServerContext<Self>) -> Result {
        Ok(())
    }

    async fn handle_cast(&mut self, (): (), _: &mut ServerContext<Self>) -> Result {
        Ok(())
    }
}

#[test]
fn timing() {
    on_a_stack(STACK, || async {
        let t = Instant::now();
        let spec = nested(DEPTH, idle("leaf"));
        eprintln!("built {:?}", t.elapsed());
        let rt = Runtime::new();
        let tree = spec.clone().start(&rt).await.unwrap();
        eprintln!("started {:?}", t.elapsed());
        let snapshot = tree.tree().await.unwrap();
        eprintln!("tree {:?}", t.elapsed());
        let n = snapshot.nodes().len();
        eprintln!("nodes {n} {:?}", t.elapsed());
        let text = snapshot.to_string();
        eprintln!("text {} {:?}", text.len(), t.elapsed());
        let text = snapshot.to_dot();
        eprintln!("dot {} {:?}", text.len(), t.elapsed());
        let text = snapshot.to_mermaid();
        eprintln!("mermaid {} {:?}", text.len(), t.elapsed());
        let text = snapshot.to_json();
        eprintln!("json {} {:?}", text.len(), t.elapsed());
        let text = format!("{snapshot:?}");
        eprintln!("debug {} {:?}", text.len(), t.elapsed());
        let text = format!("{snapshot:#?}");
        eprintln!("debug {} {:?}", text.len(), t.elapsed());
        let again = snapshot.clone();
        eprintln!("clone {:?}", t.elapsed());
        drop(again);
        eprintln!("drop {:?}", t.elapsed());
        let health = snapshot.health();
        eprintln!("health {health} {:?}", t.elapsed());
        let lint = spec.lint();
        eprintln!("lint {} {lint} {:?}", lint.findings.len(), t.elapsed());
        let text = format!("{spec:?}");
        eprintln!("spec {} {:?}", text.len(), t.elapsed());
        drop(spec);
        eprintln!("drop spec {:?}", t.elapsed());
        tree.stop().await.unwrap();
        eprintln!("stopped {:?}", t.elapsed());
        let tree = nested(DEPTH, idle("leaf")).start(&rt).await.unwrap();
        eprintln!("started {:?}", t.elapsed());
        rt.kill(tree.pid());
        tree.ended().await;
        support::until("all gone", || rt.process_count() == 0).await;
        eprintln!("killed {:?}", t.elapsed());
    });
}
