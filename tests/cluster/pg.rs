//! Groups that two nodes of this crate share, and peers of raw sockets that break the protocol.

use std::time::Duration;

use regrow::cluster::{Atom, EncodedTerm, ExternalPid, Node, NodeError, Term};
use regrow::{ExitReason, GroupChange, NodeChange, Pid, Received, Runtime, Supervisor};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use crate::fake::Fake;
use crate::pairs::{Running, node, pair_with, start};
use crate::rng::Rng;
use GroupChange::{Joined, Left};

/// The changes of a group that a monitor receives.
pub(crate) struct Watch {
    rt: Runtime,
    group: String,
    pub(crate) changes: UnboundedReceiver<(Pid, GroupChange)>,
}

impl Watch {
    pub(crate) async fn new(rt: &Runtime, group: &str) -> Watch {
        let (sender, mut changes) = unbounded_channel();
        let watched = group.to_owned();
        rt.spawn(move |mut ctx| async move {
            ctx.runtime().monitor_group(ctx.pid(), &watched);
            let _ = sender.send((ctx.pid(), Joined)); // it monitors
            loop {
                if let Received::Group { pid, change, .. } = ctx.recv().await {
                    let _ = sender.send((pid, change));
                }
            }
        });
        changes.recv().await.unwrap();
        Watch { rt: rt.clone(), group: group.to_owned(), changes }
    }

    pub(crate) async fn next(&mut self) -> (Pid, GroupChange) {
        let next = tokio::time::timeout(Duration::from_secs(20), self.changes.recv());
        next.await.expect("a change").unwrap()
    }

    pub(crate) fn members(&self) -> Vec<Pid> {
        self.rt.whereis_tag(&self.group)
    }

    /// Waits until a condition on the members holds. Each change is looked at.
    pub(crate) async fn until(&mut self, holds: impl Fn(&[Pid]) -> bool) {
        let waiting = async {
            while !holds(&self.members()) {
                self.changes.recv().await.unwrap();
            }
        };
        let waited = tokio::time::timeout(Duration::from_secs(20), waiting).await;
        assert!(waited.is_ok(), "the members are {:?}", self.members());
    }
}

pub(crate) fn idle(rt: &Runtime) -> Pid {
    rt.spawn(|_| std::future::pending()).pid()
}

/// The pid of a process of `of`, as `at` knows it.
fn there(at: &Runtime, of: &Runtime, pid: Pid) -> Pid {
    at.pid_of(&of.external_pid(pid).unwrap()).unwrap()
}

async fn sharing() -> (Running, Running) {
    pair_with("a@127.0.0.1", "b@127.0.0.1", |node| node.groups("pg")).await
}

async fn connect(a: &Running) {
    a.rt.node("b@127.0.0.1").connect().await.unwrap();
}

/// Ends the connection, and waits until both nodes know so.
async fn cut(a: &mut Running, b: &mut Running) {
    assert!(a.rt.node("b@127.0.0.1").disconnect().await);
    while a.change().await.1 != NodeChange::Down {}
    while b.change().await.1 != NodeChange::Down {}
}

#[tokio::test]
async fn changes_arrive_at_another_node_in_order_and_each_once() {
    let (a, b) = sharing().await;
    connect(&a).await;
    let mut at_b = Watch::new(&b.rt, "room").await;
    for _ in 0..20 {
        let (one, two) = (idle(&a.rt), idle(&a.rt));
        assert!(a.rt.register_tag("room", one) && a.rt.register_tag("room", one));
        assert!(a.rt.unregister_tag("room", one));
        assert!(a.rt.register_tag("room", two) && a.rt.kill(two));
        let (one, two) = (there(&b.rt, &a.rt, one), there(&b.rt, &a.rt, two));
        for expected in [(one, Joined), (one, Left), (two, Joined), (two, Left)] {
            assert_eq!(at_b.next().await, expected);
        }
    }
    assert!(b.rt.tags().iter().all(|tag| tag.starts_with("regrow.")));
}

