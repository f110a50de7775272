//! Trees that are deeper than a stack: code that visits a whole tree does not recurse.
//!
//! Each test runs on a thread with a stack of 512 KiB. A recursion over the 2,500 levels of the tree
//! would need more: some hundred bytes to some kilobytes for each level. (Four times the depth on
//! four times the stack would find the same recursions, in ten times the time.)

use crate::support;

use std::future::pending;
use std::time::Duration;

use regrow::{
    ChildSpec, ExitReason, Finding, GenServer, Reply, RestartLimitReached, Result, Run, RunError,
    Runtime, ServerContext, StartError, StopOutcome, StopReport, Supervisor, SupervisorRef,
    SupervisorSpec,
};
use support::{crash, until};
use tokio::runtime::Builder;
use tokio_util::sync::CancellationToken;

const DEPTH: usize = 2_500;
const STACK: usize = 512 * 1024;
const SECOND: Duration = Duration::from_secs(1);

/// Makes a chain of `DEPTH` supervisors, with this child below the innermost. The root is called
/// `app`, all others `s`.
fn nested(innermost: ChildSpec) -> SupervisorSpec {
    let own = || Supervisor::one_for_one().with_id("s").intensity(0, SECOND);
    (1..DEPTH).fold(own().child(innermost), |below, _| own().child(below)).with_id("app")
}

fn idle(id: &str) -> ChildSpec {
    ChildSpec::task(id, |_| pending())
}

/// Makes a child that asks for its cancellation token and ignores it.
fn deaf() -> ChildSpec {
    ChildSpec::task("deaf", async |mut ctx: regrow::TaskContext| {
        ctx.cancellation_token();
        pending().await
    })
}

/// Starts the whole chain with an idle child.
async fn started(rt: &Runtime) -> SupervisorRef {
    let tree = nested(idle("leaf")).start(rt).await.unwrap();
    assert_eq!(rt.process_count(), DEPTH + 1);
    tree
}

/// Runs the body on a thread with a small stack, in a tokio runtime of one thread.
#[track_caller]
fn on_a_small_stack<F: Future<Output = ()>>(body: impl FnOnce() -> F + Send + 'static) {
    let run = move || Builder::new_current_thread().enable_all().build().unwrap().block_on(body());
    std::thread::Builder::new().stack_size(STACK).spawn(run).unwrap().join().unwrap();
}

/// The time limit of snapshots and stops: long enough for every supervisor of the chain to answer
/// on a slow machine.
const PATIENCE: Duration = Duration::from_secs(60);

#[test]
fn a_deep_tree_starts_is_shown_in_every_format_and_stops() {
    on_a_small_stack(|| async {
        let rt = Runtime::new();
        let tree = started(&rt).await;
        let snapshot = tree.tree_within(PATIENCE).await.unwrap();
        assert_eq!(snapshot.nodes().len(), DEPTH + 1);
        assert!(snapshot.health().is_serving());
        let leaf = format!("{}leaf", "s/".repeat(DEPTH - 1));
        assert!(snapshot.find(&leaf).unwrap().pid.is_some());

        let text = snapshot.to_string();
        assert_eq!(text.lines().count(), DEPTH + 1);
        assert!(text.lines().all(|line| line.chars().count() < 300), "indents are bounded");
        let last = text.lines().last().unwrap();
        assert!(last.contains(&format!("[{DEPTH}] └─ leaf")), "{last}");
        assert_eq!(snapshot.to_dot().matches(" -> ").count(), DEPTH);
        assert_eq!(snapshot.to_mermaid().matches(" --> ").count(), DEPTH);
        for debug in [format!("{snapshot:?}"), format!("{snapshot:#?}")] {
            assert_eq!(debug.matches("TreeNode {").count(), DEPTH + 1);
        }

        let copy = snapshot.clone();
        assert_eq!(copy.to_string(), text);
        drop(snapshot);
        let deepest = copy.root.children; // a list that was moved out must not recurse either
        drop(deepest);
        tree.stop().await.unwrap();
        assert_eq!(rt.process_count(), 0);
    });
}

