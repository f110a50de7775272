//! What a program without the cookie sends to a node, and what a node that it dials answers. The
//! first byte says which part of the handshake comes before the others.
#![no_main]

mod peer;

use std::cell::RefCell;
use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use peer::{World, introduce, write};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

// A dial that is refused for the peer's own attempt waits for that attempt until its time limit.
thread_local! {
    static WORLD: RefCell<World> = RefCell::new(World::start(Duration::from_millis(50)));
}

/// Sends the bytes and their end, and waits until the node has closed the connection.
async fn send(mut stream: TcpStream, bytes: &[u8]) {
    write(&mut stream, bytes).await;
    let _ = stream.shutdown().await;
    let mut rest = Vec::new();
    let _ = stream.read_to_end(&mut rest).await;
}

fuzz_target!(|bytes: &[u8]| {
    let Some((first, bytes)) = bytes.split_first() else { return };
    WORLD.with_borrow_mut(|world| {
        world.tokio.block_on(async {
            match first % 3 {
                0 => send(world.connect().await, bytes).await,
                1 => {
                    let mut stream = world.connect().await;
                    if introduce(&mut stream).await.is_some() {
                        send(stream, bytes).await;
                    }
                }
                _ => {
                    let there = world.runtime.node("z@h");
                    let answer = async {
                        let (stream, _) = world.dialed.accept().await.expect("it is dialed");
                        stream.set_zero_linger().expect("an option of sockets");
                        send(stream, bytes).await;
                    };
                    let (result, ()) = tokio::join!(there.connect(), answer);
                    assert!(result.is_err(), "a node without the cookie was accepted");
                }
            }
            assert!(world.runtime.connected_nodes().await.is_empty());
        });
        world.assert_alive();
    });
});