#[tokio::test]
async fn a_foreign_member_gets_terms_and_only_its_node_removes_it() {
    let (a, b) = sharing().await;
    let (sender, mut received) = unbounded_channel();
    let reader = a.rt.spawn(|mut ctx| async move {
        loop {
            let _ = sender.send(ctx.recv().await);
        }
    });
    assert!(a.rt.register_tag("room", reader.pid()));
    connect(&a).await;
    let mut at_b = Watch::new(&b.rt, "room").await;
    at_b.until(|members| members.len() == 1).await;
    let local = idle(&b.rt);
    assert!(b.rt.register_tag("room", local));
    let foreign = there(&b.rt, &a.rt, reader.pid());
    assert_eq!(at_b.members(), [local, foreign]);

    assert!(!b.rt.unregister_tag("room", foreign) && !b.rt.register_tag("other", foreign));
    assert!(!b.rt.send(foreign, b"bytes".to_vec()));
    for member in at_b.members() {
        assert!(b.rt.send_term(member, EncodedTerm::new("hello").unwrap()));
    }
    assert_eq!(received.recv().await, Some(Received::Term(EncodedTerm::new("hello").unwrap())));
    assert_eq!(b.rt.kill_tag("room"), 1);
    at_b.until(|members| members == [foreign]).await;
    assert!(a.rt.info(reader.pid()).is_some());
}

#[tokio::test]
async fn members_of_a_lost_node_leave_once_and_join_again() {
    let (mut a, mut b) = sharing().await;
    let (x, y) = (idle(&a.rt), idle(&b.rt));
    assert!(a.rt.register_tag("room", x) && b.rt.register_tag("room", y));
    let (mut at_a, mut at_b) = (Watch::new(&a.rt, "room").await, Watch::new(&b.rt, "room").await);
    let (x_there, y_there) = (
        b.rt.pid_of(&a.rt.external_pid(x).unwrap()).unwrap(),
        a.rt.pid_of(&b.rt.external_pid(y).unwrap()).unwrap(),
    );
    for _ in 0..5 {
        connect(&a).await;
        assert_eq!(at_a.next().await, (y_there, Joined));
        assert_eq!(at_b.next().await, (x_there, Joined));
        assert_eq!((at_a.members(), at_b.members()), (vec![x, y_there], vec![y, x_there]));
        assert!(a.rt.node("b@127.0.0.1").disconnect().await);
        assert_eq!(at_a.next().await, (y_there, Left));
        assert_eq!(at_b.next().await, (x_there, Left));
        assert_eq!((at_a.members(), at_b.members()), (vec![x], vec![y]));
        a.expect("b@127.0.0.1", &[NodeChange::Up, NodeChange::Down]).await;
        b.expect("a@127.0.0.1", &[NodeChange::Up, NodeChange::Down]).await;
    }
}

/// So the scope never begins an attempt to connect, also if it has something to say to a lost node.
#[tokio::test]
async fn a_change_of_a_group_connects_to_no_node() {
    let (mut a, b) = sharing().await;
    connect(&a).await;
    let mut at_b = Watch::new(&b.rt, "room").await;
    assert!(a.rt.register_tag("room", idle(&a.rt)));
    at_b.until(|members| members.len() == 1).await;
    assert!(a.rt.node("b@127.0.0.1").disconnect().await);
    assert!(a.rt.register_tag("room", idle(&a.rt)));
    at_b.until(<[Pid]>::is_empty).await;
    a.expect("b@127.0.0.1", &[NodeChange::Up, NodeChange::Down]).await;
    assert!(a.rt.connected_nodes().await.is_empty());
}

#[tokio::test]
async fn a_scope_that_is_restarted_publishes_and_learns_all_members_again() {
    let (a, b) = sharing().await;
    let (x, y) = (idle(&a.rt), idle(&b.rt));
    assert!(a.rt.register_tag("room", x) && b.rt.register_tag("room", y));
    let (mut at_a, mut at_b) = (Watch::new(&a.rt, "room").await, Watch::new(&b.rt, "room").await);
    connect(&a).await;
    let (x_there, y_there) = (there(&b.rt, &a.rt, x), there(&a.rt, &b.rt, y));
    assert_eq!((at_a.next().await, at_b.next().await), ((y_there, Joined), (x_there, Joined)));
    let scope = a.rt.whereis("pg").unwrap();
    assert!(a.rt.kill(scope));
    assert_eq!(at_a.next().await, (y_there, Left));
    assert_eq!(at_a.next().await, (y_there, Joined));
    // The new scope may be heard of before the end of the old one. Then nothing has changed.
    at_b.until(|members| members == [y, x_there]).await;
    let z = idle(&a.rt);
    assert!(a.rt.register_tag("room", z));
    let z_there = there(&b.rt, &a.rt, z);
    // The pids of another node are not ordered by age.
    let mut all = [y, x_there, z_there];
    all.sort_unstable();
    at_b.until(|members| members == all).await;
    assert!(a.rt.connected_nodes().await == ["b@127.0.0.1"]);
}

