//! Messages, links, monitors and exits between processes of two nodes of this crate, and from raw
//! sockets that break the protocol.

use std::time::Duration;

use regrow::cluster::{EncodedTerm, ExternalPid, Node};
use regrow::{ExitReason, NodeChange, Pid, ProcessHandle, Received, Runtime};
use tokio::sync::mpsc::UnboundedReceiver;

use crate::fake::Fake;
use crate::pairs::{Running, node, pair_with, start};
use crate::signals_beam::probe;

/// Two nodes with a probe each. The address of a node stays its own when it is stopped.
struct Two {
    a: Running,
    b: Running,
    at_a: ProcessHandle,
    at_b: ProcessHandle,
    received_a: UnboundedReceiver<Received>,
    received_b: UnboundedReceiver<Received>,
}

impl Two {
    async fn start() -> Two {
        Two::start_with(|node| node).await
    }

    async fn start_with(set: impl Fn(Node) -> Node) -> Two {
        let (a, b) = pair_with("a@127.0.0.1", "b@127.0.0.1", set).await;
        let (at_a, received_a) = probe(&a.rt, "probe");
        let (at_b, received_b) = probe(&b.rt, "probe");
        Two { a, b, at_a, at_b, received_a, received_b }
    }

    async fn cut(&mut self) {
        assert!(self.a.rt.node("b@127.0.0.1").disconnect().await);
        while self.a.change().await.1 != NodeChange::Down {}
        while self.b.change().await.1 != NodeChange::Down {}
    }

    /// Waits until the connection is lost and no relations are left but those that the two nodes had
    /// at their start.
    async fn nothing_is_left(&mut self, at_start: [(usize, usize); 2]) {
        self.cut().await;
        let waiting = async {
            while self.relations() != at_start {
                tokio::task::yield_now().await;
            }
        };
        let waited = tokio::time::timeout(Duration::from_secs(10), waiting).await;
        assert!(waited.is_ok(), "{:?} {at_start:?}", self.relations());
    }

    /// The links and monitors of both runtimes.
    fn relations(&self) -> [(usize, usize); 2] {
        [&self.a.rt, &self.b.rt].map(|rt| {
            let left = rt.leftovers();
            (left.links, left.monitors)
        })
    }

    /// What the probe of `a` receives next.
    async fn next(&mut self) -> Received {
        self.received_a.recv().await.unwrap()
    }

    /// Waits until `b` has handled what `a` has sent so far.
    async fn sync(&mut self) {
        let last = EncodedTerm::new("sync").unwrap();
        assert!(self.a.rt.node("b@127.0.0.1").process("probe").send(last.clone()));
        while self.received_b.recv().await.unwrap() != Received::Term(last.clone()) {}
    }

    /// Waits until `a` has handled what `b` has sent so far. Returns what the probe has received
    /// meanwhile.
    async fn sync_back(&mut self) -> Vec<Received> {
        let last = EncodedTerm::new("sync").unwrap();
        assert!(self.b.rt.node("a@127.0.0.1").process("probe").send(last.clone()));
        let mut seen = Vec::new();
        loop {
            match self.next().await {
                Received::Term(term) if term == last => return seen,
                other => seen.push(other),
            }
        }
    }
}

/// A pid of one runtime, as another one has it.
fn known_at(there: &Runtime, of: &Runtime, pid: Pid) -> Pid {
    there.pid_of(&of.external_pid(pid).unwrap()).unwrap()
}

fn pending(rt: &Runtime) -> ProcessHandle {
    rt.spawn(|_| std::future::pending())
}

