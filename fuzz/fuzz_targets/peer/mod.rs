//! A node with an exposed server and a function, and a peer made of a raw socket. Both run on this
//! thread, so a run depends on its input only.

#![allow(dead_code)] // no target uses all of it

use std::net::SocketAddr;
use std::time::Duration;

use md5::{Digest, Md5};
use regrow::cluster::{Cookie, Node, Resolver};
use regrow::{GenServer, Name, Reply, Result, Runtime, ServerContext, Supervisor};
use serde::Deserialize;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Runtime as Tokio};

const COOKIE: &str = "fuzz";
/// The flags that OTP 26 and later require.
pub const FLAGS: u64 = 0x4_0307_0f94;

const KV: Name<Kv> = Name::new("kv");

#[derive(Deserialize)]
pub enum Call {
    Get { key: String, reply: Reply<Option<String>> },
    Put(Vec<String>, Reply<()>),
}

pub struct Kv;

impl GenServer for Kv {
    type Args = ();
    type Call = Call;
    type Cast = (String, i64);

    async fn init((): (), _: &mut ServerContext<Self>) -> Result<Self> {
        Ok(Kv)
    }

    async fn handle_call(&mut self, call: Call, _: &mut ServerContext<Self>) -> Result {
        match call {
            Call::Get { key, reply } => reply.send(Some(key)),
            Call::Put(_, reply) => reply.send(()),
        }
        Ok(())
    }

    async fn handle_cast(&mut self, _: (String, i64), _: &mut ServerContext<Self>) -> Result {
        Ok(())
    }
}

/// The node, which runs for the whole program.
pub struct World {
    pub tokio: Tokio,
    pub runtime: Runtime,
    pub address: SocketAddr,
    /// The address of the node `z@h`, which the node dials.
    pub dialed: TcpListener,
    pub peer: Option<TcpStream>,
}

impl World {
    /// Starts the node with this time limit of a handshake.
    pub fn start(limit: Duration) -> World {
        let tokio = Builder::new_current_thread().enable_all().build().expect("tokio starts");
        let (runtime, address, dialed) = tokio.block_on(async {
            let dialed = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
            let at = dialed.local_addr().expect("it is bound");
            let length = async |(text, _): (String, u8)| text.len();
            let node = Node::new("a@127.0.0.1")
                .cookie(Cookie::new(COOKIE))
                .resolver(Resolver::without_epmd().node("z@h", at))
                .handshake_timeout(limit)
                .expose(KV)
                .function("shop", "length", length)
                .groups("pg");
            let (runtime, address) = (Runtime::new(), node.address());
            let tree = Supervisor::rest_for_one().child(Kv::child(()).named(KV)).child(node);
            std::mem::forget(tree.start(&runtime).await.expect("the node starts"));
            (runtime, address.get().expect("it listens"), dialed)
        });
        World { tokio, runtime, address, dialed, peer: None }
    }

    /// Connects. The end of the socket leaves no port that waits.
    pub async fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).await.expect("the node accepts");
        stream.set_zero_linger().expect("an option of sockets");
        stream
    }

    /// Connects as a node that knows the cookie.
    pub async fn join(&self) -> TcpStream {
        let mut stream = self.connect().await;
        let challenge = introduce(&mut stream).await.expect("a challenge");
        let answer = digest(challenge);
        write(&mut stream, &[&b"\x00\x15r\x00\x00\x00\x07"[..], &answer].concat()).await;
        message(&mut stream).await.expect("it is authenticated");
        stream
    }

    pub fn assert_alive(&self) {
        assert!(
            self.runtime.whereis("net_kernel").is_some() && self.runtime.whereis("kv").is_some()
        );
    }
}

/// Sends the name `f@h`, and returns the challenge.
pub async fn introduce(stream: &mut TcpStream) -> Option<u32> {
    let flags = FLAGS.to_be_bytes();
    write(stream, &[&b"\x00\x12N"[..], &flags, b"\x00\x00\x00\x09\x00\x03f@h"].concat()).await;
    if message(stream).await? == b"salive" {
        write(stream, b"\x00\x05strue").await;
    }
    let challenge = message(stream).await?;
    Some(u32::from_be_bytes(challenge.get(9..13)?.try_into().ok()?))
}

pub fn digest(challenge: u32) -> [u8; 16] {
    Md5::digest(format!("{COOKIE}{challenge}")).into()
}

/// Writes bytes; the node may have closed the connection.
pub async fn write(stream: &mut TcpStream, bytes: &[u8]) {
    let _ = stream.write_all(bytes).await;
}

async fn message(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let length = stream.read_u16().await.ok()?;
    read(stream, length.into()).await
}

/// Reads the next frame; `None` at the end of the connection.
pub async fn frame(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let length = stream.read_u32().await.ok()?;
    read(stream, length as usize).await
}

async fn read(stream: &mut TcpStream, length: usize) -> Option<Vec<u8>> {
    let mut bytes = vec![0; length];
    stream.read_exact(&mut bytes).await.ok()?;
    Some(bytes)
}
