//! What a hostile peer costs in memory: its connection, and no more than the limits of the node.
//!
//! This file is a program of its own, because its allocator counts the allocations of the whole
//! program.
#![cfg(feature = "cluster")]

use std::time::Duration;

use peak_alloc::PeakAlloc;
use regrow::cluster::{Cookie, Node, Resolver};
use regrow::{Runtime, Supervisor, SupervisorRef};

#[path = "cluster/fake.rs"]
#[allow(dead_code)] // the other program uses all of it
mod fake;

mod beam {
    pub(crate) const COOKIE: &str = "memory";
}

use fake::Fake;

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

const MIB: usize = 1 << 20;
const MAX_FRAME: usize = 4 * MIB;

/// Runs an attack. Returns the bytes that the program had at its peak above those before.
async fn peak(attack: impl Future<Output = ()>) -> usize {
    let before = ALLOCATOR.current_usage();
    ALLOCATOR.reset_peak_usage();
    attack.await;
    ALLOCATOR.peak_usage().saturating_sub(before)
}

async fn start() -> (Runtime, SupervisorRef, std::net::SocketAddr) {
    start_with(|node| node).await
}

async fn start_with(
    set: impl FnOnce(Node) -> Node,
) -> (Runtime, SupervisorRef, std::net::SocketAddr) {
    let node = Node::new("a@127.0.0.1")
        .cookie(Cookie::new(beam::COOKIE))
        .resolver(Resolver::without_epmd())
        .max_frame(MAX_FRAME)
        .handshake_timeout(Duration::from_secs(3_600));
    let node = set(node);
    let (rt, address) = (Runtime::new(), node.address());
    let tree = Supervisor::one_for_one().child(node).start(&rt).await.unwrap();
    (rt, tree, address.get().unwrap())
}

/// Sends these bytes as a node that knows the cookie, and waits for the end of the connection.
async fn attack(address: std::net::SocketAddr, bytes: &[u8]) -> usize {
    let (mut peer, _) = Fake::join(address, "bad@reader").await;
    peak(async {
        peer.write(bytes).await;
        peer.closed().await;
    })
    .await
}

fn framed(body: &[u8]) -> Vec<u8> {
    [&u32::try_from(body.len()).unwrap().to_be_bytes()[..], body].concat()
}

/// Returns the bytes that a connection keeps after a frame of `length`. The next long frame uses them
/// again, and the second quiet interval of ticks frees them.
async fn kept_after_a_long_frame(length: usize) -> usize {
    let (_rt, _tree, address) = start_with(|node| node.tick_time(Duration::from_secs(4))).await;
    let (mut peer, _) = Fake::join(address, "long@reader").await;
    peer.ask().await;
    assert!(peer.is_answered().await);
    let before = ALLOCATOR.current_usage();
    {
        // A message for a name that no process has: `{6, Pid, '', nothing}` and a binary.
        let pid = [&b"\x58\x77\x0blong@reader"[..], &[0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 9]].concat();
        let control = [b"\x70\x83\x68\x04\x61\x06", &pid[..], b"\x77\x00\x77\x07nothing"].concat();
        let size = u32::try_from(length).unwrap().to_be_bytes();
        let payload = [b"\x83\x6d", &size[..], &vec![7; length]].concat();
        for _ in 0..3 {
            peer.frame(&[&control[..], &payload].concat()).await;
        }
    }
    peer.ask().await;
    assert!(peer.is_answered().await);
    let kept = ALLOCATOR.current_usage().saturating_sub(before);
    let freed = async {
        while ALLOCATOR.current_usage() > before + MIB / 4 {
            peer.next_tick().await;
            peer.frame(b"").await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), freed).await.expect("the memory is freed");
    peer.ask().await;
    assert!(peer.is_answered().await, "the connection has ended");
    kept
}

/// One test, because nothing else may allocate meanwhile.
#[tokio::test]
#[expect(clippy::too_many_lines, reason = "one attack after the other")]
async fn a08_a_hostile_peer_costs_no_more_memory_than_the_limits() {
    let (rt, _tree, address) = start().await;

    // A frame of 4 GiB is refused by its length. One of the maximum that doesn't arrive costs what has
    // arrived.
    let peak_of_length = attack(address, &[0xff; 4]).await;
    assert!(peak_of_length < MIB / 4, "{peak_of_length}");
    let (mut waiting, _) = Fake::join(address, "slow@reader").await;
    let announced = u32::try_from(MAX_FRAME).unwrap().to_be_bytes();
    let peak_of_announced = peak(async {
        waiting.write(&announced).await;
        let (mut other, _) = Fake::join(address, "good@reader").await;
        other.ask().await;
        assert!(other.is_answered().await);
    })
    .await;
    assert!(peak_of_announced < MIB / 4, "{peak_of_announced}");
    drop(waiting);

    // Seven bytes that announce a list of 2^32 - 1 elements, and a million of tuples within each other.
    let list = framed(b"\x70\x83\x6c\xff\xff\xff\xff");
    let peak_of_list = attack(address, &list).await;
    assert!(peak_of_list < MIB / 4, "{peak_of_list}");
    let deep = [&b"\x70\x83\x68\x02\x61\x06"[..], &b"\x68\x01".repeat(1_000_000)].concat();
    let deep = framed(&deep);
    let peak_of_depth = attack(address, &deep).await;
    // The buffer grows by doubling, so up to three times the frame.
    assert!(peak_of_depth < 3 * deep.len() + MIB / 4, "{peak_of_depth}");

    // Twenty times as many handshakes as may be under way, each with a name of its own.
    let mut flood = Vec::new();
    let peak_of_flood = peak(async {
        for number in 0..2_560 {
            let mut peer = Fake::connect(address).await;
            peer.introduce(&format!("node{number}@reader")).await;
            flood.push(peer);
            if flood.len() == 256 {
                flood.clear();
            }
        }
    })
    .await;
    assert!(peak_of_flood < 4 * MIB, "{peak_of_flood}");
    drop(flood);

    // Ten thousand monitors of a name, and removals of them: what ended is not kept.
    let (mut peer, _) = Fake::join(address, "busy@reader").await;
    let mut frames = Vec::new();
    for number in 0..10_000_u32 {
        let pid = [&b"\x58\x77\x0bbusy@reader"[..], &[0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 9]].concat();
        let reference =
            [&b"\x5a\x00\x01\x77\x0bbusy@reader\x00\x00\x00\x09"[..], &number.to_be_bytes()];
        for operation in [19, 20] {
            let name = b"\x77\x0anet_kernel";
            let control =
                [&[0x70, 0x83, 0x68, 4, 97, operation], &pid[..], name, &reference.concat()];
            frames.extend(framed(&control.concat()));
        }
    }
    let peak_of_monitors = peak(async {
        for part in frames.chunks(64 * 1024) {
            peer.write(part).await;
        }
        peer.ask().await;
        assert!(peer.is_answered().await);
    })
    .await;
    assert!(peak_of_monitors < MIB, "{peak_of_monitors}");

    // Three frames of 3 MiB: the memory of one is kept.
    let kept = kept_after_a_long_frame(3 * MIB).await;
    assert!((3 * MIB..2 * MAX_FRAME).contains(&kept), "{kept}");
    println!(
        "peaks in bytes: length {peak_of_length}, announced {peak_of_announced}, list {peak_of_list}, \
         depth {peak_of_depth} for {} bytes, flood {peak_of_flood}, monitors {peak_of_monitors}, \
         kept {kept}",
        deep.len()
    );
    assert!(rt.whereis("net_kernel").is_some());
}
