//! The other nodes that a runtime has relations with, and what the kernel asks of them.

use std::any::Any;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak};

use crate::base::{MonitorRef, Pid, PlainMutex, SharedStr};
use crate::cluster::node_name::NodeName;
use crate::cluster::remote::connection_loss::notify;
use crate::cluster::remote::local_node::LocalNode;
use crate::cluster::remote::node_numbers::incarnation_of;
use crate::cluster::remote::node_pair::Target;
use crate::cluster::remote::peer::{Peer, Surroundings};
use crate::cluster::remote::peers::Peers;
use crate::cluster::remote::relations::{Monitor, Severed};
use crate::cluster::remote::signal::Signal;
use crate::exit::{ExitKind, ExitReason};
use crate::kernel::Kernel;
use crate::kernel::exits::ExitSignal;
use crate::kernel::other_nodes::{ForeignTarget, OtherNodes};

/// The other nodes of a runtime. They are kept while the node of the runtime is restarted.
#[derive(Debug)]
pub(crate) struct Nodes {
    own: Weak<Nodes>,
    kernel: Weak<Kernel>,
    pub(super) peers: PlainMutex<Peers>,
    local: PlainMutex<Option<Local>>,
    /// The bytes that may wait for each other node.
    limit: AtomicUsize,
    /// The length of the name of this node.
    name_length: AtomicUsize,
}

/// The node that runs in the runtime.
#[derive(Debug, Clone)]
struct Local {
    node: Arc<LocalNode>,
    connector: Arc<dyn Connector>,
}

/// Connects to other nodes.
pub(crate) trait Connector: std::fmt::Debug + Send + Sync {
    /// Begins an attempt to connect, if there is no connection. If there is neither at the end, the
    /// drop of `wanted` says so.
    fn connect(&self, kernel: Arc<Kernel>, wanted: Wanted);
}

/// A connection that signals wait for.
#[derive(Debug)]
pub(crate) struct Wanted(Option<Arc<Peer>>);

impl Wanted {
    /// Takes the request over: from now on, the caller says if there is no connection.
    pub(crate) fn take(mut self) -> Option<Arc<Peer>> {
        self.0.take()
    }
}

/// A request that is dropped was not handled, because no node runs or it has ended.
impl Drop for Wanted {
    fn drop(&mut self) {
        if let Some(peer) = self.0.take() {
            peer.not_connected();
        }
    }
}

impl Nodes {
    pub(crate) fn new(kernel: &Arc<Kernel>) -> Arc<Nodes> {
        Arc::new_cyclic(|own| Nodes {
            own: own.clone(),
            kernel: Arc::downgrade(kernel),
            peers: PlainMutex::default(),
            local: PlainMutex::default(),
            limit: AtomicUsize::new(0),
            name_length: AtomicUsize::new(0),
        })
    }

    /// Returns the nodes of a runtime.
    pub(crate) fn of(kernel: &Arc<Kernel>) -> Arc<Nodes> {
        let nodes = kernel.other_nodes.get_or_init(|| Nodes::new(kernel));
        let nodes = nodes.clone().into_any().downcast();
        nodes.expect("`Nodes` is the only type that a kernel is given")
    }

    /// Notes the node that runs in the runtime.
    pub(crate) fn start(
        &self,
        node: LocalNode,
        limit: usize,
        connector: Arc<dyn Connector>,
    ) -> Arc<LocalNode> {
        self.limit.store(limit, Ordering::Relaxed);
        self.name_length.store(node.name.as_str().len(), Ordering::Relaxed);
        let node = Arc::new(node);
        let local = Local { node: node.clone(), connector };
        let before = self.local.lock().replace(local);
        drop(before);
        node
    }

    /// The node that runs in the runtime, or ran in it last.
    pub(crate) fn local(&self) -> Option<Arc<LocalNode>> {
        self.local.lock().as_ref().map(|local| local.node.clone())
    }

    /// Returns a node that may be connected or not.
    pub(crate) fn peer(&self, name: &NodeName) -> Arc<Peer> {
        self.peers.lock().get_or_add(name, &self.own)
    }

    /// Returns a node that something is known of.
    pub(crate) fn known(&self, name: &NodeName) -> Option<Arc<Peer>> {
        self.peers.lock().get(name)
    }

    /// Whether signals wait for a connection to this node.
    pub(crate) fn waits(&self, name: &NodeName) -> bool {
        self.known(name).is_some_and(|peer| peer.waits())
    }

    /// Notes that there is no connection to this node, and no attempt to connect.
    pub(crate) fn not_connected(&self, name: &NodeName) {
        if let Some(peer) = self.known(name) {
            peer.not_connected();
        }
    }

    /// Returns the node of a process. `None` if the process has ended: no term gave this pid, or it
    /// is of an earlier incarnation of this node.
    pub(crate) fn peer_of(&self, pid: Pid) -> Option<Arc<Peer>> {
        let incarnation = incarnation_of(pid)?;
        let is_known = incarnation.parts(pid).is_some() && !self.is_own(&incarnation.name);
        is_known.then(|| self.peer(&incarnation.name))
    }

