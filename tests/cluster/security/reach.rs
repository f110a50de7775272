//! What a peer that knows the cookie can't do, unless a setting of the node allows it.

use std::time::Instant;

use regrow::cluster::{Atom, EncodedTerm, ExternalPid, Node, Term, to_bytes};
use regrow::{
    DynamicSupervisor, ExitReason, GenServer, Name, NodeChange, ProcessHandle, Received, Result,
    ServerContext, Supervisor,
};

use crate::fake::Fake;
use crate::kv::{KV, Kv};
use crate::log::Log;
use crate::pairs::{Running, node, start};

fn atom(text: &str) -> Atom {
    Atom::new(text).unwrap()
}

/// A process of the peer. The peers of `Fake` have creation 9.
fn own() -> ExternalPid {
    ExternalPid::new(atom("peer@reader"), 1, 0, 9)
}

async fn send(peer: &mut Fake, control: &impl serde::Serialize, payload: Option<&Term>) {
    let payload = payload.map(|payload| payload.to_bytes().unwrap()).unwrap_or_default();
    peer.frame(&[&b"\x70"[..], &to_bytes(control).unwrap(), &payload].concat()).await;
}

/// Waits until the node has handled what the peer has sent so far.
async fn sync(peer: &mut Fake) {
    peer.ask().await;
    assert!(peer.is_answered().await);
}

async fn with_worker(own: Node) -> (Running, ProcessHandle, ExternalPid, Fake) {
    let mut a = start(own).await;
    let worker = a.rt.spawn(|_| std::future::pending());
    let pid = a.rt.external_pid(worker.pid()).unwrap();
    let (peer, _) = Fake::join(a.address, "peer@reader").await;
    a.expect("peer@reader", &[NodeChange::Up]).await;
    (a, worker, pid, peer)
}

/// The log has the 1st, the 2nd, the 4th and the 8th of them.
#[tokio::test]
async fn a_kill_of_another_node_is_refused_and_logged_less_and_less() {
    let (a, worker, pid, mut peer) = with_worker(node("a@127.0.0.1")).await;
    let log = Log::listen();
    for _ in 0..10 {
        send(&mut peer, &(8, own(), &pid, atom("kill")), None).await;
    }
    sync(&mut peer).await;
    assert!(a.rt.is_alive(worker.pid()));
    let lines = log.take();
    let refused: Vec<_> = lines.iter().filter(|line| line.message == "kill refused").collect();
    let counts: Vec<_> = refused.iter().map(|line| line.field("count")).collect();
    assert_eq!(counts, ["1", "2", "4", "8"]);
    assert_eq!(refused[0].field("node"), "peer@reader");
    assert_eq!(refused[0].field("pid"), worker.pid().to_string());
    // Any other reason ends a process that doesn't trap exits.
    send(&mut peer, &(8, own(), &pid, atom("enough")), None).await;
    assert!(worker.join().await.is_abnormal());
}

#[tokio::test]
async fn a_kill_of_another_node_is_allowed_by_its_setting() {
    let (_a, worker, pid, mut peer) = with_worker(node("a@127.0.0.1").allow_remote_kill()).await;
    send(&mut peer, &(8, own(), &pid, atom("kill")), None).await;
    assert_eq!(worker.join().await, ExitReason::Killed);
}

/// A call reaches a server that is not exposed as a term, for its `handle_info`.
#[tokio::test]
async fn a_server_that_is_not_exposed_gets_no_call_and_no_cast() {
    let mut a = start(node("a@127.0.0.1")).await;
    let _tree =
        Supervisor::one_for_one().child(Kv::child(()).named(KV)).start(&a.rt).await.unwrap();
    let (mut peer, _) = Fake::join(a.address, "peer@reader").await;
    a.expect("peer@reader", &[NodeChange::Up]).await;
    let from = Term::from(vec![Term::from(own())]);
    let note = Term::tuple([Term::from(atom("note")), Term::from("x")]);
    let call = Term::tuple([Term::from(atom("$gen_call")), from, Term::from(atom("size"))]);
    let cast = Term::tuple([Term::from(atom("$gen_cast")), note]);
    for message in [call, cast] {
        send(&mut peer, &(6, own(), atom(""), atom("kv")), Some(&message)).await;
    }
    sync(&mut peer).await;
    // No cast has arrived.
    assert_eq!(a.rt.server(KV).call(crate::kv::Call::Size).await, Ok(0));
}

