//! A running tree as a value, as text and as diagrams.

use crate::support;

use std::time::Duration;

use regrow::{
    Backoff, CallError, ChildSpec, ExitReason, GenServer, NodeKind, NodeState, Reply, Restart,
    Result, Runtime, ServerContext, Supervisor, SupervisorRef,
};
use support::{crash, from_one, settled};

const SECOND: Duration = Duration::from_secs(1);

fn idle(id: &str) -> ChildSpec {
    ChildSpec::task(id, |_| std::future::pending())
}

/// A server whose `init` never returns.
struct Starting;

impl GenServer for Starting {
    type Args = ();
    type Call = Reply<()>;
    type Cast = ();

    async fn init((): (), _: &mut ServerContext<Self>) -> Result<Self> {
        std::future::pending().await
    }

    async fn handle_call(&mut self, _: Reply<()>, _: &mut ServerContext<Self>) -> Result {
        Ok(())
    }

    async fn handle_cast(&mut self, (): (), _: &mut ServerContext<Self>) -> Result {
        Ok(())
    }
}

/// Starts a tree with a child in each of these states: waiting for its backoff, stopped, running,
/// busy.
async fn motley(rt: &Runtime) -> SupervisorRef {
    let failing = ChildSpec::task("failing", |_| async { Err(crash("no luck")) });
    let backoff = Backoff::default().first(10 * SECOND).jitter(0.0);
    let inner = Supervisor::rest_for_one().with_id("inner").child(idle("a"));
    let busy = Supervisor::one_for_one().with_id("busy");
    let done = ChildSpec::task("done", |_| async { Ok(()) }).restart(Restart::Transient);
    let spec = Supervisor::one_for_one()
        .named("app")
        .child(failing.backoff(backoff))
        .child(done)
        .child(idle("kv").named("store"))
        .child(inner)
        .child(busy);
    let tree = spec.start(rt).await.unwrap();
    settled().await;
    let busy = tree.which_child("busy").await.unwrap().pid().unwrap();
    rt.set_label(busy, "busy");
    rt.register("busy", busy);
    let asked = SupervisorRef::named(rt, "busy");
    tokio::spawn(async move { asked.start_child(Starting::child(())).await });
    settled().await;
    tree
}

#[tokio::test(start_paused = true)]
async fn a_tree_snapshot_shows_the_state_of_every_node() {
    let rt = Runtime::new();
    let tree = motley(&rt).await;
    let snapshot = tree.tree().await.unwrap();
    let state = |path: &str| snapshot.find(path).unwrap().state;
    let retry_in = Some(10 * SECOND - Duration::from_millis(252)); // 2 ms, and 250 ms for `busy`
    assert_eq!(state("failing"), NodeState::Restarting { retry_in });
    assert_eq!(state("done"), NodeState::Stopped);
    assert_eq!(state("kv"), NodeState::Running);
    assert_eq!(state("inner/a"), NodeState::Running);
    assert_eq!(state("busy"), NodeState::Busy);
    assert_eq!(state("busy/Starting"), NodeState::Starting);
    assert!(snapshot.find("nobody").is_none());
    let inner = snapshot.find("inner").unwrap();
    assert!(matches!(inner.kind, NodeKind::Supervisor { strategy: "rest_for_one", .. }));
    assert_eq!(inner.budget().unwrap().left, 3);
    let failing = snapshot.find("failing").unwrap();
    assert_eq!((failing.last_reason(), failing.restarts), (Some(&crash("no luck")), 0));
    assert_eq!(snapshot.find("kv").unwrap().names, ["store"]);
    assert_eq!(snapshot.nodes().len(), 8);
}

#[tokio::test(start_paused = true)]
async fn the_text_of_a_tree_shows_every_field() {
    let rt = Runtime::with_mailbox_depth();
    let tree = motley(&rt).await;
    rt.send_named("store", b"to do".to_vec());
    let expected = "\
app             one_for_one   #1  up 252ms  3 of 3 restarts left
├─ failing                        restarting, next try in 9.7s  0 restarts, last: no luck
├─ done                           stopped  0 restarts, last: normal
├─ kv                         #4  up 252ms  named store  1 queued
├─ inner        rest_for_one  #5  up 252ms  3 of 3 restarts left
│  └─ a                       #6  up 252ms
└─ busy         one_for_one   #7  busy starting Starting for 251ms (last known)  3 of 3 restarts left
   └─ Starting                #8  starting";
    assert_eq!(text(&tree).await, expected);
}

