//! The server of the connections of a node. Each attempt to connect, and each connection, is a
//! process of its own. Such a process asks this server before each step that affects other
//! attempts, and [`competing_attempts`](crate::cluster::connection::competing_attempts) decides the
//! answer.
//!
//! **If a process of a connection ends** at any step, its `Down` arrives here, and its attempt or
//! its connection is removed. A reply to that process is dropped.
//!
//! **If this server ends**, the subscribers are notified of the loss of each connection, and its
//! supervisor stops all processes of connections before it starts another server.

use std::sync::Arc;

use tokio::time::Instant;

use crate::base::Pid;
use crate::base::random::Map;
use crate::call::Reply;
use crate::cluster::connection::competing_attempts::Action;
use crate::cluster::connection::node_events::announce;
use crate::cluster::connection::peer_entry::Entry;
use crate::cluster::connection::requests::{Call, Cast, NetKernelArgs};
use crate::cluster::error::NodeError;
use crate::cluster::handshake::HandshakeError;
use crate::cluster::node_name::NodeName;
use crate::cluster::remote::nodes::Nodes;
use crate::exit::{ExitReason, Result};
use crate::message::{NodeChange, Received};
use crate::runtime::{Name, Runtime};
use crate::server::{GenServer, ServerContext};

/// The name of the server. Nodes of OTP ask `net_kernel` of this node whether it lives.
pub(crate) const NET_KERNEL: Name<NetKernel> = Name::new("net_kernel");

pub(crate) struct NetKernel {
    args: NetKernelArgs,
    runtime: Runtime,
    /// The nodes that signals go to, and wait for.
    nodes: Arc<Nodes>,
    peers: Map<NodeName, Entry>,
    /// The peer of each process.
    processes: Map<Pid, NodeName>,
}

impl GenServer for NetKernel {
    type Args = NetKernelArgs;
    type Call = Call;
    type Cast = Cast;

    async fn init(args: NetKernelArgs, ctx: &mut ServerContext<Self>) -> Result<Self> {
        let runtime = ctx.runtime();
        let nodes = Nodes::of(&runtime.kernel);
        nodes.start(args.settings.node(), args.settings.send_limit, args.connector.clone());
        Ok(NetKernel { args, runtime, nodes, peers: Map::default(), processes: Map::default() })
    }

    async fn handle_call(&mut self, call: Call, ctx: &mut ServerContext<Self>) -> Result {
        match call {
            Call::Connect { peer, reply } => self.connect(peer, reply, ctx).await,
            Call::Disconnect { peer, reply } => {
                let connection = self.peers.get(&peer).and_then(Entry::connection);
                let exit = |pid| self.runtime.exit(pid, ExitReason::Shutdown);
                reply.send(connection.is_some_and(exit));
            }
            Call::Connected(reply) => {
                let up = self.peers.iter().filter(|(_, entry)| entry.connection().is_some());
                reply.send(up.map(|(name, _)| name.text().clone()).collect());
            }
            Call::Settings(reply) => reply.send(self.args.settings.clone()),
            Call::Claim { peer, reply } => {
                let Some(pid) = reply.caller() else { return Ok(()) };
                self.watch(pid, &peer, ctx);
                let status = self.entry(&peer).attempts.claim(pid);
                reply.send(status);
            }
            Call::MaySendName { peer, reply } => {
                let may = |pid| self.entry(&peer).attempts.may_send_name(pid);
                let may = reply.caller().is_some_and(may);
                reply.send(may);
            }
            Call::Authenticated { peer, reply } => {
                let Some(pid) = reply.caller() else { return Ok(()) };
                let entry = self.entry(&peer);
                entry.authenticated.insert(pid, reply);
                let actions = entry.attempts.authenticated(pid);
                self.act(&peer, actions);
            }
        }
        Ok(())
    }

    async fn handle_cast(&mut self, cast: Cast, ctx: &mut ServerContext<Self>) -> Result {
        match cast {
            Cast::Failed { peer, dial, error } => {
                let Some(entry) = self.peers.get_mut(&peer) else { return Ok(()) };
                let is_for_own =
                    matches!(error, NodeError::Handshake(HandshakeError::Simultaneous));
                entry.error = Some(error);
                if is_for_own {
                    let actions = entry.attempts.refused_for_own(dial);
                    if entry.attempts.yields() {
                        let deadline = entry.deadline;
                        let left = deadline.saturating_duration_since(Instant::now());
                        let overdue = Cast::Overdue { peer: peer.clone(), deadline };
                        ctx.cast_after_as(peer.text().clone(), left, overdue);
                    }
                    self.act(&peer, actions);
                }
            }
            Cast::Wanted(wanted) => {
                let Some(peer) = wanted.take().map(|peer| peer.name.clone()) else { return Ok(()) };
                self.entry(&peer).is_wanted = true;
                self.want(&peer, ctx).await;
            }
            Cast::Overdue { peer, deadline } => {
                let entry = self.peers.get_mut(&peer);
                if let Some(entry) = entry.filter(|entry| entry.deadline == deadline) {
                    entry.attempts.overdue();
                    self.settle(&peer);
                }
            }
        }
        Ok(())
    }