/// A server that traps exits and expects none.
struct Trapping;

impl GenServer for Trapping {
    type Args = ();
    type Call = regrow::Reply<()>;
    type Cast = ();

    async fn init((): (), ctx: &mut ServerContext<Self>) -> Result<Self> {
        ctx.trap_exit(true);
        Ok(Trapping)
    }

    async fn handle_call(&mut self, reply: Self::Call, _: &mut ServerContext<Self>) -> Result {
        reply.send(());
        Ok(())
    }
}

/// A server whose start doesn't end.
struct Slow;

impl GenServer for Slow {
    type Args = tokio::sync::mpsc::UnboundedSender<()>;
    type Call = ();
    type Cast = ();

    async fn init(begun: Self::Args, _: &mut ServerContext<Self>) -> Result<Self> {
        begun.send(())?;
        std::future::pending().await
    }
}

/// Neither a server nor a supervisor, also while a child starts: it could be one of its children.
#[tokio::test]
async fn exit_signals_of_another_node_do_not_fill_the_log_and_are_not_kept() {
    const TRAPPING: Name<Trapping> = Name::new("trapping");
    let mut a = start(node("a@127.0.0.1")).await;
    let tree = Supervisor::one_for_one().child(Trapping::child(()).named(TRAPPING));
    let _tree = tree.start(&a.rt).await.unwrap();
    let starting = DynamicSupervisor::new().start(&a.rt).await.unwrap();
    let (begun, mut starts) = tokio::sync::mpsc::unbounded_channel();
    let supervisor = starting.clone();
    let _start = tokio::spawn(async move { supervisor.start_child(Slow::child(begun)).await });
    starts.recv().await.unwrap();
    let (mut peer, _) = Fake::join(a.address, "peer@reader").await;
    a.expect("peer@reader", &[NodeChange::Up]).await;
    let log = Log::listen();
    let server = a.rt.whereis("trapping").unwrap();
    for pid in [server, starting.pid().unwrap()] {
        let pid = a.rt.external_pid(pid).unwrap();
        for _ in 0..10 {
            send(&mut peer, &(8, own(), &pid, atom("secret")), None).await;
        }
    }
    sync(&mut peer).await;
    a.rt.server(TRAPPING).call(|reply| reply).await.unwrap();
    starting.count_children().await.unwrap();
    let lines = log.take();
    let dropped = lines.iter().filter(|line| line.message == "unexpected message dropped");
    let (of_server, of_supervisor): (Vec<_>, Vec<_>) =
        dropped.partition(|line| line.target == "regrow::server");
    // The limit counts all lines of the program.
    assert!(of_server.iter().all(|line| !line.field("left_out").is_empty()), "{of_server:?}");
    assert_eq!(of_supervisor.len(), 4); // the 1st, the 2nd, the 4th and the 8th
    assert!(!format!("{of_server:?}{of_supervisor:?}").contains("secret"));
}

/// A server that monitors as many names at another node as it is asked to, and expects no end of them.
struct Watching;

impl GenServer for Watching {
    type Args = ();
    type Call = (usize, regrow::Reply<()>);
    type Cast = ();

    async fn init((): (), _: &mut ServerContext<Self>) -> Result<Self> {
        Ok(Watching)
    }

    async fn handle_call(
        &mut self,
        (count, reply): Self::Call,
        ctx: &mut ServerContext<Self>,
    ) -> Result {
        let watched = ctx.runtime().node("peer@reader").process("prices");
        for _ in 0..count {
            watched.monitor(ctx.pid());
        }
        reply.send(());
        Ok(())
    }
}