#[tokio::test]
async fn pids_are_those_of_the_other_node_and_come_back_as_local_ones() {
    let two = Two::start().await;
    let (a, b) = (&two.a.rt, &two.b.rt);
    let local = two.at_b.pid();
    let foreign = known_at(a, b, local);
    assert!(foreign.is_foreign() && !local.is_foreign());
    // Both runtimes of the program read the number of `b`.
    assert_eq!(known_at(b, a, foreign), local);
    assert_eq!(b.external_pid(foreign), b.external_pid(local));
    assert_eq!(known_at(a, b, local), foreign);
    assert!(!a.is_alive(foreign)); // it is in no table of `a`
    assert_eq!(Runtime::new().external_pid(local), None); // no node has run there
    // Numbers that were never given are dead pids.
    for raw in [0xfff0_u64 << 48 | 5, foreign.raw() | 1 << 47] {
        let dead = Pid::from_raw(raw);
        assert!(!a.link(two.at_a.pid(), dead) && !a.kill(dead));
        assert_eq!(a.external_pid(dead), None);
        assert!(!a.send_term(dead, EncodedTerm::new("x").unwrap()));
    }
}

/// The first use connects.
#[tokio::test]
#[expect(clippy::too_many_lines, reason = "one scenario, step by step")]
async fn every_signal_crosses() {
    let mut two = Two::start().await;
    let (a, b) = (two.a.rt.clone(), two.b.rt.clone());
    let at_start = two.relations();
    let own = two.at_a.pid();
    let there = known_at(&a, &b, two.at_b.pid());
    // Messages, in their order.
    for n in 0..1_000 {
        assert!(a.send_term(there, EncodedTerm::new(&n).unwrap()));
    }
    for n in 0..1_000 {
        let term = two.received_b.recv().await.unwrap().term().unwrap();
        assert_eq!(term.decode::<i32>().unwrap(), n);
    }
    // A link, an unlink, and an exit.
    let worker = pending(&b);
    let foreign = known_at(&a, &b, worker.pid());
    assert!(a.link(own, foreign));
    two.sync().await;
    assert_eq!(b.info(worker.pid()).unwrap().links, 1);
    a.unlink(own, foreign);
    two.sync().await;
    assert_eq!((b.info(worker.pid()).unwrap().links, a.info(own).unwrap().links), (0, 0));
    assert!(a.link(own, foreign));
    let reference = a.monitor(own, foreign);
    let removed = a.monitor(own, foreign);
    assert!(a.demonitor(removed));
    two.sync().await;
    assert_eq!(b.info(worker.pid()).unwrap().monitors, 1);
    assert!(a.exit(foreign, ExitReason::crashed("no luck")));
    let mut seen = [two.next().await, two.next().await].map(|received| match received {
        Received::Exit { from, reason } => (from, reason.to_string()),
        Received::Down { reference: of, pid, reason } if of == reference => {
            (pid, reason.to_string())
        }
        other => panic!("{other:?}"),
    });
    seen.sort();
    let crash = r#"error: {crashed,<<"no luck">>}"#.to_owned();
    assert_eq!(seen, [(foreign, crash.clone()), (foreign, crash)]);
    // By name.
    let name = b.node("a@127.0.0.1").process("probe");
    let watcher = two.at_b.pid();
    let monitor = name.monitor(watcher);
    two.sync_back().await;
    a.kill(own);
    let down = two.received_b.recv().await.unwrap();
    let name = "probe".into();
    assert_eq!(down, Received::DownName { reference: monitor, name, reason: ExitReason::Killed });
    two.nothing_is_left(at_start).await;
}

#[tokio::test]
async fn a_name_of_this_node_is_a_local_one() {
    let mut two = Two::start().await;
    let (a, own) = (two.a.rt.clone(), two.at_a.pid());
    let probe = a.node("a@127.0.0.1").process("probe");
    assert!(probe.send(EncodedTerm::new("x").unwrap()));
    assert_eq!(two.next().await, Received::Term(EncodedTerm::new("x").unwrap()));
    let nobody = a.node("a@127.0.0.1").process("nobody");
    assert!(!nobody.send(EncodedTerm::new("x").unwrap()));
    let reference = nobody.monitor(own);
    let (name, reason) = ("nobody".into(), ExitReason::NoProc);
    assert_eq!(two.next().await, Received::DownName { reference, name, reason });
    assert!(a.connected_nodes().await.is_empty());
}

