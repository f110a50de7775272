//! The processes of a node.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use tokio::net::TcpStream;

use crate::child::{ChildSpec, TaskContext};
use crate::cluster::carrier::network::Network;
use crate::cluster::carrier::{Arrived, Carrier};
use crate::cluster::connection::arrivals::ArrivalsStart;
use crate::cluster::connection::connection_process::{accepted, dialer};
use crate::cluster::connection::connector::ByServer;
use crate::cluster::connection::handshake_limit::{Handshakes, Origin};
use crate::cluster::connection::net_kernel::{NET_KERNEL, NetKernel};
use crate::cluster::connection::registration::RegistrationStart;
use crate::cluster::connection::requests::NetKernelArgs;
use crate::cluster::connection::settings::Settings;
use crate::cluster::epmd::ResponderStart;
use crate::cluster::node_name::NodeName;
use crate::cluster::pg::scope::{Scope, ScopeArgs};
use crate::cluster::rpc::{FUNCTIONS, FunctionServer};
use crate::net::{Connections, ListenerSpec};
use crate::server::GenServer;
use crate::supervisor::{Supervisor, SupervisorSpec};

/// Returns the processes of a node that listens at this address. Each uses those before it.
pub(crate) fn tree(
    settings: &Arc<Settings>,
    address: IpAddr,
    listener: &ListenerSpec<TcpStream>,
) -> SupervisorSpec {
    let (own, dials) = (settings.clone(), Connections::default());
    let args = NetKernelArgs {
        settings: settings.clone(),
        dialer: Arc::new(move |peer, deadline| dialer(own.clone(), peer, deadline)),
        connector: Arc::new(ByServer),
        dials: dials.clone(),
    };
    let tree = Supervisor::rest_for_one()
        .child(NetKernel::child(args).with_id("net_kernel").named(NET_KERNEL.as_str()))
        .child(dials.child().with_id("dials"));
    let name = settings.local.name.clone();
    let tree = match &settings.carrier {
        Carrier::Network(network) => with_arrivals(tree, network.clone(), name),
        _ => tree.child(listener.clone()),
    };
    let tree = if settings.functions.is_empty() { tree } else { with_functions(tree) };
    let tree = with_epmd(tree, settings, address, listener);
    // The last one, since no other process of the node is restarted with it.
    let Some(scope) = settings.groups.clone() else { return tree };
    let name = scope.to_string();
    let args = ScopeArgs { name: scope, most_members: settings.most_relations };
    tree.child(Scope::child(args).with_id("groups").named(name))
}

/// Adds the processes that make the node known to EPMD, if it is to be known there.
fn with_epmd(
    tree: SupervisorSpec,
    settings: &Settings,
    address: IpAddr,
    listener: &ListenerSpec<TcpStream>,
) -> SupervisorSpec {
    let Some(epmd) = settings.own_epmd() else { return tree };
    let tree = match settings.resolver.responder(address) {
        Some(own) => tree.child(ChildSpec::new("epmd_responder", ResponderStart(own))),
        None => tree,
    };
    let (name, listener) = (settings.local.name.clone(), listener.address());
    tree.child(ChildSpec::new("epmd", RegistrationStart { epmd, name, listener }))
}

/// Adds the processes that accept the connections of a network.
fn with_arrivals(tree: SupervisorSpec, network: Network, name: NodeName) -> SupervisorSpec {
    let connections = Connections::default();
    let child = connections.child();
    let start = ArrivalsStart { network, name, connections };
    tree.child(child).child(ChildSpec::new("acceptor", start))
}

/// Adds the processes of functions, behind those that they don't concern.
fn with_functions(tree: SupervisorSpec) -> SupervisorSpec {
    let processes = Connections::default();
    let supervisor = processes.child().with_id("functions");
    let server = FunctionServer::child(processes).with_id("rex").named(FUNCTIONS.as_str());
    tree.child(supervisor).child(server)
}

/// Accepts connections over TCP at this address.
pub(crate) fn listener(address: SocketAddr) -> ListenerSpec<TcpStream> {
    let handshakes = Handshakes::default();
    ChildSpec::tcp_listener("listener", address, async move |ctx: TaskContext, stream, peer| {
        accepted(&ctx, (Arrived::Socket(stream), peer), Origin::of(peer.ip()), &handshakes).await
    })
}