#[tokio::test]
async fn the_end_of_a_node_removes_its_members_and_those_that_it_showed() {
    let (a, b) = sharing().await;
    assert!(a.rt.register_tag("room", idle(&a.rt)) && b.rt.register_tag("room", idle(&b.rt)));
    let (mut at_a, mut at_b) = (Watch::new(&a.rt, "room").await, Watch::new(&b.rt, "room").await);
    connect(&a).await;
    at_a.until(|members| members.len() == 2).await;
    at_b.until(|members| members.len() == 2).await;
    a.tree.stop().await.unwrap();
    at_a.until(|members| members.len() == 1 && !members[0].is_foreign()).await;
    at_b.until(|members| members.len() == 1 && !members[0].is_foreign()).await;
}

#[tokio::test]
async fn groups_are_shared_only_by_nodes_of_the_same_scope_and_by_name() {
    let a = start(node("a@127.0.0.1").groups("pg")).await;
    let resolver = || regrow::cluster::Resolver::without_epmd().node("a@127.0.0.1", a.address);
    let plain = start(node("b@127.0.0.1").resolver(resolver())).await;
    let other = start(node("c@127.0.0.1").resolver(resolver()).groups("other")).await;
    let same = start(node("d@127.0.0.1").resolver(resolver()).groups("pg")).await;
    for running in [&plain, &other, &same] {
        running.rt.node("a@127.0.0.1").connect().await.unwrap();
    }
    let long = "x".repeat(256);
    let names = [":atom", "text", "", &long[1..], &long, "regrow.x"];
    for name in names {
        assert!(a.rt.register_tag(name, idle(&a.rt)));
    }
    let mut last = Watch::new(&same.rt, "last").await;
    assert!(a.rt.register_tag("last", idle(&a.rt)));
    last.until(|members| members.len() == 1).await;
    let seen = |rt: &Runtime| names.map(|name| rt.whereis_tag(name).len());
    assert_eq!(seen(&same.rt), [1, 1, 1, 1, 0, 0]);
    assert_eq!((seen(&plain.rt), seen(&other.rt)), ([0; 6], [0; 6]));
}

#[tokio::test]
async fn a_scope_needs_a_valid_name() {
    for scope in ["", &"x".repeat(256)] {
        let node = node("a@127.0.0.1").groups(scope);
        let failed = Supervisor::one_for_one().child(node).start(&Runtime::new()).await;
        let text = format!("{:#}", ExitReason::from(failed.unwrap_err()));
        assert!(text.contains(&NodeError::InvalidScope(scope.to_owned()).to_string()), "{text}");
    }
}

/// Both begin, and each has members.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_that_discover_each_other_at_once_agree() {
    let (mut a, mut b) = sharing().await;
    let (x, y) = (idle(&a.rt), idle(&b.rt));
    assert!(a.rt.register_tag("room", x) && b.rt.register_tag("room", y));
    let (mut at_a, mut at_b) = (Watch::new(&a.rt, "room").await, Watch::new(&b.rt, "room").await);
    let (to_b, to_a) = (a.rt.node("b@127.0.0.1"), b.rt.node("a@127.0.0.1"));
    for _ in 0..20 {
        let (one, two) = tokio::join!(to_b.connect(), to_a.connect());
        assert!(one.is_ok() && two.is_ok(), "{one:?} {two:?}");
        at_a.until(|members| members.len() == 2).await;
        at_b.until(|members| members.len() == 2).await;
        // What a second sync would have added, this leave does not remove.
        assert!(a.rt.unregister_tag("room", x));
        at_b.until(|members| members == [y]).await;
        assert!(a.rt.register_tag("room", x));
        cut(&mut a, &mut b).await;
        at_a.until(|members| members == [x]).await;
        at_b.until(|members| members == [y]).await;
    }
}

