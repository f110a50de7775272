//! Messages, links, monitors and exits between processes of this crate and of Erlang.

use regrow::cluster::{EncodedTerm, ExternalPid, Node};
use regrow::{ExitReason, Pid, ProcessHandle, Received, Runtime, Supervisor, SupervisorRef};
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

/// A connected pair: a node of this crate with a probe, and a node of Erlang whose evaluator has the
/// name `shell`.
struct Pair {
    rt: Runtime,
    probe: ProcessHandle,
    received: UnboundedReceiver<Received>,
    beam: Beam,
    epmd: Epmd,
    _tree: SupervisorRef,
}

impl Pair {
    async fn start() -> Option<Pair> {
        Pair::start_with(|node| node).await
    }

    async fn start_with(set: impl FnOnce(Node) -> Node) -> Option<Pair> {
        let epmd = Epmd::start().await?;
        let rt = Runtime::new();
        let node = epmd.node_spec("rust@127.0.0.1");
        let _tree = Supervisor::one_for_one().child(set(node)).start(&rt).await.unwrap();
        let (probe, received) = probe(&rt, "probe");
        let mut beam = Beam::start(&epmd, "beam@127.0.0.1", COOKIE).await;
        beam.eval("register(shell, self())").await;
        let mut pair = Pair { rt, probe, received, beam, epmd, _tree };
        pair.sync().await;
        Some(pair)
    }

    /// Waits until the node has handled all that Erlang has sent: requests are handled in order.
    async fn sync(&mut self) {
        assert_eq!(self.beam.eval("net_adm:ping('rust@127.0.0.1')").await, "pong");
    }

    /// Stores a pid of this crate in the dictionary of the evaluator.
    async fn give(&mut self, key: &str, pid: Pid) {
        let pid = self.rt.external_pid(pid).unwrap();
        let shell = self.rt.node("beam@127.0.0.1").process("shell");
        assert!(shell.send(EncodedTerm::new(&pid).unwrap()));
        let store = format!("receive P when is_pid(P) -> put({key}, P), ok after 5000 -> late end");
        assert_eq!(self.beam.eval(&store).await, "ok");
    }

    /// Starts a worker, and stores its pid in the dictionary of the evaluator.
    async fn worker(&mut self) -> Pid {
        self.take(&format!("begin put(w, {WORKER}), get(w) end")).await
    }

    /// Returns a pid of Erlang.
    async fn take(&mut self, pid: &str) -> Pid {
        self.beam.eval(&format!("{{probe, 'rust@127.0.0.1'}} ! ({pid})")).await;
        let term = self.next().await.term().unwrap();
        self.rt.pid_of(&term.decode::<ExternalPid>().unwrap()).unwrap()
    }

    /// Ends the worker, after it has received what was sent to it.
    async fn stop(&mut self, why: &str) {
        self.sync().await;
        self.beam.eval(&format!("get(w) ! {{stop, {why}}}")).await;
    }

    /// What the probe receives next.
    async fn next(&mut self) -> Received {
        self.received.recv().await.unwrap()
    }

    /// What the evaluator receives next.
    async fn heard(&mut self) -> String {
        self.beam.eval("receive M -> M after 5000 -> late end").await
    }
}

/// A process of Erlang that waits for a message with the reason of its end.
const WORKER: &str = "spawn(fun() -> receive {stop, Why} -> exit(Why) end end)";

#[tokio::test]
async fn a_beam_monitors_processes_by_name_and_by_pid() {
    let Some(mut pair) = Pair::start().await else { return };
    let rt = pair.rt.clone();
    let (kv, _received) = probe(&rt, "kv");
    let by_name = "put(r, erlang:monitor(process, {kv, 'rust@127.0.0.1'}))";
    pair.beam.eval(by_name).await;
    pair.sync().await;
    assert_eq!(rt.info(kv.pid()).unwrap().monitors, 1);
    rt.kill(kv.pid());
    let down = "R = get(r), receive {'DOWN', R, process, Who, Why} -> {Who, Why} \
                after 5000 -> late end";
    assert_eq!(pair.beam.eval(down).await, "{{kv,'rust@127.0.0.1'},killed}");

    // A monitor that is removed is silent.
    let (kv, _received) = probe(&rt, "kv");
    pair.beam.eval(by_name).await;
    pair.sync().await;
    assert_eq!(rt.info(kv.pid()).unwrap().monitors, 1);
    pair.beam.eval("erlang:demonitor(get(r))").await;
    pair.sync().await;
    assert_eq!(rt.info(kv.pid()).unwrap().monitors, 0);

    // Two monitors of one pid; one is removed.
    pair.give("p", kv.pid()).await;
    pair.beam.eval("put(r1, erlang:monitor(process, get(p)))").await;
    pair.beam.eval("put(r, erlang:monitor(process, get(p)))").await;
    pair.beam.eval("erlang:demonitor(get(r1))").await;
    pair.sync().await;
    rt.exit(kv.pid(), ExitReason::Normal); // trapped
    let crash = rt.spawn_fallible(|_| async { Err(ExitReason::crashed("no luck")) });
    assert!(crash.join().await.is_abnormal());
    rt.kill(kv.pid());
    let down = "R = get(r), P = get(p), receive {'DOWN', R, process, P, Why} -> Why \
                after 5000 -> late end";
    assert_eq!(pair.beam.eval(down).await, "killed");
    let again = format!("put(r, erlang:monitor(process, get(p))), {down}");
    assert_eq!(pair.beam.eval(&again).await, "noproc");
    assert_eq!(pair.beam.eval("receive M -> M after 0 -> none end").await, "none");
}

