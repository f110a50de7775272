//! What happens between two steps of a link or a monitor: each case is forced, by code that runs
//! before or after the change of the table.

use std::any::Any;
use std::sync::Arc;

use futures_util::FutureExt;

use crate::base::{MonitorRef, Pid, PlainMutex, SharedStr};
use crate::cluster::handshake::Flags;
use crate::cluster::node_name::NodeName;
use crate::cluster::remote::inbound::Inbound;
use crate::cluster::remote::local_node::LocalNode;
use crate::cluster::remote::node_numbers::Numbered;
use crate::cluster::remote::nodes::Nodes;
use crate::cluster::remote::peer::{Peer, Up};
use crate::cluster::term::{Encoder, ExternalPid};
use crate::cluster::wire::Outbox;
use crate::exit::ExitReason;
use crate::kernel::exits::ExitSignal;
use crate::kernel::other_nodes::{ForeignTarget, OtherNodes};
use crate::kernel::{End, NewProcess};
use crate::message::Envelope;
use crate::process::AnyProcess;
use crate::runtime::Runtime;

type Hook = PlainMutex<Option<Box<dyn FnOnce() + Send>>>;

/// The nodes of a runtime, with code that runs around the next change of a table.
struct Hooked {
    nodes: Arc<Nodes>,
    before: Hook,
    after: Hook,
}

impl std::fmt::Debug for Hooked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Hooked")
    }
}

impl Hooked {
    fn around<R>(&self, change: impl FnOnce(&Nodes) -> R) -> R {
        let (before, after) = (self.before.lock().take(), self.after.lock().take());
        before.into_iter().for_each(|hook| hook());
        let result = change(&self.nodes);
        after.into_iter().for_each(|hook| hook());
        result
    }
}

impl OtherNodes for Hooked {
    fn link(&self, own: Pid, other: Pid, id: u64) -> Result<(), ExitReason> {
        self.around(|nodes| nodes.link(own, other, id))
    }

    fn unlink(&self, own: Pid, other: Pid, before: u64) -> bool {
        self.nodes.unlink(own, other, before)
    }

    fn break_link(&self, own: Pid, other: Pid, reason: &ExitReason) {
        self.nodes.break_link(own, other, reason);
    }

    fn monitor(
        &self,
        reference: MonitorRef,
        target: &ForeignTarget,
        name: Option<&SharedStr>,
    ) -> Result<(), ExitReason> {
        self.around(|nodes| nodes.monitor(reference, target, name))
    }

    fn demonitor(&self, reference: MonitorRef, target: &ForeignTarget) {
        self.nodes.demonitor(reference, target);
    }

    fn exit(&self, to: Pid, signal: ExitSignal<'_>) -> bool {
        self.nodes.exit(to, signal)
    }

    fn into_any(self: Arc<Self>) -> Arc<dyn Any + Send + Sync> {
        self.nodes.clone()
    }
}

/// A connected runtime with a process that traps exits, and the pid of one of the other node.
struct World {
    _tokio: tokio::runtime::Runtime,
    rt: Runtime,
    hooked: Arc<Hooked>,
    peer: Arc<Peer>,
    inbound: Arc<Inbound>,
    outbox: Outbox,
    process: Arc<dyn AnyProcess>,
    own: Pid,
    other: Pid,
}

impl World {
    fn new() -> Arc<World> {
        let tokio = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let rt = tokio.block_on(async { Runtime::new() });
        let nodes = Nodes::new(&rt.kernel);
        let hooked = Hooked { nodes, before: Hook::default(), after: Hook::default() };
        let hooked = Arc::new(hooked);
        rt.kernel.other_nodes.set(hooked.clone()).expect("a new kernel has none");
        let name = |text| NodeName::parse(text).unwrap();
        let peer = hooked.nodes.peer(&name("other@host"));
        let outbox = Outbox::new(10_000);
        let node = Arc::new(LocalNode::new(name("own@host"), 1));
        let other = Numbered::connect(name("other@host"), 9).unwrap();
        let incarnation = other.0.clone();
        let flags = Flags::default();
        let (own, queue) = (node.clone(), outbox.clone());
        let connection = peer.up(Up { own, other, flags, outbox: queue });
        let inbound = Arc::new(Inbound {
            kernel: rt.kernel.clone(),
            peer: peer.clone(),
            connection,
            own: node,
            other: incarnation.clone(),
            most_relations: 10,
            allows_kill: false,
        });
        let (process, admitted) = rt.admit::<Envelope>(&NewProcess::default());
        assert!(admitted.is_ok());
        let (own, other) = (process.pid(), incarnation.pid(5, 0).unwrap());
        rt.set_trap_exit(own, true);
        Arc::new(World { _tokio: tokio, rt, hooked, peer, inbound, outbox, process, own, other })
    }

