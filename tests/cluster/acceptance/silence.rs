//! 3. Ticks, and nodes that are silent or read nothing.

use std::time::Duration;

use regrow::cluster::EncodedTerm;
use regrow::{NodeChange, Runtime, Supervisor, SupervisorRef};
use tokio::time::Instant;

use super::assert_silence;
use super::program::Program;
use crate::beam::{Beam, COOKIE, Epmd, is_full};
use crate::pairs::subscribe;

const TICK: u32 = 4;

async fn rust(epmd: &Epmd) -> (Runtime, SupervisorRef) {
    let rt = Runtime::new();
    let node = epmd.node_spec("rust@127.0.0.1").tick_time(Duration::from_secs(TICK.into()));
    let tree = Supervisor::one_for_one().child(node).start(&rt).await.unwrap();
    (rt, tree)
}

fn change(change: NodeChange) -> Option<(String, NodeChange)> {
    Some(("beam@127.0.0.1".to_owned(), change))
}

#[tokio::test]
async fn a03_an_idle_connection_stays_up() {
    let Some(epmd) = Epmd::start().await else { return };
    let (rt, _tree) = rust(&epmd).await;
    let (_, mut changes) = subscribe(&rt);
    let mut beam = Beam::start_with(&epmd, "beam@127.0.0.1", COOKIE, TICK).await;
    rt.node("beam@127.0.0.1").connect().await.unwrap();
    assert_eq!(changes.recv().await, change(NodeChange::Up));
    beam.until("nodes(hidden)", "['rust@127.0.0.1']").await;
    let idle = "net_kernel:monitor_nodes(true, [{node_type, all}]), \
                receive M -> M after IDLE -> nodes(hidden) end";
    let idle = idle.replace("IDLE", if is_full() { "30000" } else { "10000" });
    assert_eq!(beam.eval(&idle).await, "['rust@127.0.0.1']");
    assert!(changes.try_recv().is_err());
}

#[tokio::test]
async fn a03_a_beam_that_is_stopped_is_lost_after_the_tick_time() {
    let Some(epmd) = Epmd::start().await else { return };
    let (rt, _tree) = rust(&epmd).await;
    let (_, mut changes) = subscribe(&rt);
    let mut beam = Beam::start_with(&epmd, "beam@127.0.0.1", COOKIE, TICK).await;
    assert_eq!(beam.eval("net_adm:ping('rust@127.0.0.1')").await, "pong");
    assert_eq!(changes.recv().await, change(NodeChange::Up));
    let begun = Instant::now();
    beam.signal("-STOP").await;
    assert_eq!(changes.recv().await, change(NodeChange::Down));
    assert_silence(begun.elapsed(), TICK, 1.5);
    beam.signal("-CONT").await;
    // The first attempt may use the connection that is lost.
    beam.until("net_adm:ping('rust@127.0.0.1')", "pong").await;
    assert_eq!(changes.recv().await, change(NodeChange::Up));
}

#[tokio::test]
async fn a03_a_program_that_is_stopped_is_lost_by_a_beam_after_the_tick_time() {
    let Some(epmd) = Epmd::start().await else { return };
    let tick = format!("tick={TICK}");
    let mut rust = Program::start(&epmd.place(), "rust@127.0.0.1", &tick).await;
    let mut beam = Beam::start_with(&epmd, "beam@127.0.0.1", COOKIE, TICK).await;
    let watch = "net_kernel:monitor_nodes(true, [{node_type, all}, nodedown_reason]), \
                 erlang:monitor(process, {kv, 'rust@127.0.0.1'})";
    beam.eval(watch).await;
    assert_eq!(beam.eval("net_adm:ping('rust@127.0.0.1')").await, "pong");
    assert_eq!(rust.ask("change").await, "up beam@127.0.0.1");
    let begun = Instant::now();
    rust.signal("-STOP").await;
    let lost = "receive {nodedown, N, I} -> {N, lists:keyfind(nodedown_reason, 1, I)} end";
    let why = "{'rust@127.0.0.1',{nodedown_reason,net_tick_timeout}}";
    assert_eq!(beam.eval(lost).await, why);
    assert_silence(begun.elapsed(), TICK, 1.5);
    let down = "receive {'DOWN', _, process, P, W} -> {P, W} end";
    assert_eq!(beam.eval(down).await, "{{kv,'rust@127.0.0.1'},noconnection}");
    rust.signal("-CONT").await;
    assert_eq!(rust.ask("change").await, "down beam@127.0.0.1");
    assert_eq!(rust.ask("connect beam@127.0.0.1").await, "ok");
}

/// The first node of Erlang is stopped, and has a tick time that never passes here. The bytes that
/// wait for it reach their bound: it loses its connection, and the other one gets its answers.
#[tokio::test]
async fn a03_a_beam_that_reads_nothing_delays_no_other() {
    let Some(epmd) = Epmd::start().await else { return };
    let rt = Runtime::new();
    let node = epmd.node_spec("rust@127.0.0.1").send_buffer(16 << 20);
    let _tree = Supervisor::one_for_one().child(node).start(&rt).await.unwrap();
    let (_, mut changes) = subscribe(&rt);
    let beam = Beam::start(&epmd, "beam@127.0.0.1", COOKIE).await;
    let mut other = Beam::start(&epmd, "other@127.0.0.1", COOKIE).await;
    rt.node("beam@127.0.0.1").connect().await.unwrap();
    assert_eq!(changes.recv().await, change(NodeChange::Up));
    assert_eq!(other.eval("net_adm:ping('rust@127.0.0.1')").await, "pong");
    assert_eq!(changes.recv().await, Some(("other@127.0.0.1".to_owned(), NodeChange::Up)));
    beam.signal("-STOP").await;
    let text = "x".repeat(1 << 20);
    let (there, mut sent) = (rt.node("beam@127.0.0.1").process("net_kernel"), 0);
    while there.send(EncodedTerm::new(&text).unwrap()) {
        sent += 1;
        assert!(sent < 10_000, "there is no bound");
        assert_eq!(other.eval("net_adm:ping('rust@127.0.0.1')").await, "pong");
        if let Ok(lost) = changes.try_recv() {
            assert_eq!(Some(lost), change(NodeChange::Down));
            return;
        }
    }
    assert_eq!(changes.recv().await, change(NodeChange::Down));
}