/// Threads change groups of both nodes, kill members, cut the connection and kill the scopes. At the
/// end both nodes have the same members. With `--cfg regrow_proof`, failpoints delay the threads.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
#[expect(clippy::too_many_lines, reason = "one scenario, step by step")]
async fn nodes_agree_after_changes_cuts_and_restarts_that_race() {
    #[cfg(regrow_proof)]
    regrow::proof::arm_failpoints(regrow::proof::FailPlan { seed: 9, yields: 100, pauses: 20 });
    let (mut a, mut b) = sharing().await;
    let groups = ["red", "green", "blue"];
    for round in 0..if cfg!(regrow_proof) { 100 } else { 10 } {
        connect(&a).await;
        let racer = |rt: &Runtime, seed: u64| {
            let rt = rt.clone();
            tokio::spawn(async move {
                let mut random = Rng::new(seed);
                let mut own: Vec<Pid> = (0..4).map(|_| idle(&rt)).collect();
                for _ in 0..50 {
                    let (at, group) = (random.below(own.len()), random.pick(&groups));
                    match random.below(6) {
                        0..=2 => {
                            rt.register_tag(group, own[at]);
                        }
                        3 => {
                            rt.unregister_tag(group, own[at]);
                        }
                        4 => {
                            rt.kill(own[at]);
                            own[at] = idle(&rt);
                        }
                        _ => tokio::task::yield_now().await,
                    }
                }
            })
        };
        let mut racers = Vec::new();
        for seed in 0..3 {
            racers.extend([racer(&a.rt, round * 10 + seed), racer(&b.rt, round * 10 + 5 + seed)]);
        }
        match round % 3 {
            0 => cut(&mut a, &mut b).await,
            // As often as the supervisor of the node allows at once.
            1 if round < 8 => assert!(a.rt.kill(a.rt.whereis("pg").unwrap())),
            _ => {}
        }
        for racer in racers {
            racer.await.unwrap();
        }
        while a.rt.node("b@127.0.0.1").connect().await.is_err() {}
        for group in groups {
            let mut at_a = Watch::new(&a.rt, group).await;
            let mut at_b = Watch::new(&b.rt, group).await;
            let local = |rt: &Runtime| {
                let all = rt.whereis_tag(group).into_iter();
                all.filter(|pid| !pid.is_foreign()).collect::<Vec<_>>()
            };
            let shows = |at: &Runtime, of: &Runtime| {
                let foreign = local(of).into_iter().map(|pid| there(at, of, pid));
                let mut all: Vec<_> = local(at).into_iter().chain(foreign).collect();
                all.sort_unstable();
                at.whereis_tag(group) == all
            };
            let agree = async {
                while !shows(&a.rt, &b.rt) || !shows(&b.rt, &a.rt) {
                    tokio::select! {
                        _ = at_a.changes.recv() => {}
                        _ = at_b.changes.recv() => {}
                    }
                }
            };
            let agreed = tokio::time::timeout(Duration::from_secs(20), agree).await;
            assert!(agreed.is_ok(), "{group} {round} {:?} {:?}", at_a.members(), at_b.members());
            a.rt.kill_tag(group);
            b.rt.kill_tag(group);
            at_a.until(<[Pid]>::is_empty).await;
            at_b.until(<[Pid]>::is_empty).await;
        }
    }
    #[cfg(regrow_proof)]
    regrow::proof::disarm_failpoints();
}

fn atom(text: &str) -> Atom {
    Atom::new(text).unwrap()
}

/// A process of the raw peer, whose creation is 9.
fn process(id: u32) -> ExternalPid {
    ExternalPid::new(atom("fake@reader"), id, 0, 9)
}

/// A raw peer that is connected, and speaks for a scope whose process is 1.
struct Hostile {
    a: Running,
    fake: Fake,
    marks: u32,
}

impl Hostile {
    async fn start(set: impl FnOnce(Node) -> Node) -> Hostile {
        let mut a = start(set(node("a@127.0.0.1").groups("pg"))).await;
        let (fake, _) = Fake::join(a.address, "fake@reader").await;
        a.expect("fake@reader", &[NodeChange::Up]).await;
        Hostile { a, fake, marks: 0 }
    }

    /// Sends bytes to the scope.
    async fn send_bytes(&mut self, payload: &[u8]) {
        let control = b"\x70\x83\x68\x04\x61\x06\x6a\x77\x00\x77\x02pg";
        self.fake.frame(&[&control[..], payload].concat()).await;
    }

