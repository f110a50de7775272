//! The inputs that fuzzing has found interesting are tested again: terms, handshakes, and frames.

use std::path::Path;
use std::time::Duration;

use regrow::cluster::Resolver;
use regrow::{GenServer, Supervisor};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;

use crate::fake::Fake;
use crate::hostile_bytes::decode_in_all_ways;
use crate::kv::{KV, Kv};
use crate::pairs::{node, start};

/// Returns the inputs of a target.
fn inputs(target: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    let files = folder.read_dir().expect("there is a corpus").flatten();
    let inputs: Vec<_> =
        files.map(|file| std::fs::read(file.path()).expect("the file can be read")).collect();
    assert!(inputs.len() > 5, "{target}: {}", inputs.len());
    inputs
}

#[test]
fn the_inputs_of_the_fuzzer_cause_no_panic() {
    for target in ["terms", "values", "frames", "handshake"] {
        inputs(target).iter().for_each(|input| decode_in_all_ways(input));
    }
}

/// Each is the body of a frame, from a node that knows the cookie.
#[tokio::test]
async fn the_frames_of_the_fuzzer_stop_no_node() {
    let length = async |(text, _): (String, u8)| text.len();
    let own = node("a@127.0.0.1").expose(KV).function("shop", "length", length).groups("pg");
    let a = start(own).await;
    let _tree =
        Supervisor::one_for_one().child(Kv::child(()).named(KV)).start(&a.rt).await.unwrap();
    let servers = ["net_kernel", "kv", "pg"].map(|name| a.rt.whereis(name));
    for body in inputs("frames") {
        let (mut peer, _) = Fake::join(a.address, "f@h").await;
        peer.frame(&body).await;
        peer.ask().await;
        peer.is_answered().await;
    }
    assert_eq!(["net_kernel", "kv", "pg"].map(|name| a.rt.whereis(name)), servers);
}

/// The first byte says what comes before the others: nothing, the name of the peer, or that the node
/// dials the peer.
#[tokio::test]
async fn the_handshakes_of_the_fuzzer_let_no_peer_in() {
    let dialed = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let resolver = Resolver::without_epmd().node("z@h", dialed.local_addr().unwrap());
    // A dial that is refused for the peer's own attempt waits for that attempt until its time limit.
    let limit = Duration::from_millis(500);
    let a = start(node("a@127.0.0.1").resolver(resolver).handshake_timeout(limit)).await;
    for input in inputs("handshake") {
        let Some((first, bytes)) = input.split_first() else { continue };
        let answer = async |mut peer: Fake| {
            peer.write(bytes).await;
            peer.stream.shutdown().await.ok();
            peer.closed().await;
        };
        match first % 3 {
            0 => answer(Fake::connect(a.address).await).await,
            1 => {
                let mut peer = Fake::connect(a.address).await;
                peer.introduce("f@h").await;
                answer(peer).await;
            }
            _ => {
                let there = a.rt.node("z@h");
                let accepted = async {
                    let (stream, _) = dialed.accept().await.unwrap();
                    answer(Fake { stream }).await;
                };
                let (result, ()) = tokio::join!(there.connect(), accepted);
                assert!(result.is_err());
            }
        }
        assert!(a.rt.connected_nodes().await.is_empty());
    }
}