#[tokio::test]
async fn a_process_monitors_processes_of_a_beam() {
    let Some(mut pair) = Pair::start().await else { return };
    let (rt, own) = (pair.rt.clone(), pair.probe.pid());
    let there = rt.node("beam@127.0.0.1");

    // By pid: each kind of reason.
    for (why, shown) in [
        ("normal", "normal"),
        ("shutdown", "shutdown"),
        ("{shutdown, drained}", "shutdown: drained"),
        ("kill", "error: kill"), // a reason as any other, for the process that gives it itself
        ("{badmatch, [1,2]}", "error: {badmatch,[1,2]}"),
    ] {
        let pid = pair.worker().await;
        let reference = rt.monitor(own, pid);
        pair.stop(why).await;
        let (of, from, reason) = (reference, pid, pair.next().await);
        let (reference, pid, reason) = reason.down().map(|(r, p, w)| (r, p, w.clone())).unwrap();
        assert_eq!((reference, pid, reason.to_string()), (of, from, shown.to_owned()));
        // It has ended.
        let reference = rt.monitor(own, pid);
        let down = Received::Down { reference, pid, reason: ExitReason::NoProc };
        assert_eq!(pair.next().await, down);
    }

    // A monitor that is removed is silent.
    let pid = pair.worker().await;
    let removed = rt.monitor(own, pid);
    assert!(rt.demonitor(removed) && !rt.demonitor_flush(removed));
    let reference = rt.monitor(own, pid);
    pair.stop("normal").await;
    assert_eq!(pair.next().await, Received::Down { reference, pid, reason: ExitReason::Normal });

    // By name.
    let name = || "worker".into();
    pair.beam.eval(&format!("register(worker, {WORKER})")).await;
    let worker = there.process("worker");
    let removed = worker.monitor(own);
    assert!(rt.demonitor(removed));
    let reference = worker.monitor(own);
    pair.sync().await;
    pair.beam.eval("worker ! {stop, shutdown}").await;
    let reason = ExitReason::Shutdown;
    assert_eq!(pair.next().await, Received::DownName { reference, name: name(), reason });
    let reference = worker.monitor(own);
    let reason = ExitReason::NoProc;
    assert_eq!(pair.next().await, Received::DownName { reference, name: name(), reason });
}

