//! Peers that break the protocol. Each loses its own connection, and nothing else happens.

use std::time::Duration;

use regrow::cluster::{DecodeErrorKind, Term};
use regrow::{NodeChange, Received};
use tokio::io::AsyncWriteExt;

use crate::fake::{Fake, is_auth};
use crate::log::Log;
use crate::pairs::{Running, node, start};

/// Checks that a node works: a peer joins it and gets an answer.
pub(super) async fn assert_works(a: &Running) {
    let (mut peer, _) = Fake::join(a.address, "good@reader").await;
    peer.ask().await;
    assert!(peer.is_answered().await);
}

/// A sequence of bytes that depends on the seed only.
pub(super) fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        u8::try_from(state >> 56).unwrap()
    };
    (0..length).map(|_| next()).collect()
}

#[tokio::test]
async fn a08_handshakes_of_noise_are_closed() {
    let a = start(node("a@127.0.0.1")).await;
    for seed in 0..200 {
        let mut peer = Fake::connect(a.address).await;
        peer.write(&noise(seed, 64)).await;
        // The end of the noise is the end of the connection, whatever length it announces.
        peer.stream.shutdown().await.ok();
        peer.closed().await;
    }
    let announced = [&b"\xff\xff"[..], b"\x02\x01", b"\x00\x00", b"\x00\x03n\x00\x05"];
    for bytes in announced {
        let mut peer = Fake::connect(a.address).await;
        peer.write(bytes).await;
        peer.closed().await;
    }
    assert!(a.rt.connected_nodes().await.is_empty());
    assert_works(&a).await;
}

/// What may stand in a frame, and a part of the reason for the loss of its connection.
fn frames_that_mean_nothing() -> Vec<(Vec<u8>, &'static str)> {
    let control = |argument: &[u8]| [&b"\x70\x83\x68\x02\x61\x06"[..], argument].concat();
    vec![
        // A list of 4,294,967,295 elements, as the whole message and as an argument.
        (b"\x70\x83\x6c\xff\xff\xff\xff".to_vec(), "end within a term"),
        (control(b"\x6c\xff\xff\xff\xff"), "end within a term"),
        // A million of tuples within each other, of which the first MiB is read.
        (control(&b"\x68\x01".repeat(1_000_000)), "end within a term"),
        (b"\x70\x83\x68\x01\x61\x63".to_vec(), "unknown operation: 99"),
        (noise(1, 500), "another kind"),
        (b"\x83".to_vec(), "another kind"),
        (b"\x44\x00".to_vec(), "another kind"),
        (b"\x70".to_vec(), "end within a term"),
    ]
}

/// Each frame ends its connection, with the reason in the log, and nothing else.
#[tokio::test]
async fn a08_frames_that_mean_nothing_end_their_connection() {
    let mut a = start(node("a@127.0.0.1").max_frame(8 << 20)).await;
    let (server, (bystander, _)) =
        (a.rt.whereis("net_kernel"), Fake::join(a.address, "by@reader").await);
    a.expect("by@reader", &[NodeChange::Up]).await;
    let log = Log::listen();
    for (frame, reason) in frames_that_mean_nothing() {
        let (mut peer, _) = Fake::join(a.address, "bad@reader").await;
        peer.frame(&frame).await;
        peer.closed().await;
        a.expect("bad@reader", &[NodeChange::Up, NodeChange::Down]).await;
        let lines = log.take();
        let lost = lines.iter().find(|line| line.message == "connection lost").unwrap();
        assert!(lost.field("end").contains(reason), "{reason}: {lost:?}");
    }
    for seed in 0..50 {
        let (mut peer, _) = Fake::join(a.address, "bad@reader").await;
        peer.frame(&[&b"\x70\x83\x68\x04\x61\x06"[..], &noise(seed, 200)].concat()).await;
        peer.closed().await;
        a.expect("bad@reader", &[NodeChange::Up, NodeChange::Down]).await;
    }
    assert_eq!(a.rt.whereis("net_kernel"), server);
    assert_eq!(a.rt.connected_nodes().await, ["by@reader"]);
    drop(bystander);
    assert_works(&a).await;
}

