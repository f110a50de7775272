//! 14. A child that is linked to a process of Erlang.

use std::time::Duration;

use regrow::{ChildSpec, ExitReason, Pid, Runtime, Supervisor, SupervisorRef, TaskContext};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use crate::beam::{Beam, COOKIE, Epmd};
use crate::signals_beam::probe;
use regrow::cluster::ExternalPid;

const BEAM: &str = "beam@127.0.0.1";

/// A supervisor with a child that links itself to a process, and waits.
async fn supervise(
    rt: &Runtime,
    restarts: u32,
    linked: Pid,
) -> (SupervisorRef, UnboundedReceiver<Pid>) {
    let (started, starts) = unbounded_channel();
    let child = ChildSpec::task("linked", async move |ctx: TaskContext| {
        assert!(ctx.runtime().link(ctx.pid(), linked));
        let _ = started.send(ctx.pid());
        std::future::pending::<regrow::Result>().await
    });
    let tree = Supervisor::one_for_one().intensity(restarts, Duration::from_secs(3_600));
    (tree.child(child).start(rt).await.unwrap(), starts)
}

/// Starts a node of Erlang. Returns it, with the pid of the process that evaluates its expressions.
async fn beam_and_shell(epmd: &Epmd, rt: &Runtime) -> (Beam, Pid) {
    let mut beam = Beam::start(epmd, BEAM, COOKIE).await;
    let (_probe, mut received) = probe(rt, "probe");
    beam.eval("{probe, 'rust@127.0.0.1'} ! self()").await;
    let shell = received.recv().await.unwrap().term().unwrap();
    (beam, rt.pid_of(&shell.decode::<ExternalPid>().unwrap()).unwrap())
}

/// Each loss of the connection ends the child with `noconnection`, and is a restart of it. The
/// successor connects again by its link. Beyond the intensity, the supervisor gives up.
#[tokio::test]
async fn a14_a_child_that_is_linked_to_a_beam_is_restarted_by_the_intensity() {
    let Some(epmd) = Epmd::start().await else { return };
    let (rt, _tree) = epmd.node("rust@127.0.0.1").await;
    let (mut beam, shell) = beam_and_shell(&epmd, &rt).await;
    let (tree, mut starts) = supervise(&rt, 3, shell).await;
    let gave_up = rt.ended(tree.pid().unwrap());
    let linked = "length([P || P <- element(2, process_info(self(), links)), is_pid(P), \
                  node(P) =/= node()])";
    beam.eval("process_flag(trap_exit, true)").await;
    let mut child = starts.recv().await.unwrap();
    for _ in 0..3 {
        beam.until(linked, "1").await;
        let ended = rt.ended(child);
        beam.eval("erlang:disconnect_node('rust@127.0.0.1')").await;
        assert_eq!(ended.await, ExitReason::NoConnection);
        let successor = starts.recv().await.unwrap();
        assert_ne!(successor, child);
        child = successor;
    }
    beam.until(linked, "1").await;
    beam.eval("erlang:disconnect_node('rust@127.0.0.1')").await;
    let reason = gave_up.await.to_string();
    assert!(reason.contains("linked"), "{reason}");
    assert!(starts.recv().await.is_none(), "it was started beyond the intensity");
}

/// A child whose node is not there ends at once, as often as the intensity allows.
#[tokio::test]
async fn a14_a_child_that_is_linked_to_a_beam_that_has_ended_uses_up_the_intensity() {
    let Some(epmd) = Epmd::start().await else { return };
    let (rt, _tree) = epmd.node("rust@127.0.0.1").await;
    let (mut beam, shell) = beam_and_shell(&epmd, &rt).await;
    let (tree, mut starts) = supervise(&rt, 2, shell).await;
    let gave_up = rt.ended(tree.pid().unwrap());
    starts.recv().await.unwrap();
    beam.process.kill().await.unwrap();
    gave_up.await;
    for _ in 0..2 {
        starts.recv().await.unwrap();
    }
    assert!(starts.recv().await.is_none());
}