    fn before(self: &Arc<Self>, act: impl FnOnce(&World) + Send + 'static) {
        let world = self.clone();
        *self.hooked.before.lock() = Some(Box::new(move || act(&world)));
    }

    fn after(self: &Arc<Self>, act: impl FnOnce(&World) + Send + 'static) {
        let world = self.clone();
        *self.hooked.after.lock() = Some(Box::new(move || act(&world)));
    }

    fn link(&self) -> bool {
        self.rt.link(self.own, self.other)
    }

    fn unlink(&self) {
        self.rt.unlink(self.own, self.other);
    }

    /// The local process ends.
    fn end(&self) {
        self.rt.kernel.tear_down(&*self.process, End::Returned(ExitReason::Shutdown));
    }

    /// The connection is lost. There is no other one.
    fn lose(&self) {
        self.peer.down(self.inbound.connection);
    }

    /// The exit of the other process arrives.
    fn exit_arrives(&self) {
        let (from, to) = self.ends();
        self.inbound.exit(&from, &to, b"\x77\x06killed").unwrap();
    }

    fn unlink_arrives(&self) {
        let (from, to) = self.ends();
        self.inbound.unlink(&[97, 1], &from, &to).unwrap();
    }

    /// The two pids as terms.
    fn ends(&self) -> (Vec<u8>, Vec<u8>) {
        let encoded = |pid: &ExternalPid| {
            let mut bytes = Vec::new();
            Encoder::new(&mut bytes).pid(pid).unwrap();
            bytes
        };
        let other = self.inbound.other.external(self.other).unwrap();
        (encoded(&other), encoded(&self.inbound.own.external(self.own)))
    }

    /// The operations that were sent since the last call.
    fn sent(&self) -> Vec<u8> {
        let bytes = self.outbox.take().now_or_never().unwrap_or_default();
        let mut operations = Vec::new();
        let mut rest = &bytes[..];
        while let [a, b, c, d, 112, 131, 104, _, 97, operation, ..] = *rest {
            operations.push(operation);
            rest = &rest[4 + usize::try_from(u32::from_be_bytes([a, b, c, d])).unwrap()..];
        }
        operations
    }

    /// Checks that no side has a relation, and that the process has this many signals.
    fn assert_nothing_left(&self, signals: usize) {
        let queued = self.process.with(|locked| {
            let core = locked.core();
            let relations = core.relations();
            assert!(relations.is_none_or(|own| own.links.is_empty() && own.watchers.is_none()));
            locked.queued_items()
        });
        assert_eq!(queued, signals);
        let left = self.peer.respond(self.inbound.connection, |relations| {
            (relations.is_linked(self.own, self.other), None)
        });
        assert_ne!(left, Ok(true));
    }
}

const LINK: u8 = 1;
const EXIT: u8 = 3;
const MONITOR: u8 = 19;
const DEMONITOR: u8 = 20;
const UNLINK: u8 = 35;
const ACK: u8 = 36;

#[test]
fn a_link_whose_own_process_ends_between_two_steps_is_broken_once() {
    for is_before in [true, false] {
        let world = World::new();
        match is_before {
            true => world.before(World::end),
            false => world.after(World::end),
        }
        assert!(world.link());
        assert_eq!(world.sent(), [LINK, EXIT]);
        world.assert_nothing_left(0);
    }
}

#[test]
fn a_link_that_is_removed_between_two_steps_leaves_nothing() {
    for is_before in [true, false] {
        let world = World::new();
        match is_before {
            true => world.before(World::unlink),
            false => world.after(World::unlink),
        }
        world.link();
        assert_eq!(world.sent(), [LINK, UNLINK]);
        world.assert_nothing_left(0);
        // An exit that crosses the removal.
        world.exit_arrives();
        world.assert_nothing_left(0);
    }
}