#[cfg(feature = "serde")]
#[test]
fn the_json_of_a_deep_tree_nests_less_than_128_levels() {
    on_a_small_stack(|| async {
        let tree = started(&Runtime::new()).await;
        let json = tree.tree_within(PATIENCE).await.unwrap().to_json();
        let json: serde_json::Value = serde_json::from_str(&json).unwrap();
        let nodes = json["nodes"].as_array().unwrap();
        assert_eq!(nodes.len(), DEPTH + 1);
        assert!(nodes[0]["parent"].is_null());
        for (number, node) in nodes.iter().enumerate().skip(1) {
            assert_eq!((&node["node"], &node["parent"]), (&number.into(), &(number - 1).into()));
        }
        assert_eq!(nodes[DEPTH]["id"], "leaf");
    });
}

#[cfg(feature = "axum")]
#[test]
fn tree_routes_serve_a_deep_tree() {
    use axum::body::{Body, to_bytes};
    use tower::ServiceExt;

    on_a_small_stack(|| async {
        let rt = Runtime::new();
        let tree = started(&rt).await;
        let routes = regrow::tree_routes_within(&tree, PATIENCE);
        for route in ["/healthz", "/readyz", "/tree", "/tree.json"] {
            let request = axum::http::Request::builder().uri(route).body(Body::empty()).unwrap();
            let answer = routes.clone().oneshot(request).await.unwrap();
            assert!(answer.status().is_success(), "{route}");
            to_bytes(answer.into_body(), 1 << 30).await.unwrap();
        }
    });
}

#[test]
fn killing_the_root_ends_a_deep_tree() {
    on_a_small_stack(|| async {
        let rt = Runtime::new();
        let tree = started(&rt).await;
        rt.kill(tree.pid().unwrap());
        assert_eq!(tree.ended().await, ExitReason::Killed);
        until("all have ended", || rt.process_count() == 0).await;

        started(&rt).await;
        support::assert_nothing_left(&rt).await; // ends all processes at once
    });
}

/// Dropping tokio drops the tasks of all processes one by one.
#[test]
fn dropping_tokio_ends_a_deep_tree() {
    let run = || {
        let rt = Runtime::new();
        let tokio = Builder::new_current_thread().enable_all().build().unwrap();
        tokio.block_on(started(&rt));
        drop(tokio);
        assert_eq!(rt.process_count(), 0);
    };
    std::thread::Builder::new().stack_size(STACK).spawn(run).unwrap().join().unwrap();
}

#[test]
fn a_deep_spec_can_be_linted_printed_cloned_and_dropped() {
    on_a_small_stack(|| async {
        let endless = idle("leaf").shutdown(regrow::Shutdown::Infinity);
        let spec = nested(endless);
        let lint = spec.lint();
        assert_eq!((lint.worst_stop, lint.most_starts), (None, Some(1)));
        let [Finding::EndlessStop { path }] = &lint.findings[..] else { panic!("{lint}") };
        let ids = format!("app/{}…/{}leaf", "s/".repeat(63), "s/".repeat(63));
        assert_eq!(*path, ids, "those in the middle are left out");
        let copy = spec.clone();
        assert!(format!("{copy:?}").len() < 1_000);
        drop(spec);
        drop(copy); // the last copy: this drops the shared parts
    });
}

/// The chain is built of `with_init` closures, each of which holds the specification of the next
/// level.
#[test]
fn specs_nested_in_init_closures_start_and_are_dropped() {
    on_a_small_stack(|| async {
        let leaf = Supervisor::one_for_one().with_id("s").child(idle("leaf"));
        let spec = (1..DEPTH).fold(leaf, |below, _| {
            let init = async move |_| Ok(Supervisor::one_for_one().child(below));
            Supervisor::with_init(init).with_id("s")
        });
        let rt = Runtime::new();
        let tree = spec.clone().start(&rt).await.unwrap();
        assert_eq!(rt.process_count(), DEPTH + 1);
        tree.stop().await.unwrap();
        drop(spec);
    });
}

#[test]
fn a_start_that_fails_deep_down_has_the_path_of_the_child() {
    on_a_small_stack(|| async {
        let rt = Runtime::new();
        let refused = ChildSpec::new("refused", Refused);
        let error = nested(refused).start(&rt).await.unwrap_err();
        assert_eq!(rt.process_count(), 0);
        let (mut ids, mut at) = (Vec::new(), &error);
        while let StartError::Child { id, error } = at {
            ids.push(id.as_str());
            at = error;
        }
        assert_eq!(*at, StartError::Failed(crash("no luck")));
        assert_eq!((ids.len(), ids.last()), (128, Some(&"refused")));
        assert_eq!(ids.iter().filter(|id| **id == "…").count(), 1, "for those in the middle");
        assert_eq!(error, error.clone());
        assert!(error.to_string().starts_with("child \"s\" was not started"));
    });
}

