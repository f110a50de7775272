//! Attempts to connect: the handshake on a stream of bytes, by one process for each attempt.
//!
//! An attempt has a time limit, within which the other node has to send every message. Until the
//! other node has proved that it knows the cookie, only messages of the handshake are decoded. None
//! of them is longer than 512 bytes.
//!
//! | the process ends | the other node | this node |
//! |---|---|---|
//! | before it has asked the server | sees a closed connection | has noted nothing |
//! | after it has asked the server | sees a closed connection | removes the attempt when the `Down` arrives |
//! | after the last message of the handshake | sees a connection that is lost | notes the connection and its loss |

use std::pin::pin;

use futures_util::future::{Either, select};
use tokio::time::{Instant, timeout, timeout_at};

use crate::base::random::identifying_number;
use crate::child::TaskContext;
use crate::cluster::carrier::{Arrived, Stream};
use crate::cluster::connection::handshake_limit::Handshake;
use crate::cluster::connection::net_kernel::{NET_KERNEL, NetKernel};
use crate::cluster::connection::requests::{Call, Cast};
use crate::cluster::connection::settings::Settings;
use crate::cluster::error::NodeError;
use crate::cluster::handshake::{
    Acceptor, HandshakeError, Initiator, Session, Status, acceptor, initiator,
};
use crate::cluster::node_name::NodeName;
use crate::runtime::CallError;
use crate::server::ServerRef;

/// An authenticated connection.
pub(crate) struct Connected {
    pub(crate) stream: Stream,
    pub(crate) session: Session,
}

/// Connects to a peer until a deadline. Returns `None` if the attempt failed and the server was
/// notified of the failure.
pub(crate) async fn dial(
    ctx: &TaskContext,
    settings: &Settings,
    peer: &NodeName,
    deadline: Instant,
) -> Option<Connected> {
    let server = ctx.runtime().server(NET_KERNEL);
    let dialing = timeout_at(deadline, dialed(&server, settings, peer)).await;
    let late = || Err(Failed::Error(NodeError::TimedOut(settings.handshake_limit)));
    let result = dialing.unwrap_or_else(|_| late());
    match result {
        Ok(connected) => Some(connected),
        Err(Failed::Error(error)) => {
            server.cast(Cast::Failed { peer: peer.clone(), dial: ctx.pid(), error });
            None
        }
        Err(Failed::Superseded) => None,
    }
}

/// Why an attempt ends without a connection.
enum Failed {
    Error(NodeError),
    /// Another attempt has become the connection, or the server has ended.
    Superseded,
}

impl<E: Into<NodeError>> From<E> for Failed {
    fn from(error: E) -> Self {
        Failed::Error(error.into())
    }
}

async fn dialed(
    server: &ServerRef<NetKernel>,
    settings: &Settings,
    peer: &NodeName,
) -> Result<Connected, Failed> {
    let (own, resolver) = (&settings.local.name, &settings.resolver);
    let mut stream = settings.carrier.dial(own, peer, resolver).await?;
    let may = server.call_unlimited(|reply| Call::MaySendName { peer: peer.clone(), reply });
    is_granted(&may.await)?;
    let local = settings.local.clone();
    let (mut states, hello) = Initiator::begin(local, peer.clone(), challenge());
    stream.write_messages(&hello).await?;
    let session = loop {
        match states.message(&stream.read_message().await?)? {
            initiator::Next::Write(bytes) => stream.write_messages(&bytes).await?,
            initiator::Next::Done(session) => break session,
        }
    };
    authenticated(server, peer).await?;
    Ok(Connected { stream, session })
}

/// Runs the handshake of an accepted connection, unless it is closed for another one.
pub(crate) async fn accept(
    ctx: &TaskContext,
    settings: &Settings,
    arrived: Arrived,
    handshake: &Handshake,
) -> Result<Connected, HandshakeError> {
    let server = ctx.runtime().server(NET_KERNEL);
    let accepting = accepted(&server, settings, arrived, handshake);
    let accepting = timeout(settings.handshake_limit, accepting);
    match select(pin!(accepting), pin!(handshake.closed())).await {
        Either::Left((accepted, _)) => accepted.unwrap_or(Err(HandshakeError::Late)),
        Either::Right(_) => Err(HandshakeError::TooMany),
    }
}

async fn accepted(
    server: &ServerRef<NetKernel>,
    settings: &Settings,
    arrived: Arrived,
    handshake: &Handshake,
) -> Result<Connected, HandshakeError> {
    let mut stream = settings.carrier.accept(arrived).await?;
    let mut states = Acceptor::new(settings.local.clone(), challenge());
    let mut peer = None;
    loop {
        match states.message(&stream.read_message().await?)? {
            acceptor::Next::Write(bytes) => stream.write_messages(&bytes).await?,
            acceptor::Next::Named(name) => {
                handshake.named();
                let status = match stream.check_host(&name) {
                    Ok(()) => status(server, &states, &name).await,
                    Err(error) => Err(error),
                };
                let answer = states.decide(*status.as_ref().unwrap_or(&Status::NotAllowed));
                stream.write_messages(&answer).await?;
                if status? == Status::Nok {
                    return Err(HandshakeError::Simultaneous);
                }
                peer = Some(name);
            }
            acceptor::Next::Done(session, ack) => {
                if !handshake.leave() {
                    return Err(HandshakeError::TooMany);
                }
                let name = peer.unwrap_or_else(|| session.peer.clone());
                authenticated(server, &name).await.map_err(|_| HandshakeError::Superseded)?;
                stream.write_messages(&ack).await?;
                return Ok(Connected { stream, session });
            }
        }
    }
}

/// Returns the status for a node that has given its name.
async fn status(
    server: &ServerRef<NetKernel>,
    states: &Acceptor,
    name: &NodeName,
) -> Result<Status, HandshakeError> {
    if let Some(refusal) = states.refusal() {
        return Err(refusal);
    }
    let claim = server.call_unlimited(|reply| Call::Claim { peer: name.clone(), reply });
    claim.await.map_err(|_| HandshakeError::Superseded)
}

/// Waits until the server has made this attempt the connection.
async fn authenticated(server: &ServerRef<NetKernel>, peer: &NodeName) -> Result<(), Failed> {
    let asked = server.call_unlimited(|reply| Call::Authenticated { peer: peer.clone(), reply });
    is_granted(&asked.await)
}

fn is_granted(answer: &Result<bool, CallError>) -> Result<(), Failed> {
    if *answer == Ok(true) { Ok(()) } else { Err(Failed::Superseded) }
}

/// Draws a challenge that a peer can't predict.
fn challenge() -> u32 {
    u32::try_from(identifying_number() & u64::from(u32::MAX)).unwrap_or_default()
}