    async fn handle_info(&mut self, info: Received, ctx: &mut ServerContext<Self>) -> Result {
        if let Received::Down { pid, .. } = info
            && let Some(peer) = self.processes.remove(&pid)
        {
            let waits = self.nodes.waits(&peer);
            let entry = self.entry(&peer);
            // Signals count here only if they wait and the server has read their request. A request
            // that is still in the queue dials when the server reads it.
            entry.is_wanted &= waits;
            entry.authenticated.remove(&pid);
            let was_announced = entry.announced.take_if(|announced| *announced == pid).is_some();
            let did_yield = entry.attempts.yields();
            let actions = entry.attempts.ended(pid);
            let is_wanted = entry.is_wanted;
            let is_over = did_yield && entry.attempts.needs_dial() && entry.is_awaited();
            if was_announced {
                announce(&self.runtime, &peer, NodeChange::Down);
            }
            if is_over {
                self.dial(&peer, ctx).await;
            } else if was_announced && is_wanted {
                // Signals that were sent since the loss wait for the next connection.
                self.want(&peer, ctx).await;
            }
            self.act(&peer, actions);
        }
        Ok(())
    }
}

/// Notifies the subscribers for every way in which the server ends.
impl Drop for NetKernel {
    fn drop(&mut self) {
        for (peer, entry) in &self.peers {
            self.nodes.not_connected(peer);
            if entry.announced.is_some() {
                announce(&self.runtime, peer, NodeChange::Down);
            }
        }
    }
}

impl NetKernel {
    fn entry(&mut self, peer: &NodeName) -> &mut Entry {
        let is_greater = *peer > self.args.settings.local.name;
        self.peers.entry(peer.clone()).or_insert_with(|| Entry::new(is_greater))
    }

    /// Monitors a process of a peer.
    fn watch(&mut self, pid: Pid, peer: &NodeName, ctx: &mut ServerContext<Self>) {
        if self.processes.insert(pid, peer.clone()).is_none() {
            ctx.monitor(pid);
        }
    }

    async fn connect(
        &mut self,
        peer: NodeName,
        reply: Reply<Result<(), NodeError>>,
        ctx: &mut ServerContext<Self>,
    ) {
        if peer == self.args.settings.local.name {
            return reply.send(Ok(()));
        }
        self.entry(&peer).waiting.push(reply);
        self.want(&peer, ctx).await;
    }

    /// Begins an attempt to connect, unless there is a connection or an attempt.
    async fn want(&mut self, peer: &NodeName, ctx: &mut ServerContext<Self>) {
        let deadline = self.args.settings.deadline();
        let entry = self.entry(peer);
        if entry.attempts.needs_dial() {
            entry.deadline = deadline;
            self.dial(peer, ctx).await;
        }
        self.settle(peer);
    }

    async fn dial(&mut self, peer: &NodeName, ctx: &mut ServerContext<Self>) {
        match self.start_dial(peer).await {
            Some(dial) => {
                self.watch(dial, peer, ctx);
                self.entry(peer).attempts.dialing(dial);
            }
            None => self.entry(peer).error = Some(NodeError::Stopped),
        }
    }

    async fn start_dial(&mut self, peer: &NodeName) -> Option<Pid> {
        let deadline = self.entry(peer).deadline;
        let dials = self.args.dials.find(&self.runtime)?;
        dials.start_once((self.args.dialer)(peer.clone(), deadline)).await.ok()
    }

    /// Carries out the decisions of
    /// [`competing_attempts`](crate::cluster::connection::competing_attempts).
    fn act(&mut self, peer: &NodeName, actions: Vec<Action<Pid>>) {
        let Some(entry) = self.peers.get_mut(peer) else { return };
        for action in actions {
            match action {
                Action::Admit(pid) => {
                    entry.announced = Some(pid);
                    announce(&self.runtime, peer, NodeChange::Up);
                    if let Some(reply) = entry.authenticated.remove(&pid) {
                        reply.send(true);
                    }
                }
                Action::Close(pid) => match entry.authenticated.remove(&pid) {
                    Some(reply) => reply.send(false),
                    None => drop(self.runtime.exit(pid, ExitReason::Shutdown)),
                },
            }
        }
        self.settle(peer);
    }

    /// Answers the users that wait, if there is a connection or no attempt is left. If no attempt
    /// is left, the waiting signals whose request was read are lost. A request that is still in the
    /// queue dials later. Forgets a peer without attempts and connections.
    fn settle(&mut self, peer: &NodeName) {
        let Some(entry) = self.peers.get_mut(peer) else { return };
        let answer = match entry.connection() {
            Some(_) => Ok(()),
            None if entry.attempts.is_pending() => return,
            None => {
                if std::mem::take(&mut entry.is_wanted) {
                    self.nodes.not_connected(peer);
                }
                Err(entry.error.clone().unwrap_or(NodeError::Stopped))
            }
        };
        entry.answer(&answer);
        if entry.attempts.is_idle() {
            self.peers.remove(peer);
        }
    }
}