#[tokio::test]
async fn only_terms_reach_another_node() {
    let two = Two::start().await;
    let foreign = known_at(&two.a.rt, &two.b.rt, two.at_b.pid());
    let mut lost = two.a.rt.dead_letters();
    assert!(!two.a.rt.send(foreign, b"bytes".to_vec()));
    let letter = lost.next().await.unwrap();
    assert_eq!((letter.pid, letter.cause), (Some(foreign), regrow::DeadLetterCause::NotATerm));
    let (_, stream) = regrow::stream();
    assert!(!two.a.rt.send_stream(foreign, stream));
    assert_eq!(lost.next().await.unwrap().cause, regrow::DeadLetterCause::NotATerm);
}

#[tokio::test]
async fn a_timer_ends_a_process_of_another_node() {
    let mut two = Two::start().await;
    let (a, b) = (two.a.rt.clone(), two.b.rt.clone());
    let worker = pending(&b);
    let foreign = known_at(&a, &b, worker.pid());
    let reference = a.monitor(two.at_a.pid(), foreign);
    let timer = a.exit_after(foreign, Duration::from_secs(3_600), ExitReason::Normal);
    assert!(timer.remaining().is_some() && timer.cancel());
    a.exit_after(foreign, Duration::from_millis(1), ExitReason::Shutdown);
    let reason = ExitReason::Shutdown;
    assert_eq!(two.next().await, Received::Down { reference, pid: foreign, reason });
}

/// A cut and a heal, ten times: each relation sees the loss once, the pids are reached again, and
/// nothing of the earlier connections is left.
#[tokio::test]
#[expect(clippy::too_many_lines, reason = "one scenario, step by step")]
async fn each_loss_is_noticed_once_by_each_relation() {
    let mut two = Two::start().await;
    let (a, b) = (two.a.rt.clone(), two.b.rt.clone());
    let own = two.at_a.pid();
    let worker = pending(&b);
    let foreign = known_at(&a, &b, worker.pid());
    b.set_trap_exit(worker.pid(), true);
    for _ in 0..10 {
        assert!(a.link(own, foreign));
        let by_pid = a.monitor(own, foreign);
        let by_name = a.node("b@127.0.0.1").process("probe").monitor(own);
        let removed = a.monitor(own, foreign);
        let unlinked = pending(&b);
        let other = known_at(&a, &b, unlinked.pid());
        assert!(a.link(own, other));
        a.unlink(own, other);
        assert!(a.demonitor(removed));
        two.sync().await;
        assert_eq!(b.info(worker.pid()).unwrap().monitors, 1);
        two.cut().await;
        let mut seen = [0; 3];
        let reason = ExitReason::NoConnection;
        for _ in 0..3 {
            let received = two.next().await;
            let expected = [
                Received::Exit { from: foreign, reason: reason.clone() },
                Received::Down { reference: by_pid, pid: foreign, reason: reason.clone() },
                Received::DownName {
                    reference: by_name,
                    name: "probe".into(),
                    reason: reason.clone(),
                },
            ];
            let at = expected.iter().position(|expected| *expected == received);
            seen[at.unwrap_or_else(|| panic!("{received:?}"))] += 1;
        }
        assert_eq!(seen, [1, 1, 1]);
        let at_b = b.info(worker.pid()).unwrap();
        assert_eq!((at_b.links, at_b.monitors), (0, 0));
        let at_a = a.info(own).unwrap();
        assert_eq!((at_a.links, at_a.monitoring), (0, 0));
        // The next use connects.
        assert!(a.send_term(foreign, EncodedTerm::new("again").unwrap()));
        assert_eq!(two.sync_back().await, []);
    }
    worker.kill();
    assert_eq!(two.sync_back().await, []); // no relation of an earlier connection is left
}

/// A process that does not trap exits ends with the connection, if it is linked.
#[tokio::test]
async fn the_loss_of_the_connection_ends_linked_processes() {
    let mut two = Two::start().await;
    let (a, b) = (two.a.rt.clone(), two.b.rt.clone());
    let (here, there) = (pending(&a), pending(&b));
    assert!(a.link(here.pid(), known_at(&a, &b, there.pid())));
    two.sync().await;
    two.cut().await;
    assert_eq!(here.join().await, ExitReason::NoConnection);
    assert_eq!(there.join().await, ExitReason::NoConnection);
}