    async fn send<T: serde::Serialize>(&mut self, message: &T) {
        self.send_bytes(EncodedTerm::new(message).unwrap().as_bytes()).await;
    }

    async fn discover(&mut self) {
        self.send(&(atom("discover"), process(1))).await;
    }

    async fn join(&mut self, group: &str, pids: &[ExternalPid]) {
        self.send(&(atom("join"), process(1), group, pids)).await;
    }

    async fn sync<T: serde::Serialize>(&mut self, groups: &T) {
        self.send(&(atom("$gen_cast"), (atom("sync"), process(1), groups))).await;
    }

    /// Waits until the scope has handled what was sent so far.
    async fn handled(&mut self) {
        self.marks += 1;
        let mark = format!("mark {}", self.marks);
        let mut seen = Watch::new(&self.a.rt, &mark).await;
        // Of another node, whose scope is as good as new.
        let (mut good, _) = Fake::join(self.a.address, "good@reader").await;
        self.fake.ask().await;
        assert!(self.fake.is_answered().await);
        let scope = ExternalPid::new(atom("good@reader"), self.marks, 0, 9);
        let control = b"\x70\x83\x68\x04\x61\x06\x6a\x77\x00\x77\x02pg";
        let discover = EncodedTerm::new(&(atom("discover"), &scope)).unwrap();
        let join = EncodedTerm::new(&(atom("join"), &scope, &mark, &scope)).unwrap();
        for term in [discover, join] {
            good.frame(&[&control[..], term.as_bytes()].concat()).await;
        }
        seen.until(|members| members.len() == 1).await;
        drop(good);
        seen.until(<[Pid]>::is_empty).await;
    }

    fn count(&self, group: &str) -> usize {
        self.a.rt.whereis_tag(group).len()
    }
}

#[tokio::test]
async fn a_scope_is_heard_only_after_it_has_made_itself_known() {
    let mut peer = Hostile::start(|node| node).await;
    peer.join("room", &[process(7)]).await;
    peer.handled().await;
    assert_eq!(peer.count("room"), 0);
    peer.discover().await;
    peer.join("room", &[process(7), process(7), process(8)]).await;
    peer.send(&(atom("leave"), process(1), process(7), vec!["room"])).await;
    peer.handled().await;
    assert_eq!(peer.count("room"), 2, "it has joined twice");
    peer.send(&(atom("leave"), process(1), vec![process(7), process(9)], vec!["room", "none"]))
        .await;
    peer.handled().await;
    assert_eq!(peer.count("room"), 1);
    // A sync replaces what is known. A name that is an atom, and one that has no text here.
    peer.sync(&vec![("room", vec![process(5)])]).await;
    peer.sync(
        &(Term::list([
            Term::tuple([Term::from(atom("room")), Term::list([term(5)])]),
            Term::tuple([Term::tuple([Term::from(1)]), Term::list([term(6)])]),
        ])),
    )
    .await;
    peer.handled().await;
    assert_eq!((peer.count("room"), peer.count(":room")), (0, 1));
    // The scope of later versions of OTP, and a scope that has been restarted: it has no members.
    peer.send(&(atom("discover"), process(2), 1)).await;
    peer.send(&(atom("$gen_cast"), (atom("sync"), process(2), Vec::<u8>::new()))).await;
    peer.join("room", &[process(7)]).await;
    peer.handled().await;
    assert_eq!((peer.count("room"), peer.count(":room")), (0, 0));
}

/// A process of the raw peer as a term.
fn term(id: u32) -> Term {
    EncodedTerm::new(&process(id)).unwrap().term().unwrap()
}

#[tokio::test]
async fn processes_of_third_nodes_are_no_members_and_no_scopes() {
    let mut peer = Hostile::start(|node| node).await;
    peer.discover().await;
    let own = peer.a.rt.external_pid(idle(&peer.a.rt)).unwrap();
    let third = ExternalPid::new(atom("third@reader"), 1, 0, 9);
    let earlier = ExternalPid::new(atom("fake@reader"), 1, 0, 8);
    peer.join("room", &[own.clone(), third.clone(), earlier.clone(), process(3)]).await;
    for scope in [own, third, earlier] {
        peer.send(&(atom("discover"), &scope)).await;
        peer.send(&(atom("$gen_cast"), (atom("sync"), &scope, vec![("room", vec![&scope])]))).await;
        peer.send(&(atom("join"), &scope, "room", &scope)).await;
    }
    peer.handled().await;
    assert_eq!(peer.count("room"), 1);
    assert_eq!(peer.a.rt.connected_nodes().await, ["fake@reader"]);
}

