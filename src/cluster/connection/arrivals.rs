//! The child that accepts the connections of a [`Network`]. For sockets, a listener does this.
//!
//! **If the child ends**, a connection that it has accepted and not handed over is closed. Each
//! connection that it has handed over has a process of its own, under the supervisor of the
//! connections.

use async_trait::async_trait;

use crate::child::{ChildSpec, OnceChild, StartChild, StartContext, Started, TaskContext};
use crate::cluster::carrier::network::Network;
use crate::cluster::carrier::{Arrived, Stream};
use crate::cluster::connection::connection_process::accepted;
use crate::cluster::connection::handshake_limit::{Handshakes, Origin};
use crate::cluster::node_name::NodeName;
use crate::exit::{ExitReason, Result};
use crate::net::Connections;
use crate::runtime::StartError;

/// The start of the child.
pub(crate) struct ArrivalsStart {
    pub(crate) network: Network,
    pub(crate) name: NodeName,
    pub(crate) connections: Connections,
}

#[async_trait]
impl StartChild for ArrivalsStart {
    async fn start(&self, ctx: &mut StartContext) -> Result<Started, StartError> {
        let failed = |reason| StartError::Failed(reason);
        // The supervisor may have ended since its start. In that case both are restarted.
        let connections = self.connections.find(ctx.runtime());
        let connections = connections.ok_or_else(|| failed(ExitReason::NoProc))?;
        let listener = self.network.listen(&self.name);
        let mut listener = listener.map_err(|error| failed(ExitReason::from_library(error)))?;
        let handshakes = Handshakes::default();
        ctx.task(async move |_: TaskContext| {
            loop {
                let (stream, peer) = listener.accept().await;
                // A supervisor that has ended is restarted together with this process.
                let _ = connections.start_once(connection(stream, peer, &handshakes)).await;
            }
        })
        .await
    }
}

fn connection(stream: Stream, peer: String, handshakes: &Handshakes) -> OnceChild<Stream> {
    let handshakes = handshakes.clone();
    ChildSpec::once_with(peer.clone(), stream, async move |ctx: TaskContext, stream| {
        accepted(&ctx, (Arrived::Open(stream), peer), Origin::WITHOUT_ADDRESS, &handshakes).await
    })
}