#[tokio::test]
async fn nodes_that_do_not_exist_are_no_connection() {
    let a = start(node("a@127.0.0.1")).await;
    let (own, mut received) = probe(&a.rt, "probe");
    let mut expect = async |reference, name: &str| {
        let (name, reason) = (name.into(), ExitReason::NoConnection);
        assert_eq!(received.recv().await, Some(Received::DownName { reference, name, reason }));
    };
    let nowhere = a.rt.node("nowhere@127.0.0.1").process("x");
    assert!(nowhere.send(EncodedTerm::new("lost").unwrap()));
    expect(nowhere.monitor(own.pid()), "x").await;
    expect(nowhere.monitor(own.pid()), "x").await;
    let invalid = a.rt.node("no node").process("y");
    assert!(!invalid.send(EncodedTerm::new("lost").unwrap()));
    expect(invalid.monitor(own.pid()), "y").await;
    // No node runs.
    let rt = Runtime::new();
    let (own, mut received) = probe(&rt, "probe");
    let reference = rt.node("a@127.0.0.1").process("z").monitor(own.pid());
    let (name, reason) = ("z".into(), ExitReason::NoConnection);
    assert_eq!(received.recv().await, Some(Received::DownName { reference, name, reason }));
    a.tree.stop().await.unwrap();
    let reference = a.rt.node("b@127.0.0.1").process("z").monitor(own.pid());
    assert!(!a.rt.demonitor(reference));
}

/// The signals that wait for a connection have the bound of its queue.
#[tokio::test]
async fn too_many_bytes_that_wait_for_a_connection_are_no_connection() {
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let resolver = regrow::cluster::Resolver::without_epmd()
        .node("silent@127.0.0.1", silent.local_addr().unwrap());
    let of_an_hour = Duration::from_secs(3_600);
    let spec = node("a@127.0.0.1").resolver(resolver).send_buffer(10_000);
    let a = start(spec.handshake_timeout(of_an_hour)).await;
    let (own, mut received) = probe(&a.rt, "probe");
    let there = a.rt.node("silent@127.0.0.1").process("x");
    let reference = there.monitor(own.pid());
    let large = EncodedTerm::new(&"x".repeat(4_000)).unwrap();
    // The longest one doesn't count.
    for _ in 0..5 {
        assert!(received.try_recv().is_err());
        assert!(there.send(large.clone()));
    }
    let (name, reason) = ("x".into(), ExitReason::NoConnection);
    assert_eq!(received.recv().await, Some(Received::DownName { reference, name, reason }));
}

/// The node of a runtime ends: its connections are lost. Its pids stay the same when it is started
/// again, because the processes go on.
#[tokio::test]
async fn a_restart_of_the_node_keeps_the_pids_of_its_runtime() {
    let mut two = Two::start().await;
    let (a, b) = (two.a.rt.clone(), two.b.rt.clone());
    let own = two.at_a.pid();
    let foreign = known_at(&a, &b, two.at_b.pid());
    let reference = a.monitor(own, foreign);
    two.sync().await;
    let net_kernel = b.whereis("net_kernel").unwrap();
    assert!(b.kill(net_kernel));
    let reason = ExitReason::NoConnection;
    assert_eq!(two.next().await, Received::Down { reference, pid: foreign, reason });
    while b.whereis("net_kernel").is_none_or(|pid| pid == net_kernel) {
        tokio::task::yield_now().await;
    }
    a.node("b@127.0.0.1").connect().await.unwrap();
    let reference = a.monitor(own, foreign);
    two.sync().await;
    b.kill(two.at_b.pid());
    let reason = ExitReason::Killed;
    assert_eq!(two.next().await, Received::Down { reference, pid: foreign, reason });
}

