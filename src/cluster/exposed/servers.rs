//! All exposed servers of a node.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::base::{Pid, SharedStr, ignore_panic};
use crate::cluster::exposed::request::Request;
use crate::cluster::exposed::server::Exposed;
use crate::cluster::reply::{ReturnAddress, Undecodable};
use crate::cluster::term::DecodeLimits;
use crate::runtime::Runtime;

/// The exposed servers by their names.
#[derive(Clone, Default)]
pub(crate) struct ExposedServers {
    servers: Vec<Arc<dyn Exposed>>,
    /// How many messages could not be decoded since the node was described.
    undecodable: Arc<AtomicU64>,
}

impl ExposedServers {
    /// Adds a server. The last one of a name counts.
    pub(crate) fn add(&mut self, server: impl Exposed + 'static) {
        self.servers.retain(|other| other.name() != server.name());
        self.servers.push(Arc::new(server));
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.servers.is_empty()
    }

    /// Hands a message to the exposed server that this process is, as
    /// [`deliver`](Self::deliver) does.
    pub(crate) fn deliver_to<'p>(
        &self,
        runtime: &Runtime,
        pid: Pid,
        message: (&'p [u8], &DecodeLimits),
        address: impl FnOnce(&'p [u8], &'p [u8]) -> Option<(Pid, ReturnAddress)>,
    ) -> bool {
        let (payload, limits) = message;
        if matches!(Request::read(payload, limits), Request::Other) {
            return false;
        }
        let mut names = self.servers.iter().map(|server| server.name());
        let name = names.find(|name| runtime.whereis(name) == Some(pid));
        name.is_some_and(|name| self.deliver(runtime, name, message, address))
    }

    /// Hands a message to the exposed server of this name. Returns false if there is none, or the
    /// message is neither a call nor a cast. `address` makes the address of a caller.
    pub(crate) fn deliver<'p>(
        &self,
        runtime: &Runtime,
        name: &str,
        (payload, limits): (&'p [u8], &DecodeLimits),
        address: impl FnOnce(&'p [u8], &'p [u8]) -> Option<(Pid, ReturnAddress)>,
    ) -> bool {
        let Some(server) = self.servers.iter().find(|server| **server.name() == *name) else {
            return false;
        };
        let delivered = match Request::read(payload, limits) {
            Request::Call { pid, tag, request } => match address(pid, tag) {
                Some(caller) => server.call(runtime, (request, limits), caller),
                None => Err(Undecodable::Caller),
            },
            Request::Cast(cast) => server.cast(runtime, (cast, limits)),
            Request::Other => return false,
        };
        if let Err(undecodable) = delivered {
            self.log(server.name(), &undecodable);
        }
        true
    }

    /// Counts a message that can't be decoded, and logs the 1st, the 2nd, the 4th, the 8th and so
    /// on: a node that sends nothing else must not fill the log.
    fn log(&self, server: &SharedStr, why: &Undecodable) {
        let count = self.undecodable.fetch_add(1, Relaxed) + 1;
        if count.is_power_of_two() {
            ignore_panic(|| {
                tracing::warn!(
                    target: "regrow::cluster", %server, %why, count,
                    "a message from another node can't be decoded"
                );
            });
        }
    }
}

impl fmt::Debug for ExposedServers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.servers.iter().map(|server| server.name())).finish()
    }
}
