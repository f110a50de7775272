//! An own EPMD: a child that answers at the port of EPMD, unless another program does.
//!
//! A registration lasts as long as its connection. At most [`MOST`] connections are open; a further one
//! closes the oldest that has not registered or, if all have, waits in the backlog of the operating
//! system. A client has [`LIMIT`] for its request, which has at
//! most [`LONGEST`] bytes. Only programs of this machine may register; no request stops the child.
//!
//! | what happens | what follows |
//! |---|---|
//! | another program has the port at the start | it is used, the log says so, and the port is tried again each second |
//! | that program ends | this child takes the port; each node registers again, this one within a second |
//! | the client ends before the reply to its registration | the name is free again |
//! | this child ends | its connections are closed, and all its names are free |

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::StreamExt;
use futures_util::future::{Either, select};
use futures_util::stream::FuturesUnordered;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{sleep, timeout};

use crate::base::ignore_panic;
use crate::child::{StartChild, StartContext, Started, TaskContext};
use crate::cluster::epmd::clients::{Asking, Clients};
use crate::cluster::epmd::names::{Held, Names};
use crate::cluster::epmd::requests::{Request, registration};
use crate::exit::{ExitReason, Result};
use crate::runtime::StartError;

/// The maximum number of open connections.
const MOST: usize = 1_024;
/// The time that a client has for its request.
const LIMIT: Duration = Duration::from_secs(5);
/// The maximum length of a request.
const LONGEST: usize = 4_096;
/// The pause before the port is tried again, and after an error of `accept`.
const PAUSE: Duration = Duration::from_secs(1);

/// The start of the child.
pub(crate) struct ResponderStart(pub(crate) SocketAddr);

#[async_trait]
impl StartChild for ResponderStart {
    async fn start(&self, ctx: &mut StartContext) -> Result<Started, StartError> {
        let address = self.0;
        let bound = bind(address).await.map_err(|error| {
            let text = format!("an own EPMD can't listen at {address}: {error}");
            StartError::Failed(ExitReason::from_library(io::Error::new(error.kind(), text)))
        });
        let mut bound = bound?;
        ctx.task(async move |_: TaskContext| {
            log(address, bound.is_some());
            loop {
                if let Some(listener) = bound {
                    serve(&listener, MOST, &Names::default()).await;
                }
                sleep(PAUSE).await;
                bound = bind(address).await.unwrap_or_default();
                if bound.is_some() {
                    log(address, true);
                }
            }
        })
        .await
    }
}

/// Logs which program has the port.
fn log(address: SocketAddr, is_own: bool) {
    ignore_panic(|| {
        if is_own {
            tracing::info!(target: "regrow::cluster", %address, "answers as EPMD");
        } else {
            tracing::info!(target: "regrow::cluster", %address, "uses the EPMD of another program");
        }
    });
}

/// Opens the port; `None` if another program has it.
async fn bind(address: SocketAddr) -> io::Result<Option<TcpListener>> {
    match TcpListener::bind(address).await {
        Ok(listener) => Ok(Some(listener)),
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => Ok(None),
        Err(error) => Err(error),
    }
}

/// Answers all clients, at most this many at once. One more is open until the oldest is closed.
async fn serve(listener: &TcpListener, most: usize, names: &Names) {
    let port = listener.local_addr().map_or(0, |address| address.port());
    let clients = Clients::default();
    let mut open = FuturesUnordered::new();
    loop {
        if open.len() > most || open.len() == most && clients.is_empty() {
            open.next().await;
            continue;
        }
        let ended = async {
            if open.next().await.is_none() {
                std::future::pending().await
            }
        };
        // An accept that is dropped has accepted nothing.
        let accepted = match select(pin!(listener.accept()), pin!(ended)).await {
            Either::Left((accepted, _)) => accepted,
            Either::Right(_) => continue,
        };
        match accepted {
            Ok((stream, peer)) => {
                if open.len() == most {
                    clients.close_oldest();
                }
                open.push(client(stream, (peer.ip(), port), clients.begin(), names));
            }
            // A lack of files, or a client that has ended already.
            Err(_) => sleep(PAUSE).await,
        }
    }
}

/// Serves a client. A node stays registered until it closes the connection.
async fn client(
    mut stream: TcpStream,
    (peer, port): (IpAddr, u16),
    asking: Asking<'_>,
    names: &Names,
) {
    let answer = timeout(LIMIT, answer(&mut stream, peer, port, names));
    let answered = match select(pin!(asking.closed()), pin!(answer)).await {
        Either::Left(_) => return,
        Either::Right((answered, _)) => answered,
    };
    drop(asking);
    if let Ok(Ok(Some(held))) = answered {
        // A node sends nothing more.
        let _ = stream.read(&mut [0]).await;
        drop(held);
    }
}

/// Answers the request of a client. Returns the name that it has registered.
async fn answer(
    stream: &mut TcpStream,
    peer: IpAddr,
    port: u16,
    names: &Names,
) -> io::Result<Option<Held>> {
    let length = usize::from(stream.read_u16().await?);
    if length > LONGEST {
        return Ok(None);
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await?;
    let (reply, held) = match Request::decode(&body) {
        None => return Ok(None),
        Some(Request::LookUp(name)) => (names.find(&name), None),
        Some(Request::Names) => (names.all(port), None),
        Some(Request::Register(node)) => {
            let is_local = peer.to_canonical().is_loopback();
            let registered = names.register(&node).filter(|_| is_local);
            let creation = registered.as_ref().map(|(_, creation)| *creation);
            (registration(&node, creation), registered.map(|(held, _)| held))
        }
    };
    stream.write_all(&reply).await?;
    Ok(held)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};
    use tokio::time::timeout;

    use super::{Names, serve};

    #[tokio::test]
    async fn the_oldest_client_that_has_not_registered_is_closed_for_another_one() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { serve(&listener, 3, &Names::default()).await });
        let mut registered = TcpStream::connect(address).await.unwrap();
        let request = b"\x00\x0e\x78\x12\x34H\x00\x00\x06\x00\x06\x00\x01q\x00\x00";
        registered.write_all(request).await.unwrap();
        assert_eq!(registered.read_u8().await.unwrap(), 118);
        let mut silent = [const { None }; 2];
        for silent in &mut silent {
            *silent = Some(TcpStream::connect(address).await.unwrap());
        }
        let mut next = TcpStream::connect(address).await.unwrap();
        next.write_all(b"\x00\x02zq").await.unwrap();
        assert_eq!(next.read_u16().await.unwrap(), 0x7700);
        let first = silent[0].as_mut().unwrap();
        // Without another client, it would be open for five seconds.
        let closed = timeout(Duration::from_secs(3), first.read(&mut [0])).await;
        assert_eq!(closed.expect("it is closed").unwrap(), 0);
    }
}