/// Before the table has changed, the link belongs to the next connection, which is not made here.
#[test]
fn a_link_whose_connection_is_lost_between_two_steps_gets_one_exit() {
    for is_before in [true, false] {
        let world = World::new();
        match is_before {
            true => world.before(World::lose),
            false => world.after(World::lose),
        }
        world.link();
        world.assert_nothing_left(1);
        world.lose();
        world.assert_nothing_left(1);
    }
}

#[test]
fn a_link_whose_other_process_ends_before_the_recheck_gets_one_exit() {
    let world = World::new();
    world.after(World::exit_arrives);
    world.link();
    world.exit_arrives();
    world.assert_nothing_left(1);
}

/// The link existed. While it is made again, the other process removes the older one.
#[test]
fn a_removal_of_an_older_link_does_not_remove_the_one_that_is_made() {
    let world = World::new();
    assert!(world.link());
    world.before(World::unlink_arrives);
    assert!(world.link());
    assert_eq!(world.sent(), [LINK, ACK, LINK]);
    assert_eq!(world.rt.info(world.own).unwrap().links, 1);
    world.exit_arrives();
    world.assert_nothing_left(1);
}

/// The notification of a loss comes after the process has linked again.
#[test]
fn a_late_notification_of_a_loss_does_not_reach_a_later_link() {
    use crate::exit::ExitKind;

    let world = World::new();
    assert!(world.link());
    let (reason, id) = (&ExitReason::NoConnection, world.rt.kernel.fresh_id());
    world.unlink();
    assert!(world.link());
    for (last, left) in [(id, 1), (u64::MAX, 0)] {
        let signal = ExitSignal { from: world.other, reason, kind: ExitKind::LostLink(last) };
        world.rt.kernel.signal_foreign_link(world.own, signal);
        assert_eq!(world.rt.info(world.own).unwrap().links, left);
    }
}

#[test]
fn a_monitor_whose_watcher_ends_between_two_steps_leaves_nothing() {
    for is_before in [true, false] {
        let world = World::new();
        match is_before {
            true => world.before(World::end),
            false => world.after(World::end),
        }
        world.rt.monitor(world.own, world.other);
        assert_eq!(world.sent(), [MONITOR, DEMONITOR]);
        let taken = world
            .peer
            .respond(world.inbound.connection, |relations| (relations.take().monitors.len(), None));
        assert_eq!(taken, Ok(0));
    }
}

#[test]
fn a_monitor_whose_connection_is_lost_between_two_steps_fires_once() {
    for is_before in [true, false] {
        let world = World::new();
        match is_before {
            true => world.before(World::lose),
            false => world.after(World::lose),
        }
        let reference = world.rt.monitor(world.own, world.other);
        world.lose();
        world.assert_nothing_left(1);
        assert!(!world.rt.demonitor(reference));
    }
}

/// The process of an earlier connection has no effect on a later one.
#[test]
fn signals_of_an_earlier_connection_have_no_effect() {
    let world = World::new();
    assert!(world.link());
    let name = NodeName::parse("other@host").unwrap();
    let up = Up {
        own: world.inbound.own.clone(),
        other: Numbered::connect(name, 9).unwrap(),
        flags: Flags::default(),
        outbox: Outbox::new(10_000),
    };
    let number = world.peer.up(up); // the first one is taken for lost
    world.assert_nothing_left(1);
    assert!(world.link());
    let (from, to) = world.ends();
    assert!(world.inbound.exit(&from, &to, b"\x77\x06killed").is_err());
    assert!(world.inbound.link(&from, &to).is_err());
    world.lose();
    assert_eq!(world.rt.info(world.own).unwrap().links, 1);
    world.peer.down(number);
    world.assert_nothing_left(2);
}

#[test]
fn a_link_that_arrives_before_the_peer_has_received_an_unlink_is_none() {
    let world = World::new();
    let (from, to) = world.ends();
    world.inbound.link(&from, &to).unwrap();
    world.inbound.link(&from, &to).unwrap();
    assert_eq!(world.rt.info(world.own).unwrap().links, 1);
    world.unlink();
    assert_eq!(world.sent(), [UNLINK]);
    // The peer has not received the removal yet.
    world.inbound.link(&from, &to).unwrap();
    world.assert_nothing_left(0);
    world.inbound.unlink_acknowledged(&[97, 1], &from, &to).unwrap();
    world.inbound.link(&from, &to).unwrap();
    assert_eq!(world.rt.info(world.own).unwrap().links, 1);
    world.end();
    assert_eq!(world.sent(), [EXIT]);
}