#[tokio::test]
async fn ends_by_name_of_another_node_do_not_fill_the_log_and_are_not_quoted() {
    const WATCHING: Name<Watching> = Name::new("watching");
    const ENDS: usize = 100;
    let mut a = start(node("a@127.0.0.1")).await;
    let tree = Supervisor::one_for_one().child(Watching::child(()).named(WATCHING));
    let _tree = tree.start(&a.rt).await.unwrap();
    let (mut peer, _) = Fake::join(a.address, "peer@reader").await;
    a.expect("peer@reader", &[NodeChange::Up]).await;
    let (log, begin) = (Log::listen(), Instant::now());
    a.rt.server(WATCHING).call(|reply| (ENDS, reply)).await.unwrap();
    for _ in 0..ENDS {
        // `{19, Watcher, Name, Reference}`, answered by `{21, Name, Watcher, Reference, Reason}`.
        let (Term::Tuple(request), None) = peer.read_terms().await.unwrap() else { panic!() };
        assert_eq!(request[0], Term::from(19));
        let down = (21, &request[2], &request[1], &request[3], atom("secret"));
        send(&mut peer, &down, None).await;
    }
    sync(&mut peer).await;
    a.rt.server(WATCHING).call(|reply| (0, reply)).await.unwrap();
    let lines = log.take();
    let dropped = lines.iter().filter(|line| line.message == "unexpected message dropped");
    let dropped: Vec<_> = dropped.collect();
    let most = 10 * (usize::try_from(begin.elapsed().as_secs()).unwrap() + 1);
    assert!(dropped.len() <= most, "{} lines, at most {most}", dropped.len());
    assert!(!format!("{dropped:?}").contains("secret"), "{dropped:?}");
}

/// A node without functions has no process of this name.
#[tokio::test]
async fn a_node_has_no_names_but_those_of_its_settings() {
    let a = start(node("a@127.0.0.1")).await;
    let names = ["rex", "pg", "erpc", "user", "init", "global_name_server", "auth"];
    assert!(names.iter().all(|name| a.rt.whereis(name).is_none()));
    assert!(a.rt.whereis("net_kernel").is_some());
}

/// Without a call, what `net_kernel` receives means nothing to it.
#[tokio::test]
async fn terms_for_the_server_of_the_node_have_no_effect() {
    let a = start(node("a@127.0.0.1")).await;
    let server = a.rt.whereis("net_kernel");
    let (mut peer, _) = Fake::join(a.address, "peer@reader").await;
    for text in ["stop", "is_auth", "disconnect", "EXIT", "DOWN"] {
        send(&mut peer, &(6, own(), atom(""), atom("net_kernel")), Some(&Term::from(atom(text))))
            .await;
    }
    sync(&mut peer).await;
    assert_eq!(a.rt.whereis("net_kernel"), server);
}

/// A process may be ended by a peer, but not by a message: a probe gets it as a term.
#[tokio::test]
async fn a_message_that_looks_like_a_signal_is_a_term() {
    let a = start(node("a@127.0.0.1")).await;
    let (sender, mut received) = tokio::sync::mpsc::unbounded_channel();
    let probe = a.rt.spawn(|mut ctx| async move {
        loop {
            let _ = sender.send(ctx.recv().await);
        }
    });
    assert!(a.rt.register("probe", probe.pid()));
    let (mut peer, _) = Fake::join(a.address, "peer@reader").await;
    let exit = Term::tuple([Term::from(atom("EXIT")), Term::from(own()), Term::from(atom("kill"))]);
    send(&mut peer, &(6, own(), atom(""), atom("probe")), Some(&exit)).await;
    let expected = EncodedTerm::new(&exit).unwrap();
    assert_eq!(received.recv().await, Some(Received::Term(expected)));
}