/// Links, unlinks, exits and losses from both sides, in random order. At the end nothing is left.
#[tokio::test]
async fn random_signals_of_both_sides_leave_nothing() {
    let mut two = Two::start().await;
    let (a, b) = (two.a.rt.clone(), two.b.rt.clone());
    let at_start = two.relations();
    let mut random = crate::rng::Rng::new(7);
    for round in 0..200 {
        let (here, there) = (pending(&a), pending(&b));
        a.set_trap_exit(here.pid(), true);
        let (to, from) = (known_at(&a, &b, there.pid()), known_at(&b, &a, here.pid()));
        let mut monitors = Vec::new();
        for _ in 0..12 {
            match random.below(9) {
                0 => drop(a.link(here.pid(), to)),
                1 => drop(b.link(there.pid(), from)),
                2 => a.unlink(here.pid(), to),
                3 => b.unlink(there.pid(), from),
                4 => monitors.push((a.clone(), a.monitor(here.pid(), to))),
                5 => monitors.push((b.clone(), b.monitor(there.pid(), from))),
                6 => {
                    if let Some((rt, reference)) = monitors.pop() {
                        rt.demonitor_flush(reference);
                    }
                }
                7 => tokio::task::yield_now().await,
                _ if round % 10 == 0 => drop(a.node("b@127.0.0.1").disconnect().await),
                _ => {}
            }
        }
        if random.below(2) == 0 {
            there.kill();
            there.join().await;
        }
        here.kill();
        here.join().await;
        two.sync().await;
        two.sync_back().await;
        there.kill();
        there.join().await;
    }
    two.sync_back().await;
    two.nothing_is_left(at_start).await;
}

/// A frame with a control message.
fn frame(control: &[&[u8]]) -> Vec<u8> {
    let count = u8::try_from(control.len()).unwrap();
    [&[112, 131, 104, count], &control.concat()[..]].concat()
}

/// A pid as a term. The peers of `Fake` have creation 9.
fn pid(node: &str, id: u32, creation: u32) -> Vec<u8> {
    let mut bytes = [&[88, 119, u8::try_from(node.len()).unwrap()], node.as_bytes()].concat();
    for word in [id, 0, creation] {
        bytes.extend(word.to_be_bytes());
    }
    bytes
}

/// A pid that a node has given, as a term.
fn given(rt: &Runtime, pid: Pid) -> Vec<u8> {
    let external = rt.external_pid(pid).unwrap();
    EncodedTerm::new(&external).unwrap().as_bytes()[1..].to_vec()
}

fn reference(node: &str, number: u32) -> Vec<u8> {
    let name = [&[119, u8::try_from(node.len()).unwrap()], node.as_bytes()].concat();
    [&[90, 0, 1], &name[..], &9_u32.to_be_bytes(), &number.to_be_bytes()].concat()
}

/// Signals whose senders are of a third node, or of another incarnation, end the connection.
#[tokio::test]
async fn forged_senders_end_the_connection() {
    let mut a = start(node("a@127.0.0.1")).await;
    let (probe, mut received) = probe(&a.rt, "probe");
    let to = given(&a.rt, probe.pid());
    let forged = [pid("third@reader", 1, 9), pid("bad@reader", 1, 8), b"\x77\x01x".to_vec()];
    for from in forged {
        let by_reference = reference("bad@reader", 1);
        let frames = [
            frame(&[&[97, 1], &from, &to]),
            frame(&[&[97, 3], &from, &to, b"\x77\x06normal"]),
            frame(&[&[97, 8], &from, &to, b"\x77\x06normal"]),
            frame(&[&[97, 19], &from, &to, &by_reference]),
            frame(&[&[97, 20], &from, &to, &by_reference]),
            frame(&[&[97, 35], &[97, 1], &from, &to]),
        ];
        for bytes in frames {
            let (mut peer, _) = Fake::join(a.address, "bad@reader").await;
            peer.frame(&bytes).await;
            peer.closed().await;
            a.expect("bad@reader", &[NodeChange::Up, NodeChange::Down]).await;
        }
    }
    let by_other = frame(&[&[97, 19], &pid("bad@reader", 1, 9), &to, &reference("x@y", 1)]);
    let (mut peer, _) = Fake::join(a.address, "bad@reader").await;
    peer.frame(&by_other).await;
    peer.closed().await;
    assert!(received.try_recv().is_err());
    let info = a.rt.info(probe.pid()).unwrap();
    assert_eq!((info.links, info.monitors), (0, 0));
}

