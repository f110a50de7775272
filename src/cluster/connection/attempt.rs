//! Attempts to connect: the handshake on a socket, by one process for each attempt.
//!
//! An attempt has a time limit, within which the other node has to send every message. Nothing of a
//! node that has not shown that it knows the cookie is decoded but the messages of the handshake,
//! of which none is longer than 512 bytes.
//!
//! | the process ends | the other node | this node |
//! |---|---|---|
//! | before it has asked the server | sees a closed connection | has noted nothing |
//! | after it has asked the server | sees a closed connection | removes the attempt when the `Down` arrives |
//! | after the last message of the handshake | sees a connection that is lost | notes the connection and its loss |

use std::pin::pin;
use std::sync::Arc;

use futures_util::future::{Either, select};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};

use crate::base::random::identifying_number;
use crate::child::TaskContext;
use crate::cluster::connection::handshakes::Handshake;
use crate::cluster::connection::net_kernel::{NET_KERNEL, NetKernel};
use crate::cluster::connection::requests::{Call, Cast};
use crate::cluster::connection::settings::Settings;
use crate::cluster::error::NodeError;
use crate::cluster::handshake::{
    Acceptor, HandshakeError, Initiator, LONGEST_MESSAGE, Session, Status, acceptor, initiator,
};
use crate::cluster::node_name::NodeName;
use crate::runtime::CallError;
use crate::server::ServerRef;

/// An authenticated connection.
pub(crate) struct Connected {
    pub(crate) stream: TcpStream,
    pub(crate) session: Session,
}

/// Connects to a peer until a deadline. Returns `None` if the attempt failed, which the server then knows.
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
    /// Another attempt is the connection, or the server has ended.
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
    let address = settings.resolver.resolve(peer).await?;
    settings.check_address(address)?;
    let unreachable = |error| NodeError::Unreachable { address, source: Arc::new(error) };
    let mut stream = TcpStream::connect(address).await.map_err(unreachable)?;
    let may = server.call_unlimited(|reply| Call::MaySendName { peer: peer.clone(), reply });
    is_granted(&may.await)?;
    let local = settings.local.clone();
    let (mut states, hello) = Initiator::begin(local, peer.clone(), challenge());
    write(&mut stream, &hello).await?;
    let session = loop {
        match states.message(&read(&mut stream).await?)? {
            initiator::Next::Write(bytes) => write(&mut stream, &bytes).await?,
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
    stream: TcpStream,
    handshake: &Handshake,
) -> Result<Connected, HandshakeError> {
    let server = ctx.runtime().server(NET_KERNEL);
    let accepting = accepted(&server, settings, stream, handshake);
    let accepting = timeout(settings.handshake_limit, accepting);
    match select(pin!(accepting), pin!(handshake.closed())).await {
        Either::Left((accepted, _)) => accepted.unwrap_or(Err(HandshakeError::Late)),
        Either::Right(_) => Err(HandshakeError::TooMany),
    }
}

async fn accepted(
    server: &ServerRef<NetKernel>,
    settings: &Settings,
    mut stream: TcpStream,
    handshake: &Handshake,
) -> Result<Connected, HandshakeError> {
    let mut states = Acceptor::new(settings.local.clone(), challenge());
    let mut peer = None;
    loop {
        match states.message(&read(&mut stream).await?)? {
            acceptor::Next::Write(bytes) => write(&mut stream, &bytes).await?,
            acceptor::Next::Named(name) => {
                handshake.named();
                let status = status(server, &states, &name).await;
                write(&mut stream, &states.decide(*status.as_ref().unwrap_or(&Status::NotAllowed)))
                    .await?;
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
                write(&mut stream, &ack).await?;
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

/// Waits until this attempt is the connection.
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

async fn read(stream: &mut TcpStream) -> Result<Vec<u8>, HandshakeError> {
    let length = stream.read_u16().await.map_err(|_| HandshakeError::Closed)?;
    let length = usize::from(length);
    if length > LONGEST_MESSAGE {
        return Err(HandshakeError::TooLong);
    }
    let mut message = vec![0; length];
    stream.read_exact(&mut message).await.map_err(|_| HandshakeError::Closed)?;
    Ok(message)
}

async fn write(stream: &mut TcpStream, bytes: &[u8]) -> Result<(), HandshakeError> {
    stream.write_all(bytes).await.map_err(|_| HandshakeError::Closed)
}
