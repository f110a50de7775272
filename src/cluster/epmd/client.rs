//! Connections to EPMD: a short one for each question, and one that stays open as long as the node
//! is registered.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::cluster::epmd::codec;

/// The time that EPMD has to answer.
const LIMIT: Duration = Duration::from_secs(5);
/// The maximum length of the answer to a question.
const LONGEST: u64 = 1024;

/// A registration. It ends with the connection: when it is dropped, and when EPMD ends.
#[derive(Debug)]
pub(crate) struct Registration(TcpStream);

impl Registration {
    /// Waits until EPMD closes the connection.
    pub(crate) async fn lost(&mut self) {
        let mut ignored = [0; 64];
        while matches!(self.0.read(&mut ignored).await, Ok(1..)) {}
    }
}

/// Registers a hidden node with this name and port.
pub(crate) async fn register(epmd: SocketAddr, alive: &str, port: u16) -> io::Result<Registration> {
    let registering = async {
        let mut stream = TcpStream::connect(epmd).await?;
        stream.write_all(&codec::register(alive, port)).await?;
        let mut reply = [0; codec::REGISTERED_LENGTH];
        stream.read_exact(&mut reply).await?;
        // The creation of EPMD is not used: that of a node is drawn when its specification is made.
        let mut creation = vec![0; codec::registered(reply)?];
        stream.read_exact(&mut creation).await?;
        Ok(Registration(stream))
    };
    within(registering).await
}

/// Returns the port of a node; `None` if EPMD doesn't know the node.
pub(crate) async fn look_up(epmd: SocketAddr, alive: &str) -> io::Result<Option<u16>> {
    let asking = async {
        let mut stream = TcpStream::connect(epmd).await?;
        stream.write_all(&codec::look_up(alive)).await?;
        let mut reply = Vec::new();
        stream.take(LONGEST).read_to_end(&mut reply).await?;
        codec::looked_up(&reply)
    };
    within(asking).await
}

async fn within<T>(asking: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    let late = |_| io::Error::new(io::ErrorKind::TimedOut, format!("no answer within {LIMIT:?}"));
    timeout(LIMIT, asking).await.map_err(late)?
}