async fn text(tree: &SupervisorRef) -> String {
    narrow(&tree.tree().await.unwrap())
}

/// The text of a tree with pids as in [`from_one`]. The column of pids is as wide in all lines.
fn narrow(tree: &impl ToString) -> String {
    let text = tree.to_string();
    let root = text.lines().next().unwrap();
    let extra = root.len() - from_one(root).len();
    let line = |line: &str| match line.contains('#') {
        true => from_one(line),
        false => line.replacen(&" ".repeat(extra + 3), "   ", 1),
    };
    text.lines().map(line).collect::<Vec<_>>().join("\n")
}

/// Ids come from the user: characters with a meaning in DOT or mermaid are escaped.
#[tokio::test(start_paused = true)]
async fn quotes_in_ids_are_escaped_in_dot_and_mermaid() {
    let rt = Runtime::new();
    let tree = Supervisor::one_for_one().named("app").child(idle("the \"best\"")).start(&rt).await;
    let snapshot = tree.unwrap().tree().await.unwrap();
    assert!(
        from_one(snapshot.to_dot()).contains(r#"label="the \"best\"\n#2"#),
        "{}",
        snapshot.to_dot()
    );
    let chart = from_one(snapshot.to_mermaid());
    assert!(chart.contains("(\"the #quot;best#quot;<br/>#2"), "{chart}");
}

#[tokio::test(start_paused = true)]
async fn tree_reports_a_busy_root_and_fails_for_an_ended_one() {
    let rt = Runtime::new();
    let tree = Supervisor::one_for_one().named("app").start(&rt).await.unwrap();
    let asked = tree.clone();
    tokio::spawn(async move { asked.start_child(Starting::child(())).await });
    settled().await;
    assert_eq!(tree.tree().await.unwrap().root.state, NodeState::Busy);
    rt.kill(tree.pid().unwrap());
    assert_eq!(tree.ended().await, ExitReason::Killed);
    assert_eq!(tree.tree().await.unwrap_err(), CallError::NoProc);
}

/// In a runtime that does not count messages, the depth of a mailbox is shown as unknown. With
/// counted messages, an empty mailbox is not shown.
#[tokio::test(start_paused = true)]
async fn an_uncounted_mailbox_depth_is_shown_as_unknown() {
    let rt = Runtime::new();
    let off = ChildSpec::task("off", |_| async { Ok(()) }).restart(Restart::Transient);
    let tree = Supervisor::one_for_one().named("app").child(idle("kv").named("kv")).child(off);
    let tree = tree.start(&rt).await.unwrap();
    rt.send_named("kv", b"to do".to_vec());
    settled().await;
    let snapshot = tree.tree().await.unwrap();
    let kv = snapshot.find("kv").unwrap();
    assert_eq!((kv.mailbox_depth, kv.depth()), (0, None));
    let expected = "\
app     one_for_one  #1  up 1ms  3 of 3 restarts left  ? queued
├─ kv                #2  up 1ms  ? queued
└─ off                   stopped  0 restarts, last: normal";
    assert_eq!(narrow(&snapshot), expected);
    assert_eq!(snapshot.to_dot().matches("? queued").count(), 2);
    assert_eq!(snapshot.to_mermaid().matches("? queued").count(), 2);
    assert!(format!("{snapshot:?}").contains("mailbox_depth: None"), "{snapshot:?}");
    #[cfg(feature = "serde")]
    {
        let json: serde_json::Value = serde_json::from_str(&snapshot.to_json()).unwrap();
        for node in json["nodes"].as_array().unwrap() {
            assert_eq!(node["mailbox_depth"], serde_json::Value::Null);
        }
    }

    let rt = Runtime::with_mailbox_depth();
    let tree = Supervisor::one_for_one().named("app").child(idle("kv")).start(&rt).await.unwrap();
    let snapshot = tree.tree().await.unwrap();
    assert_eq!(snapshot.find("kv").unwrap().depth(), Some(0));
    assert!(!snapshot.to_string().contains("queued"), "{snapshot}");
}