    pub(crate) fn is_own(&self, name: &NodeName) -> bool {
        self.local.lock().as_ref().is_some_and(|local| local.node.name == *name)
    }

    /// Sends a signal that concerns no relation. False if the process has ended.
    pub(crate) fn send(&self, to: Pid, signal: Signal) -> bool {
        let Some(peer) = self.peer_of(to) else { return false };
        peer.request(Some(to), |_| ((), Some(signal))).is_ok()
    }
}

impl Surroundings for Nodes {
    fn limit(&self) -> usize {
        self.limit.load(Ordering::Relaxed)
    }

    fn name_length(&self) -> usize {
        self.name_length.load(Ordering::Relaxed)
    }

    fn connect(&self, peer: &Arc<Peer>) {
        let wanted = Wanted(Some(peer.clone()));
        let connector = self.local.lock().as_ref().map(|local| local.connector.clone());
        match connector.zip(self.kernel.upgrade()) {
            Some((connector, kernel)) => connector.connect(kernel, wanted),
            None => drop(wanted),
        }
    }

    fn notify(&self, severed: Severed, reason: &ExitReason) {
        if let Some(kernel) = self.kernel.upgrade() {
            notify(kernel, severed, reason.clone());
        }
    }
}

impl OtherNodes for Nodes {
    fn link(&self, own: Pid, other: Pid, id: u64) -> Result<(), ExitReason> {
        let peer = self.peer_of(other).ok_or(ExitReason::NoProc)?;
        peer.request(Some(other), |relations| {
            let is_new = relations.link(own, other, id);
            ((), is_new.then_some(Signal::Link { own, other }))
        })
    }

    fn unlink(&self, own: Pid, other: Pid, before: u64) -> bool {
        let Some(peer) = self.peer_of(other) else { return false };
        let removed = peer.request(Some(other), |relations| {
            let removal = relations.unlink(own, other, before);
            let signal = removal.map(|removal| Signal::Unlink { own, other, removal });
            (removal.is_some(), signal)
        });
        removed.unwrap_or_default()
    }

    fn break_link(&self, own: Pid, other: Pid, reason: &ExitReason) {
        let Some(peer) = self.peer_of(other) else { return };
        // An error says that the other process has ended.
        let _ = peer.request(Some(other), |relations| {
            let is_linked = relations.end(own, other);
            let reason = reason.clone();
            ((), is_linked.then_some(Signal::Exit { own, other, reason }))
        });
    }

    fn monitor(
        &self,
        reference: MonitorRef,
        target: &ForeignTarget,
        name: Option<&SharedStr>,
    ) -> Result<(), ExitReason> {
        let (peer, pid) = self.target(target)?;
        let (id, own) = (reference.raw(), reference.watcher());
        let monitor = Monitor { watcher: own, target: target.clone(), name: name.cloned() };
        let target = wire_target(pid, name);
        peer.request(pid, |relations| {
            relations.monitor(id, monitor);
            ((), Some(Signal::Monitor { own, target, id }))
        })
    }

    fn demonitor(&self, reference: MonitorRef, target: &ForeignTarget) {
        let Ok((peer, pid)) = self.target(target) else { return };
        let (id, own) = (reference.raw(), reference.watcher());
        let _ = peer.request(None, |relations| {
            let signal = relations.take_monitor(id).map(|monitor| {
                let target = wire_target(pid, monitor.name.as_ref());
                Signal::Demonitor { own, target, id }
            });
            ((), signal)
        });
    }

    fn exit(&self, to: Pid, signal: ExitSignal<'_>) -> bool {
        let (own, reason) = (signal.from, signal.reason.clone());
        let is_kill = signal.kind == ExitKind::Kill;
        self.send(to, Signal::ExitTo { own, other: to, reason, is_kill })
    }

    fn into_any(self: Arc<Self>) -> Arc<dyn Any + Send + Sync> {
        self
    }
}

impl Nodes {
    /// Returns the node of a target, and the pid if that is the target.
    fn target(&self, target: &ForeignTarget) -> Result<(Arc<Peer>, Option<Pid>), ExitReason> {
        match target {
            ForeignTarget::Pid(pid) => {
                let peer = self.peer_of(*pid).ok_or(ExitReason::NoProc)?;
                Ok((peer, Some(*pid)))
            }
            ForeignTarget::AtNode(node) => {
                let name = NodeName::parse(node).ok_or(ExitReason::NoConnection)?;
                Ok((self.peer(&name), None))
            }
        }
    }
}

fn wire_target(pid: Option<Pid>, name: Option<&SharedStr>) -> Target {
    match (pid, name) {
        (Some(pid), _) => Target::Pid(pid),
        (None, name) => Target::Name(name.cloned().unwrap_or_else(|| "".into())),
    }
}