/// A process of Erlang that links to the pid under `p`, says so, and passes on the exit.
const LINKER: &str = "S = self(), P = get(p), put(l, spawn(fun() -> process_flag(trap_exit, true), \
    link(P), S ! linked, (fun F() -> receive {unlink, Q} -> unlink(Q), S ! unlinked, F(); \
    {stop, W} -> exit(W); X -> S ! {seen, X}, F() end end)() end))";

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "one scenario, step by step")]
async fn a_beam_links_to_a_process_and_is_linked_to() {
    let Some(mut pair) = Pair::start().await else { return };
    let rt = pair.rt.clone();
    // The process ends.
    let (kv, _kv) = probe(&rt, "kv");
    pair.give("p", kv.pid()).await;
    pair.beam.eval(LINKER).await;
    assert_eq!(pair.heard().await, "linked");
    pair.sync().await;
    assert_eq!(rt.info(kv.pid()).unwrap().links, 1);
    rt.kill(kv.pid());
    assert!(pair.heard().await.starts_with("{seen,{'EXIT',<"));
    // A link to a process that has ended.
    pair.beam.eval(LINKER).await;
    assert_eq!(pair.heard().await, "linked");
    assert!(pair.heard().await.ends_with(",noproc}}"));
    // The process of Erlang ends.
    let own = pair.probe.pid();
    pair.give("p", own).await;
    pair.beam.eval(LINKER).await;
    assert_eq!(pair.heard().await, "linked");
    let linker = pair.take("get(l)").await;
    pair.beam.eval("get(l) ! {stop, {oh, no}}").await;
    let exit = pair.next().await;
    assert_eq!(exit.exit().map(|(from, why)| (from, why.to_string())), {
        Some((linker, "error: {oh,no}".to_owned()))
    });
    assert_eq!(rt.info(own).unwrap().links, 0);
    // The process of Erlang unlinks.
    pair.beam.eval(LINKER).await;
    assert_eq!(pair.heard().await, "linked");
    pair.beam.eval("get(l) ! {unlink, get(p)}").await;
    assert_eq!(pair.heard().await, "unlinked");
    pair.sync().await;
    assert_eq!(rt.info(own).unwrap().links, 0);
    pair.beam.eval("get(l) ! {stop, gone}, {probe, 'rust@127.0.0.1'} ! last").await;
    assert_eq!(pair.next().await.term().unwrap().term().unwrap().to_string(), "last");

    // From here: link, unlink, link again, and the end of the other process.
    let pid = pair.worker().await;
    assert!(rt.link(own, pid) && rt.link(own, pid));
    rt.unlink(own, pid);
    assert!(rt.link(pid, own)); // whichever comes first
    pair.sync().await;
    assert_eq!(pair.beam.eval("length(element(2, process_info(get(w), links)))").await, "1");
    pair.stop("shutdown").await;
    assert_eq!(pair.next().await, Received::Exit { from: pid, reason: ExitReason::Shutdown });
    // Unlinked.
    let pid = pair.worker().await;
    assert!(rt.link(own, pid));
    rt.unlink(own, pid);
    pair.sync().await;
    pair.beam.eval("get(w) ! {stop, shutdown}, {probe, 'rust@127.0.0.1'} ! last").await;
    assert_eq!(pair.next().await.term().unwrap().term().unwrap().to_string(), "last");
    // A process that has ended.
    assert!(rt.link(own, pid));
    assert_eq!(pair.next().await, Received::Exit { from: pid, reason: ExitReason::NoProc });
    // The process here ends.
    let pid = pair.worker().await;
    let short = rt.spawn(|_| std::future::pending());
    assert!(rt.link(short.pid(), pid));
    let reference = rt.monitor(own, pid);
    rt.exit(short.pid(), ExitReason::crashed("no luck"));
    let Received::Down { reference: of, reason, .. } = pair.next().await else { panic!() };
    assert_eq!((of, reason.to_string()), (reference, r#"error: {crashed,<<"no luck">>}"#.into()));
    // One that does not trap exits ends with the other.
    let pid = pair.worker().await;
    let short = rt.spawn(|_| std::future::pending());
    assert!(rt.link(short.pid(), pid));
    pair.stop("shutdown").await;
    assert_eq!(short.join().await, ExitReason::Shutdown);
}

#[tokio::test]
async fn exit_signals_cross_and_a_kill_has_to_be_allowed() {
    let Some(mut pair) = Pair::start().await else { return };
    let rt = pair.rt.clone();
    let own = pair.probe.pid();
    pair.give("p", own).await;
    let shell = pair.take("self()").await;
    pair.beam.eval("exit(get(p), {why, not_this})").await;
    let exit = pair.next().await;
    assert_eq!(exit.exit().map(|(from, why)| (from, why.to_string())), {
        Some((shell, "error: {why,not_this}".to_owned()))
    });
    // Without the switch, nothing happens.
    pair.beam.eval("exit(get(p), kill), exit(get(p), shutdown)").await;
    assert_eq!(pair.next().await, Received::Exit { from: shell, reason: ExitReason::Shutdown });

    let pid = pair.worker().await;
    let reference = rt.monitor(own, pid);
    assert!(rt.exit(pid, ExitReason::Normal) && rt.exit(pid, ExitReason::Shutdown));
    assert_eq!(pair.next().await, Received::Down { reference, pid, reason: ExitReason::Shutdown });
    let trapping = "spawn(fun() -> process_flag(trap_exit, true), receive stop -> ok end end)";
    let pid = pair.take(trapping).await;
    let reference = rt.monitor(own, pid);
    assert!(rt.exit(pid, ExitReason::Killed) && rt.kill(pid));
    assert_eq!(pair.next().await, Received::Down { reference, pid, reason: ExitReason::Killed });

    let Some(mut pair) = Pair::start_with(Node::allow_remote_kill).await else { return };
    pair.give("p", pair.probe.pid()).await;
    let ended = pair.rt.ended(pair.probe.pid());
    pair.beam.eval("exit(get(p), kill)").await;
    assert_eq!(ended.await, ExitReason::Killed);
}

/// Both sides notice the loss, once. The same pids are reached by the next connection.
#[tokio::test]
#[expect(clippy::too_many_lines, reason = "one scenario, step by step")]
async fn the_loss_of_the_connection_is_noticed_once_and_pids_outlive_it() {
    let Some(mut pair) = Pair::start().await else { return };
    let (rt, own) = (pair.rt.clone(), pair.probe.pid());
    let there = rt.node("beam@127.0.0.1");
    let outlives = pair.worker().await;
    let worker = pair.take(WORKER).await;
    pair.give("p", own).await;
    pair.beam.eval(LINKER).await;
    assert_eq!(pair.heard().await, "linked");
    let linker = pair.take("get(l)").await;
    pair.beam.eval("erlang:monitor(process, get(p))").await;
    let by_name = there.process("shell").monitor(own);
    let by_pid = rt.monitor(own, worker);
    assert!(rt.link(own, worker));
    pair.sync().await;
    let info = rt.info(own).unwrap();
    assert_eq!((info.links, info.monitors, info.monitoring), (2, 1, 2));

    pair.beam.eval("erlang:disconnect_node('rust@127.0.0.1')").await;
    let mut seen = Vec::new();
    for _ in 0..4 {
        seen.push(match pair.next().await {
            Received::Exit { from, reason: ExitReason::NoConnection } => format!("exit {from}"),
            Received::Down { reference, reason: ExitReason::NoConnection, .. } => {
                assert_eq!(reference, by_pid);
                "pid".to_owned()
            }
            Received::DownName { reference, reason: ExitReason::NoConnection, .. } => {
                assert_eq!(reference, by_name);
                "name".to_owned()
            }
            other => panic!("{other:?}"),
        });
    }
    let mut expected =
        ["pid".into(), "name".into(), format!("exit {worker}"), format!("exit {linker}")];
    seen.sort();
    expected.sort();
    assert_eq!(seen, expected);
    let info = rt.info(own).unwrap();
    assert_eq!((info.links, info.monitors, info.monitoring), (0, 0, 0));
    let heard = [pair.heard().await, pair.heard().await];
    assert!(
        heard.iter().any(|text| text.starts_with("{'DOWN',") && text.ends_with(",noconnection}"))
    );
    assert!(
        heard
            .iter()
            .any(|text| text.starts_with("{seen,{'EXIT',") && text.ends_with(",noconnection}}"))
    );
    assert_eq!(pair.beam.eval("receive M -> M after 0 -> none end").await, "none");

    // The same pids, by an attempt that a link begins.
    assert!(rt.link(own, outlives));
    let reference = rt.monitor(own, outlives);
    pair.beam.until("length(element(2, process_info(get(w), links)))", "1").await;
    pair.beam.until("length(element(2, process_info(get(w), monitored_by)))", "1").await;
    pair.stop("shutdown").await;
    pair.beam.eval("get(p) ! hello").await;
    let mut seen = [pair.next().await, pair.next().await, pair.next().await].map(|own| match own {
        Received::Exit { from, reason: ExitReason::Shutdown } if from == outlives => "exit",
        Received::Down { reference: of, reason: ExitReason::Shutdown, .. } if of == reference => {
            "down"
        }
        Received::Term(_) => "hello",
        other => panic!("{other:?}"),
    });
    seen.sort_unstable();
    assert_eq!(seen, ["down", "exit", "hello"]);
    assert_eq!(rt.info(own).unwrap().links, 0);
}

/// A node that is killed and starts again has other pids; the old ones are dead.
#[tokio::test]
async fn the_pids_of_a_beam_that_was_restarted_are_dead() {
    let Some(mut pair) = Pair::start().await else { return };
    let (rt, own) = (pair.rt.clone(), pair.probe.pid());
    let shell = pair.take("self()").await;
    let reference = rt.monitor(own, shell);
    pair.beam.process.kill().await.unwrap();
    let reason = ExitReason::NoConnection;
    assert_eq!(pair.next().await, Received::Down { reference, pid: shell, reason });
    // No node listens.
    let reference = rt.monitor(own, shell);
    let reason = ExitReason::NoConnection;
    assert_eq!(pair.next().await, Received::Down { reference, pid: shell, reason });
    assert!(rt.link(own, shell));
    let reason = ExitReason::NoConnection;
    assert_eq!(pair.next().await, Received::Exit { from: shell, reason });

    pair.beam = Beam::start(&pair.epmd, "beam@127.0.0.1", COOKIE).await;
    let reference = rt.monitor(own, shell); // connects
    let reason = ExitReason::NoProc;
    assert_eq!(pair.next().await, Received::Down { reference, pid: shell, reason });
    let again = pair.take("self()").await;
    assert_ne!(again, shell);
    let reference = rt.monitor(own, shell);
    let reason = ExitReason::NoProc;
    assert_eq!(pair.next().await, Received::Down { reference, pid: shell, reason });
    assert!(!rt.send_term(shell, EncodedTerm::new("x").unwrap()) && !rt.kill(shell));
    assert!(rt.send_term(again, EncodedTerm::new(&7).unwrap()));
    assert_eq!(pair.heard().await, "7");
}