/// A pid of a process of this node with another tag than the node has given it.
#[tokio::test]
async fn a_guessed_pid_reaches_no_process_and_ends_the_connection() {
    let mut a = start(node("a@127.0.0.1")).await;
    let (probe, mut received) = probe(&a.rt, "probe");
    let (from, by) = (pid("bad@reader", 1, 9), reference("bad@reader", 1));
    let external = a.rt.external_pid(probe.pid()).unwrap();
    let serial = if external.serial() == 1 { 2 } else { 1 };
    let guessed =
        ExternalPid::new(external.node().clone(), external.id(), serial, external.creation());
    let guess = EncodedTerm::new(&guessed).unwrap().as_bytes()[1..].to_vec();
    // `serial` 0 is that of no process.
    for to in [&guess, &pid("a@127.0.0.1", external.id(), external.creation())] {
        for bytes in [
            frame(&[&[97, 1], &from, to]),
            frame(&[&[97, 3], &from, to, b"\x77\x06killed"]),
            frame(&[&[97, 8], &from, to, b"\x77\x06killed"]),
            frame(&[&[97, 19], &from, to, &by]),
            frame(&[&[97, 35], &[97, 1], &from, to]),
            [&frame(&[&[97, 22], &from, to])[..], &[131, 97, 42]].concat(),
        ] {
            let (mut peer, _) = Fake::join(a.address, "bad@reader").await;
            peer.frame(&bytes).await;
            peer.closed().await;
            a.expect("bad@reader", &[NodeChange::Up, NodeChange::Down]).await;
        }
    }
    assert!(received.try_recv().is_err());
    let info = a.rt.info(probe.pid()).unwrap();
    assert_eq!((info.links, info.monitors), (0, 0));
    // In this program it is the pid of a process that has ended.
    let dead = a.rt.pid_of(&guessed).unwrap();
    assert!(dead != probe.pid() && !a.rt.exit(dead, ExitReason::Killed));
    assert_eq!(a.rt.pid_of(&external), Some(probe.pid()));
}

/// The bound counts links and monitors of all processes of the peer.
#[tokio::test]
async fn monitors_without_an_end_cost_the_connection() {
    let mut a = start(node("a@127.0.0.1").max_relations(100)).await;
    let (probe, _received) = probe(&a.rt, "probe");
    let (mut peer, _) = Fake::join(a.address, "bad@reader").await;
    let from = pid("bad@reader", 1, 9);
    // Those of a name that no process holds are answered at once, and don't count.
    for number in 0..200 {
        let by_reference = reference("bad@reader", number);
        peer.frame(&frame(&[&[97, 19], &from, b"\x77\x06nobody", &by_reference])).await;
    }
    for number in 0..100 {
        let by_reference = reference("bad@reader", number);
        peer.frame(&frame(&[&[97, 19], &from, b"\x77\x05probe", &by_reference])).await;
    }
    peer.ask().await;
    assert!(peer.is_answered().await);
    assert_eq!(a.rt.info(probe.pid()).unwrap().monitors, 100);
    peer.frame(&frame(&[&[97, 19], &from, b"\x77\x05probe", &reference("bad@reader", 999)])).await;
    peer.closed().await;
    a.expect("bad@reader", &[NodeChange::Up, NodeChange::Down]).await;
    assert_eq!(a.rt.info(probe.pid()).unwrap().monitors, 0);
    // A reference that is in use.
    let (mut peer, _) = Fake::join(a.address, "bad@reader").await;
    for _ in 0..2 {
        let by_reference = reference("bad@reader", 1);
        peer.frame(&frame(&[&[97, 19], &from, b"\x77\x05probe", &by_reference])).await;
    }
    peer.closed().await;
}

