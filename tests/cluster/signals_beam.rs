//! Messages, links, monitors and exits between processes of this crate and of Erlang.

use regrow::cluster::{EncodedTerm, ExternalPid};
use regrow::{ExitReason, Pid, ProcessHandle, Received, Runtime};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use crate::beam::{Beam, COOKIE, Epmd};

/// A process that traps exits, and passes on what it receives.
pub(crate) fn probe(rt: &Runtime, name: &str) -> (ProcessHandle, UnboundedReceiver<Received>) {
    let (sender, received) = unbounded_channel();
    let probe = rt.spawn(|mut ctx| async move {
        loop {
            if sender.send(ctx.recv().await).is_err() {
                return;
            }
        }
    });
    rt.set_trap_exit(probe.pid(), true);
    assert!(rt.register(name, probe.pid()));
    (probe, received)
}

/// The two nodes, connected.
pub(crate) async fn pair() -> Option<(Epmd, Runtime, regrow::SupervisorRef, Beam)> {
    let epmd = Epmd::start().await?;
    let (rt, tree) = epmd.node("rust@127.0.0.1").await;
    let mut beam = Beam::start(&epmd, "beam@127.0.0.1", COOKIE).await;
    assert_eq!(beam.eval("net_adm:ping('rust@127.0.0.1')").await, "pong");
    Some((epmd, rt, tree, beam))
}

/// Receives the pid that a process of Erlang has sent.
pub(crate) async fn pid_from(rt: &Runtime, received: &mut UnboundedReceiver<Received>) -> Pid {
    let term = received.recv().await.unwrap().term().unwrap();
    rt.pid_of(&term.decode::<ExternalPid>().unwrap()).unwrap()
}

const DOWN: &str = "receive {'DOWN', R, process, Who, Why} -> {Who, Why} after 5000 -> late end";

#[tokio::test]
async fn a_beam_monitors_processes_by_name_and_by_pid() {
    let Some((_epmd, rt, _tree, mut beam)) = pair().await else { return };
    let (kv, _) = probe(&rt, "kv");
    beam.eval("R = erlang:monitor(process, {kv, 'rust@127.0.0.1'})").await;
    beam.until("is_reference(R)", "true").await;
    // The monitor arrives in the order of the connection, before the next answer.
    assert_eq!(beam.eval("net_adm:ping('rust@127.0.0.1')").await, "pong");
    assert_eq!(rt.info(kv.pid()).unwrap().monitors, 1);
    rt.exit(kv.pid(), ExitReason::Shutdown);
    rt.kill(kv.pid());
    assert_eq!(beam.eval(DOWN).await, "{{kv,'rust@127.0.0.1'},killed}");

    // A monitor that is removed is silent.
    let (kv, mut received) = probe(&rt, "kv");
    beam.eval("f(R), R = erlang:monitor(process, {kv, 'rust@127.0.0.1'})").await;
    beam.eval("erlang:demonitor(R)").await;
    assert_eq!(beam.eval("net_adm:ping('rust@127.0.0.1')").await, "pong");
    assert_eq!(rt.info(kv.pid()).unwrap().monitors, 0);

    // By pid, which the process sends in a message.
    beam.eval("register(shell, self()), {kv, 'rust@127.0.0.1'} ! self()").await;
    let shell = pid_from(&rt, &mut received).await;
    let own = rt.external_pid(kv.pid()).unwrap();
    assert!(rt.send_term(shell, EncodedTerm::new(&("pid", own)).unwrap()));
    let monitor = "receive {_, P} -> ok end, f(R), R = erlang:monitor(process, P), node(P)";
    assert_eq!(beam.eval(monitor).await, "'rust@127.0.0.1'");
    rt.kill(kv.pid());
    let down = "receive {'DOWN', R, process, P, Why} -> Why after 5000 -> late end";
    assert_eq!(beam.eval(down).await, "killed");
    // It has ended.
    let again = format!("f(R), R = erlang:monitor(process, P), {down}");
    assert_eq!(beam.eval(&again).await, "noproc");
}