/// The peer closes the connection within a frame: in its length, and at each of its first bytes.
#[tokio::test]
async fn a08_truncated_frames_end_their_connection() {
    let mut a = start(node("a@127.0.0.1")).await;
    let body = is_auth();
    let length = u32::try_from(body.len()).unwrap().to_be_bytes();
    let frame = [&length[..], &body].concat();
    for end in 1..frame.len() {
        let (mut peer, _) = Fake::join(a.address, "bad@reader").await;
        peer.write(&frame[..end]).await;
        drop(peer);
        a.expect("bad@reader", &[NodeChange::Up, NodeChange::Down]).await;
    }
    assert_works(&a).await;
}

/// What a process makes of the bytes of a message is no matter of the connection.
#[tokio::test]
async fn a08_a_message_that_its_receiver_can_not_decode_costs_no_connection() {
    let a = start(node("a@127.0.0.1")).await;
    let (sender, mut received) = tokio::sync::mpsc::unbounded_channel();
    let probe = a.rt.spawn(|mut ctx| async move {
        while let Received::Term(term) = ctx.recv().await {
            let _ = sender.send(term.term().map_err(|error| error.kind().clone()));
        }
    });
    assert!(a.rt.register("kv", probe.pid()));
    let (mut peer, _) = Fake::join(a.address, "good@reader").await;
    let mut send = async |name: &[u8], payload: &[u8]| {
        let control = [&b"\x70\x83\x68\x04\x61\x06\x6a\x77\x00\x77"[..], name].concat();
        peer.frame(&[&control, payload].concat()).await;
    };
    // `1 bsl 40000` is an integer of 5,001 bytes.
    let large = [&b"\x83\x6f\x00\x00\x13\x89\x00"[..], &[0; 5_000], &[1]].concat();
    send(b"\x02kv", &large).await;
    send(b"\x02kv", b"\x83\x6a\x6a").await;
    send(b"\x02kv", b"nonsense").await;
    send(b"\x0anet_kernel", &large).await;
    send(b"\x0anet_kernel", b"nonsense").await;
    send(b"\x02kv", b"\x83\x61\x2a").await;
    let expected = [
        DecodeErrorKind::IntegerTooLarge,
        DecodeErrorKind::TrailingBytes,
        DecodeErrorKind::UnknownVersion,
    ];
    for kind in expected {
        assert_eq!(received.recv().await.unwrap(), Err(kind));
    }
    assert_eq!(received.recv().await.unwrap(), Ok(Term::from(42)));
    peer.ask().await;
    assert!(peer.is_answered().await);
}

#[tokio::test]
async fn a08_a_frame_beyond_the_maximum_ends_the_connection_before_it_is_read() {
    let mut a = start(node("a@127.0.0.1").max_frame(1 << 20)).await;
    for length in [u32::MAX, (1 << 20) + 1] {
        let (mut peer, _) = Fake::join(a.address, "bad@reader").await;
        peer.write(&length.to_be_bytes()).await;
        peer.closed().await;
        a.expect("bad@reader", &[NodeChange::Up, NodeChange::Down]).await;
    }
    assert_works(&a).await;
}

/// The first peer asks without an end and never reads. Its bound is soon reached, because the buffers
/// of the operating system are bounded as well.
#[tokio::test]
async fn a08_a_peer_that_never_reads_loses_its_connection_and_delays_no_other() {
    let mut a = start(node("a@127.0.0.1").send_buffer(100_000)).await;
    let (mut greedy, _) = Fake::join(a.address, "greedy@reader").await;
    let body = is_auth();
    let length = u32::try_from(body.len()).unwrap().to_be_bytes();
    let batch = [&length[..], &body].concat().repeat(1_000);
    let (mut other, _) = Fake::join(a.address, "other@reader").await;
    while greedy.stream.write_all(&batch).await.is_ok() {
        other.ask().await;
        assert!(other.is_answered().await);
    }
    let mut changes = Vec::new();
    while changes.last() != Some(&("greedy@reader".to_owned(), NodeChange::Down)) {
        changes.push(a.change().await);
    }
    assert_works(&a).await;
}

#[tokio::test]
async fn a_silent_peer_is_lost_after_its_tick_time() {
    let mut a = start(node("a@127.0.0.1").tick_time(Duration::from_millis(200))).await;
    let (mut silent, _) = Fake::join(a.address, "silent@reader").await;
    a.expect("silent@reader", &[NodeChange::Up, NodeChange::Down]).await;
    silent.closed().await;
}
