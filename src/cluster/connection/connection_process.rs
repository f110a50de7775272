//! The process of a connection: the handshake, and then the connection, until it is lost.

use std::fmt::Display;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use tokio::time::Instant;

use crate::base::ignore_panic;
use crate::child::{ChildSpec, OnceChild, TaskContext};
use crate::cluster::carrier::Arrived;
use crate::cluster::connection::attempt::{Connected, accept, dial};
use crate::cluster::connection::connected_loop::{Limits, run};
use crate::cluster::connection::handshake_limit::{Handshakes, Origin};
use crate::cluster::connection::net_kernel::NET_KERNEL;
use crate::cluster::connection::requests::Call;
use crate::cluster::connection::router::Router;
use crate::cluster::connection::settings::Settings;
use crate::cluster::handshake::{HandshakeError, Session};
use crate::cluster::node_name::NodeName;
use crate::cluster::pg::greet;
use crate::cluster::remote::inbound::Inbound;
use crate::cluster::remote::node_numbers::{NoNumber, Numbered};
use crate::cluster::remote::nodes::Nodes;
use crate::cluster::remote::peer::Peer;
use crate::cluster::remote::peer_connection::Up;
use crate::cluster::wire::Outbox;
use crate::exit::Result;

/// Returns the child that dials a peer until a deadline. The child ends normally when its
/// connection is lost.
pub(crate) fn dialer(settings: Arc<Settings>, peer: NodeName, deadline: Instant) -> OnceChild<()> {
    let id = peer.to_string();
    ChildSpec::once_with(id, (), async move |ctx: TaskContext, ()| {
        if let Some(connected) = dial(&ctx, &settings, &peer, deadline).await {
            connection(&ctx, &settings, connected).await;
        }
        Ok(())
    })
}

/// Runs a connection that another node has opened, from this address.
pub(crate) async fn accepted(
    ctx: &TaskContext,
    (arrived, address): (Arrived, impl Display),
    origin: Origin,
    handshakes: &Handshakes,
) -> Result {
    let handshake = handshakes.begin(origin);
    // If the node has ended, the connection is closed.
    let Ok(settings) = ctx.runtime().server(NET_KERNEL).call_unlimited(Call::Settings).await else {
        return Ok(());
    };
    let accepted = accept(ctx, &settings, arrived, &handshake).await;
    drop(handshake);
    match accepted {
        Ok(connected) => connection(ctx, &settings, connected).await,
        Err(error) => log_refused(&address, &error, handshakes),
    }
    Ok(())
}

/// Logs a refused connection, unless many such lines have just been written.
fn log_refused(address: &impl Display, error: &HandshakeError, handshakes: &Handshakes) {
    let Some(left_out) = handshakes.log_limit().line(Instant::now().into_std()) else { return };
    ignore_panic(
        || tracing::warn!(target: "regrow::cluster", %address, %error, left_out, "connection refused"),
    );
}

async fn connection(ctx: &TaskContext, settings: &Settings, connected: Connected) {
    let Connected { stream, session } = connected;
    let outbox = Outbox::new(settings.send_limit);
    let limits = Limits { tick_time: settings.tick_time, longest_frame: settings.longest_frame };
    let end = match Connection::begin(ctx, settings, &session, outbox.clone()) {
        Ok(connection) => {
            let (reader, writer) = stream.into_split();
            let handle = |body: &[u8]| connection.router.handle(body);
            run(reader, writer, &outbox, limits, handle).await.to_string()
        }
        Err(refused) => refused.to_string(),
    };
    ignore_panic(|| {
        tracing::info!(target: "regrow::cluster", node = %session.peer, %end, "connection lost");
    });
}

/// A connection that is up. The drop of this value ends the connection, for every way in which the
/// process ends.
struct Connection {
    router: Router,
    outbox: Outbox,
    peer: Arc<Peer>,
    number: u64,
}

impl Connection {
    fn begin(
        ctx: &TaskContext,
        settings: &Settings,
        session: &Session,
        outbox: Outbox,
    ) -> std::result::Result<Self, NoNumber> {
        let kernel = ctx.runtime().kernel;
        let nodes = Nodes::of(&kernel);
        let (name, flags) = (session.peer.clone(), session.flags);
        let peer = nodes.peer(&name);
        // Without this, the waiting signals would request another connection, which would fail in
        // the same way.
        let other = Numbered::connect(name.clone(), session.creation)
            .inspect_err(|_| peer.not_connected())?;
        let (incarnation, own) = (other.0.clone(), Arc::new(settings.node()));
        let up = Up { own: own.clone(), other, flags, outbox: outbox.clone() };
        let number = peer.up(up);
        if let Some(scope) = &settings.groups {
            greet(&kernel, scope, &name);
        }
        let inbound = Inbound {
            kernel,
            peer: peer.clone(),
            connection: number,
            own,
            other: incarnation,
            most_relations: settings.most_relations,
            allows_kill: settings.allows_kill,
            refused_kills: AtomicU64::new(0),
        };
        let router = Router::new(ctx.pid(), inbound, settings, (flags, outbox.clone()));
        Ok(Connection { router, outbox, peer, number })
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        // A process that was killed, or whose handler has panicked, has not closed the outbox.
        self.outbox.close();
        self.peer.down(self.number);
    }
}

#[cfg(test)]
mod tests;