/// Signals to processes that don't exist, or are of an earlier incarnation of this node.
#[tokio::test]
async fn signals_to_no_process_are_answered_or_ignored() {
    let a = start(node("a@127.0.0.1")).await;
    let (probe, mut received) = probe(&a.rt, "probe");
    let external = a.rt.external_pid(probe.pid()).unwrap();
    let (mut peer, _) = Fake::join(a.address, "good@reader").await;
    let from = pid("good@reader", 1, 9);
    let old = pid("a@127.0.0.1", external.id(), external.creation() ^ 1);
    let ended = a.rt.spawn(async |_| {});
    let nobody = given(&a.rt, ended.pid());
    ended.join().await;
    for to in [&old, &nobody] {
        peer.frame(&frame(&[&[97, 1], &from, to])).await;
        let exit = frame(&[&[97, 3], to, &from, b"\x77\x06noproc"]);
        assert_eq!(peer.next_frame().await, exit);
        peer.frame(&frame(&[&[97, 19], &from, to, &reference("good@reader", 1)])).await;
        let down = frame(&[&[97, 21], to, &from, &reference("good@reader", 1), b"\x77\x06noproc"]);
        assert_eq!(peer.next_frame().await, down);
        peer.frame(&frame(&[&[97, 35], &[97, 7], &from, to])).await;
        assert_eq!(peer.next_frame().await, frame(&[&[97, 36], &[97, 7], to, &from]));
        // These are ignored.
        peer.frame(&frame(&[&[97, 3], &from, to, b"\x77\x06normal"])).await;
        peer.frame(&frame(&[&[97, 8], &from, to, b"\x77\x06normal"])).await;
        peer.frame(&[&frame(&[&[97, 2], b"\x77\x00", to])[..], &[131, 97, 1]].concat()).await;
        peer.frame(&frame(&[&[97, 20], &from, to, &reference("good@reader", 1)])).await;
        peer.frame(&frame(&[&[97, 36], &[97, 7], &from, to])).await;
        peer.frame(&frame(&[&[97, 21], &from, to, &reference("a@127.0.0.1", 1), b"\x6a"])).await;
    }
    // An exit of a link that does not exist.
    let to = given(&a.rt, probe.pid());
    peer.frame(&frame(&[&[97, 3], &from, &to, b"\x77\x06killed"])).await;
    peer.frame(&[&frame(&[&[97, 22], &from, &to])[..], &[131, 97, 42]].concat()).await;
    let only = received.recv().await.unwrap().term().unwrap();
    assert_eq!(only.decode::<i32>().unwrap(), 42);
}

/// A peer that never acknowledges, and an exit that was sent before the unlink arrived.
#[tokio::test]
async fn an_exit_that_crosses_an_unlink_has_no_effect() {
    let a = start(node("a@127.0.0.1")).await;
    let (probe, mut received) = probe(&a.rt, "probe");
    let (mut peer, _) = Fake::join(a.address, "good@reader").await;
    let (from, to) = (pid("good@reader", 1, 9), given(&a.rt, probe.pid()));
    let send = |number: u8| [&frame(&[&[97, 22], &from, &to])[..], &[131, 97, number]].concat();
    peer.frame(&frame(&[&[97, 1], &from, &to])).await;
    // The probe receives the pid of the peer in a message.
    peer.frame(&[&frame(&[&[97, 22], &from, &to])[..], &[131], &from].concat()).await;
    let term = received.recv().await.unwrap().term().unwrap();
    let other = a.rt.pid_of(&term.decode().unwrap()).unwrap();
    assert_eq!(a.rt.info(probe.pid()).unwrap().links, 1);
    a.rt.unlink(probe.pid(), other);
    assert_eq!(peer.next_frame().await, frame(&[&[97, 35], &[97, 1], &to, &from]));
    peer.frame(&frame(&[&[97, 3], &from, &to, b"\x77\x06killed"])).await;
    peer.frame(&send(1)).await;
    let only = received.recv().await.unwrap().term().unwrap();
    assert_eq!(only.decode::<i32>().unwrap(), 1);
    // A link that is made after the unlink is another one.
    assert!(a.rt.link(probe.pid(), other));
    assert_eq!(peer.next_frame().await, frame(&[&[97, 1], &to, &from]));
    peer.frame(&frame(&[&[97, 36], &[97, 1], &from, &to])).await;
    peer.frame(&frame(&[&[97, 3], &from, &to, b"\x77\x06killed"])).await;
    let exit = Received::Exit { from: other, reason: ExitReason::Killed };
    assert_eq!(received.recv().await.unwrap(), exit);
}
