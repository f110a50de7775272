//! Requests a connection for signals that wait for one, from the server of the connections.

use std::sync::Arc;

use crate::cluster::connection::net_kernel::NET_KERNEL;
use crate::cluster::connection::requests::Cast;
use crate::cluster::remote::nodes::{Connector, Wanted};
use crate::kernel::Kernel;
use crate::runtime::Runtime;

/// Asks the server for connections. If no server runs, the request is dropped.
#[derive(Debug)]
pub(crate) struct ByServer;

impl Connector for ByServer {
    fn connect(&self, kernel: Arc<Kernel>, wanted: Wanted) {
        Runtime { kernel }.server(NET_KERNEL).cast(Cast::Wanted(wanted));
    }
}