#[tokio::test]
async fn members_without_an_end_are_removed_and_ignored_until_the_node_is_back() {
    let mut peer = Hostile::start(|node| node.max_relations(50)).await;
    peer.discover().await;
    let many = |from: u32, to: u32| (from..to).map(process).collect::<Vec<_>>();
    peer.join("room", &many(0, 40)).await;
    peer.handled().await;
    assert_eq!(peer.count("room"), 40);
    // Joins that are repeated take no room.
    peer.join("room", &many(0, 40)).await;
    peer.join("hall", &many(0, 10)).await;
    peer.handled().await;
    assert_eq!((peer.count("room"), peer.count("hall")), (40, 10));
    peer.join("hall", &many(10, 11)).await;
    peer.join("hall", &many(0, 1)).await;
    peer.handled().await;
    assert_eq!((peer.count("room"), peer.count("hall")), (0, 0));

    drop(peer.fake);
    while peer.a.change().await != ("fake@reader".to_owned(), NodeChange::Down) {}
    (peer.fake, _) = Fake::join(peer.a.address, "fake@reader").await;
    peer.discover().await;
    peer.sync(&vec![("room", many(0, 50))]).await;
    peer.handled().await;
    assert_eq!(peer.count("room"), 50);
}

#[tokio::test]
async fn messages_that_mean_nothing_have_no_effect() {
    let mut peer = Hostile::start(|node| node.max_relations(1_000)).await;
    let scope = peer.a.rt.whereis("pg");
    peer.discover().await;
    peer.join("room", &[process(3)]).await;
    let deep = [&b"\x83"[..], &b"\x68\x01".repeat(100_000), b"\x6a"].concat();
    for bytes in [&b"\x83"[..], b"\x83\x61\x01", b"\x83\x68\x00", b"nonsense", &deep] {
        peer.send_bytes(bytes).await;
    }
    peer.send(&(atom("join"), process(1), "room")).await;
    peer.send(&(atom("join"), process(1), "room", 1)).await;
    peer.send(&(atom("join"), 1, "room", process(3))).await;
    peer.send(&(atom("leave"), process(1), "room", process(3))).await;
    peer.send(&(atom("leave"), process(1), process(3), "room")).await;
    peer.send(&(atom("sync"), process(1), ("room", 1))).await;
    peer.sync(&vec![("room", 1)]).await;
    peer.sync(&vec![1, 2]).await;
    peer.sync(&"room").await;
    // Truncations of a message, and bytes of it that are changed.
    let groups = vec![("room", vec![process(3), process(4)]), ("hall", vec![process(3)])];
    let sync = (atom("$gen_cast"), (atom("sync"), process(9), groups));
    let sync = EncodedTerm::new(&sync).unwrap();
    let mut random = Rng::new(3);
    for length in 1..sync.as_bytes().len() {
        peer.send_bytes(&sync.as_bytes()[..length]).await;
        let mut changed = sync.as_bytes().to_vec();
        changed[length] = u8::try_from(random.below(256)).unwrap();
        peer.send_bytes(&changed).await;
    }
    // Pairs without an end.
    let many: Vec<_> = (0..900).map(process).collect();
    let names: Vec<_> = (0..900).map(|name| name.to_string()).collect();
    peer.discover().await;
    peer.send(&(atom("leave"), process(1), many, names)).await;
    peer.handled().await;
    assert_eq!(peer.a.rt.whereis("pg"), scope, "it has not crashed");
    peer.fake.ask().await;
    assert!(peer.fake.is_answered().await);
}

#[tokio::test]
async fn the_name_of_a_scope_may_be_taken() {
    let rt = Runtime::new();
    assert!(rt.register("pg", idle(&rt)));
    let failed = Supervisor::one_for_one().child(node("a@127.0.0.1").groups("pg")).start(&rt).await;
    let reason = ExitReason::from(failed.unwrap_err());
    assert!(format!("{reason:#}").contains("pg"), "{reason:#}");
}