#[test]
fn aborting_a_deep_start_ends_all_its_processes() {
    on_a_small_stack(|| async {
        let rt = Runtime::new();
        let starting = rt.clone();
        let start = async move { nested(Hangs::child(())).start(&starting).await.map(drop) };
        let start = tokio::spawn(start);
        until("all are there", || rt.process_count() == DEPTH + 1).await;
        start.abort();
        until("all have ended", || rt.process_count() == 0).await;
    });
}

/// Runs the chain as a program, stops it by its token, and returns the report.
async fn stopped(leaf: ChildSpec, deadline: Duration) -> StopReport {
    let (rt, stop) = (Runtime::new(), CancellationToken::new());
    let run = Run::new(nested(leaf)).on(&rt).without_signals().deadline(deadline);
    let run = tokio::spawn(run.stop_on(stop.clone()).run());
    until("the last is there", || rt.process_count() == DEPTH + 1).await;
    stop.cancel();
    let report = run.await.unwrap().unwrap();
    assert_eq!(report.children.len(), DEPTH);
    assert!(report.children.iter().all(|child| child.path.len() < 400));
    assert!(report.to_string().lines().all(|line| line.chars().count() < 500));
    report
}

#[test]
fn a_deep_program_is_stopped_and_reported() {
    on_a_small_stack(|| async {
        let report = stopped(idle("leaf"), PATIENCE).await;
        assert!(report.is_clean(), "{report}");
        assert!(report.children[0].path.starts_with("app/s/s/"), "{report}");
        assert!(report.children[0].path.ends_with("/s/s/leaf"), "{report}");

        // A deadline of zero cuts the stop short, while the tree still starts or while it stops.
        let report = stopped(deaf(), Duration::ZERO).await;
        assert!(report.forced);
        let yields = |outcome: &StopOutcome| *outcome != StopOutcome::NotYielding;
        assert!(report.children.iter().all(|child| yields(&child.outcome)));
    });
}

#[test]
fn nested_supervisors_give_up_one_after_the_other() {
    on_a_small_stack(|| async {
        let rt = Runtime::new();
        let tree = started(&rt).await;
        let leaf = rt.list().into_iter().max().unwrap();
        rt.kill(leaf);
        let reason = tree.ended().await;
        assert_eq!(rt.process_count(), 0);
        let limit = |reason: &ExitReason| {
            reason.crash()?.downcast_ref::<RestartLimitReached>().map(|limit| limit.last.clone())
        };
        let mut levels = 0;
        let mut last = reason.clone();
        while let Some(below) = limit(&last) {
            (levels, last) = (levels + 1, below);
        }
        assert_eq!((levels, last), (DEPTH, ExitReason::Killed));
        for shown in [format!("{reason}"), format!("{reason:#}"), format!("{reason:?}")] {
            assert!(shown.len() < 1_000_000, "{}", shown.len());
        }
        drop(reason);
    });
}

#[test]
fn the_run_error_of_a_deep_program_is_short() {
    on_a_small_stack(|| async {
        let once = ChildSpec::task("once", async |_| Err(crash("no luck")));
        let error = Run::new(nested(once)).without_signals().run().await.unwrap_err();
        let RunError::GaveUp { path, limit, .. } = &error else { panic!("{error}") };
        assert!(path.starts_with("app/s/s/") && path.ends_with("/s/s/once"), "{path}");
        assert!(path.len() < 400 && error.to_string().len() < 1_000, "{error}");
        assert_eq!(limit.last, crash("no luck"));
    });
}

/// A child whose start fails.
struct Refused;

#[async_trait::async_trait]
impl regrow::StartChild for Refused {
    async fn start(&self, _: &mut regrow::StartContext) -> Result<regrow::Started, StartError> {
        Err(StartError::Failed(crash("no luck")))
    }
}

/// A server whose `init` never returns.
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
