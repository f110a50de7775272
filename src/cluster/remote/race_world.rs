//! A process of this node and one of another node, without a socket, for tests that run code between
//! two steps.

use std::any::Any;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use futures_util::FutureExt;

use crate::base::{MonitorRef, Pid, PlainMutex, SharedStr};
use crate::cluster::handshake::Flags;
use crate::cluster::node_name::NodeName;
use crate::cluster::remote::inbound::Inbound;
use crate::cluster::remote::local_node::{LocalNode, PidTags};
use crate::cluster::remote::node_numbers::Numbered;
use crate::cluster::remote::nodes::Nodes;
use crate::cluster::remote::peer::Peer;
use crate::cluster::remote::peer_connection::Up;
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
pub(super) struct World {
    _tokio: tokio::runtime::Runtime,
    pub(super) rt: Runtime,
    hooked: Arc<Hooked>,
    pub(super) peer: Arc<Peer>,
    pub(super) inbound: Arc<Inbound>,
    outbox: Outbox,
    process: Arc<dyn AnyProcess>,
    pub(super) own: Pid,
    pub(super) other: Pid,
}

impl World {
    pub(super) fn new() -> Arc<World> {
        let tokio = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let rt = tokio.block_on(async { Runtime::new() });
        let nodes = Nodes::new(&rt.kernel);
        let hooked = Hooked { nodes, before: Hook::default(), after: Hook::default() };
        let hooked = Arc::new(hooked);
        rt.kernel.other_nodes.set(hooked.clone()).expect("a new kernel has none");
        let name = |text| NodeName::parse(text).unwrap();
        let peer = hooked.nodes.peer(&name("other@host"));
        let outbox = Outbox::new(10_000);
        let node = Arc::new(LocalNode::new(name("own@host"), 1, PidTags::default()));
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
            refused_kills: AtomicU64::new(0),
        });
        let (process, admitted) = rt.admit::<Envelope>(&NewProcess::default());
        assert!(admitted.is_ok());
        let (own, other) = (process.pid(), incarnation.pid(5, 0).unwrap());
        rt.set_trap_exit(own, true);
        Arc::new(World { _tokio: tokio, rt, hooked, peer, inbound, outbox, process, own, other })
    }

    pub(super) fn before(self: &Arc<Self>, act: impl FnOnce(&World) + Send + 'static) {
        let world = self.clone();
        *self.hooked.before.lock() = Some(Box::new(move || act(&world)));
    }

    pub(super) fn after(self: &Arc<Self>, act: impl FnOnce(&World) + Send + 'static) {
        let world = self.clone();
        *self.hooked.after.lock() = Some(Box::new(move || act(&world)));
    }

    pub(super) fn link(&self) -> bool {
        self.rt.link(self.own, self.other)
    }

    pub(super) fn unlink(&self) {
        self.rt.unlink(self.own, self.other);
    }

    /// The local process ends.
    pub(super) fn end(&self) {
        self.rt.kernel.tear_down(&*self.process, End::Returned(ExitReason::Shutdown));
    }

    /// The connection is lost. There is no other one.
    pub(super) fn lose(&self) {
        self.peer.down(self.inbound.connection);
    }

    /// The exit of the other process arrives.
    pub(super) fn exit_arrives(&self) {
        let (from, to) = self.ends();
        self.inbound.exit(&from, &to, b"\x77\x06killed").unwrap();
    }

    pub(super) fn unlink_arrives(&self) {
        let (from, to) = self.ends();
        self.inbound.unlink(&[97, 1], &from, &to).unwrap();
    }

    /// The two pids as terms.
    pub(super) fn ends(&self) -> (Vec<u8>, Vec<u8>) {
        let encoded = |pid: &ExternalPid| {
            let mut bytes = Vec::new();
            Encoder::new(&mut bytes).pid(pid).unwrap();
            bytes
        };
        let other = self.inbound.other.external(self.other).unwrap();
        (encoded(&other), encoded(&self.inbound.own.external(self.own)))
    }

    /// The operations that were sent since the last call.
    pub(super) fn sent(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let _ = self.outbox.take(&mut bytes).now_or_never();
        let mut operations = Vec::new();
        let mut rest = &bytes[..];
        while let [a, b, c, d, 112, 131, 104, _, 97, operation, ..] = *rest {
            operations.push(operation);
            rest = &rest[4 + usize::try_from(u32::from_be_bytes([a, b, c, d])).unwrap()..];
        }
        operations
    }

    /// Checks that no side has a relation, and that the process has this many signals.
    pub(super) fn assert_nothing_left(&self, signals: usize) {
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
