//! The addresses of nodes: fixed ones, and those that EPMD knows.

use std::env;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use tokio::net::lookup_host;

use crate::base::random::Map;
use crate::cluster::epmd;
use crate::cluster::error::NodeError;
use crate::cluster::node_name::NodeName;

/// The port of EPMD, if the environment says nothing else.
const EPMD_PORT: u16 = 4369;

/// How a node finds the addresses of others: by fixed addresses, and by EPMD, the port mapper daemon
/// of Erlang, on the host of the other node.
///
/// | | with EPMD | [without](Self::without_epmd) |
/// |---|---|---|
/// | a node with a fixed address | that address | that address |
/// | any other node | the port that EPMD of its host knows | is not known |
/// | this node | is registered with EPMD of this machine | must have a fixed port, for the nodes that connect to it |
///
/// The part of a name behind the `@` is resolved at each attempt to connect. OTP: the modules
/// `erl_epmd` and, without EPMD, `-erl_epmd_port` or an own `-epmd_module`.
///
/// # Examples
///
/// ```
/// use regrow::cluster::Resolver;
///
/// let resolver = Resolver::without_epmd().node("shop@127.0.0.1", ([127, 0, 0, 1], 9100));
/// ```
#[derive(Debug, Clone)]
pub struct Resolver {
    fixed: Map<String, SocketAddr>,
    epmd_port: Option<u16>,
    has_own_epmd: bool,
}

impl Resolver {
    /// Makes a resolver that uses EPMD, at the port of the variable `ERL_EPMD_PORT` or, if that is
    /// not set, at 4369. A new node uses this resolver.
    pub fn epmd() -> Self {
        let port = env::var("ERL_EPMD_PORT").ok().and_then(|port| port.parse().ok());
        Resolver::epmd_at(port.unwrap_or(EPMD_PORT))
    }

    /// Makes a resolver that uses EPMD at this port, on each host.
    pub fn epmd_at(port: u16) -> Self {
        Resolver { epmd_port: Some(port), ..Resolver::without_epmd() }
    }

    /// Makes the node answer as EPMD, if no other program of the machine does: so a cluster needs no
    /// installation of Erlang. It has no effect without EPMD.
    ///
    /// Of several programs with this setting, the first one answers, and the others use it. When it
    /// ends, one of them takes its place within a second, and the nodes of this crate register again.
    /// The node answers at 127.0.0.1 or, if it [listens](crate::cluster::Node::listen) at an address
    /// that is not loopback, at all addresses of IPv4. Programs of other machines can look names up,
    /// and register none. At most 1,024 connections are open at once.
    ///
    /// EPMD is neither encrypted nor authenticated: every program of the machine can register every
    /// name that is free.
    ///
    /// ```
    /// use regrow::cluster::Resolver;
    ///
    /// let resolver = Resolver::epmd_at(14_369).with_own_epmd();
    /// ```
    pub fn with_own_epmd(mut self) -> Self {
        self.has_own_epmd = true;
        self
    }

    /// Makes a resolver that doesn't use EPMD. [`Resolver`] has an example.
    pub fn without_epmd() -> Self {
        Resolver { fixed: Map::default(), epmd_port: None, has_own_epmd: false }
    }

    /// Adds the fixed address of a node. [`Resolver`] has an example.
    pub fn node(mut self, name: impl Into<String>, address: impl Into<SocketAddr>) -> Self {
        self.fixed.insert(name.into(), address.into());
        self
    }

    /// Returns the address of EPMD of this machine, if EPMD is used.
    pub(crate) fn own_epmd(&self) -> Option<SocketAddr> {
        self.epmd_port.map(|port| (IpAddr::from(Ipv4Addr::LOCALHOST), port).into())
    }

    /// Returns where a node that listens at this address answers as EPMD, if it does.
    pub(crate) fn responder(&self, node: IpAddr) -> Option<SocketAddr> {
        let port = self.epmd_port.filter(|_| self.has_own_epmd)?;
        let is_local = node.to_canonical().is_loopback();
        let address = if is_local { Ipv4Addr::LOCALHOST } else { Ipv4Addr::UNSPECIFIED };
        Some((address, port).into())
    }

    pub(crate) async fn resolve(&self, node: &NodeName) -> Result<SocketAddr, NodeError> {
        if let Some(address) = self.fixed.get(node.as_str()) {
            return Ok(*address);
        }
        let unknown = || NodeError::Unknown(node.to_string());
        let port = self.epmd_port.ok_or_else(unknown)?;
        let unresolved = |error: io::Error| NodeError::Unresolved {
            node: node.to_string(),
            source: Arc::new(error),
        };
        let mut failed = None;
        let hosts = lookup_host((node.host(), port)).await.map_err(unresolved)?;
        for host in in_order(hosts) {
            match epmd::look_up(host, node.alive()).await {
                Ok(Some(port)) => return Ok((host.ip(), port).into()),
                Ok(None) => {}
                Err(error) => failed = Some(unresolved(error)),
            }
        }
        Err(failed.unwrap_or_else(unknown))
    }
}

/// Returns the addresses of a host in the order in which they are asked: those of IPv4 first. EPMD
/// listens at both kinds, but a node of Erlang at IPv4 only, unless it was started with
/// `-proto_dist inet6_tcp`.
fn in_order(hosts: impl Iterator<Item = SocketAddr>) -> Vec<SocketAddr> {
    let mut hosts: Vec<_> = hosts.collect();
    hosts.sort_by_key(SocketAddr::is_ipv6); // stable
    hosts
}

#[cfg(test)]
mod tests {
    use super::in_order;

    #[test]
    fn the_addresses_of_ipv4_are_asked_first() {
        let hosts = ["[::1]:9", "127.0.0.2:9", "[::2]:9", "127.0.0.1:9"];
        let sorted = in_order(hosts.iter().map(|host| host.parse().unwrap()));
        let texts: Vec<_> = sorted.iter().map(ToString::to_string).collect();
        assert_eq!(texts, ["127.0.0.2:9", "127.0.0.1:9", "[::1]:9", "[::2]:9"]);
    }
}
