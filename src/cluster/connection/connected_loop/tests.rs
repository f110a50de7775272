//! A connection that is up, without a handshake.

use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{
    AsyncRead, AsyncReadExt, AsyncWriteExt, BufWriter, DuplexStream, ReadBuf, duplex, split,
};
use tokio::task::{JoinHandle, yield_now};
use tokio::time::{Instant, sleep};

use super::{Limits, run};
use crate::cluster::wire::{ConnectionLost, Outbox};

/// Runs a connection. Returns its result, its queue, and the peer's side of it.
fn connection() -> (JoinHandle<ConnectionLost>, Outbox, DuplexStream) {
    let (own, peer) = duplex(64);
    let outbox = Outbox::new(1_000);
    let limits = Limits { tick_time: Duration::from_secs(60), longest_frame: 1_000 };
    let queue = outbox.clone();
    let handle = |body: &[u8]| match body {
        b"bad" => Err(ConnectionLost::UnknownOperation(99)),
        _ => Ok(()),
    };
    let (reader, writer) = split(own);
    // Keeps bytes until it is flushed, as TLS may.
    let writer = BufWriter::new(writer);
    let running = tokio::spawn(async move { run(reader, writer, &queue, limits, handle).await });
    (running, outbox, peer)
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_sends_ticks_and_is_lost_after_the_tick_time() {
    let (begun, (lost, _, mut peer)) = (Instant::now(), connection());
    let mut ticks = Vec::new();
    peer.read_to_end(&mut ticks).await.unwrap();
    assert_eq!(lost.await.unwrap(), ConnectionLost::Silent);
    assert_eq!((ticks, begun.elapsed()), (vec![0; 12], Duration::from_secs(60)));
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_ticks_is_not_lost() {
    let (lost, _, peer) = connection();
    let (mut reader, mut writer) = split(peer);
    let reading = tokio::spawn(async move { reader.read_to_end(&mut Vec::new()).await });
    for _ in 0..100 {
        sleep(Duration::from_secs(44)).await;
        writer.write_all(&[0; 4]).await.unwrap();
    }
    assert!(!lost.is_finished());
    writer.shutdown().await.unwrap();
    assert_eq!(lost.await.unwrap(), ConnectionLost::Closed);
    reading.await.unwrap().unwrap();
}

/// The parts of one frame arrive in the time of many ticks.
#[tokio::test(start_paused = true)]
async fn a_slow_frame_shows_that_the_peer_lives() {
    let (lost, _, peer) = connection();
    let (mut reader, mut peer) = split(peer);
    // The peer reads the ticks of this node.
    tokio::spawn(async move { reader.read_to_end(&mut Vec::new()).await });
    peer.write_all(&[0, 0, 0, 20]).await.unwrap();
    for _ in 0..20 {
        sleep(Duration::from_secs(44)).await;
        peer.write_all(&[1]).await.unwrap();
    }
    assert!(!lost.is_finished());
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_ticks_and_does_not_read_is_lost() {
    let begun = Instant::now();
    let (lost, outbox, mut peer) = connection();
    assert!(outbox.push(|frame| frame.extend([1; 500])));
    while !lost.is_finished() {
        sleep(Duration::from_secs(10)).await;
        let _ = peer.write_all(&[0; 4]).await;
    }
    assert_eq!(lost.await.unwrap(), ConnectionLost::Stalled);
    assert!(begun.elapsed() <= Duration::from_secs(90), "{:?}", begun.elapsed());
    assert!(!outbox.push(|_| {}));
}

/// Input without an end, of one frame that is never complete.
struct Flood;

impl AsyncRead for Flood {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        let budget = pin!(tokio::task::consume_budget());
        std::task::ready!(budget.poll(cx));
        buffer.initialize_unfilled_to(1)[0] = 0x10;
        buffer.advance(1);
        Poll::Ready(Ok(()))
    }
}

#[tokio::test]
async fn input_without_an_end_delays_neither_output_nor_ticks() {
    let (own, mut peer) = duplex(64);
    let outbox = Outbox::new(1_000);
    let limits = Limits { tick_time: Duration::from_secs(60), longest_frame: usize::MAX };
    let queue = outbox.clone();
    let running = tokio::spawn(async move { run(Flood, own, &queue, limits, |_| Ok(())).await });
    yield_now().await;
    for _ in 0..10 {
        assert!(outbox.push(|frame| frame.extend([1; 4])));
        let mut frame = [0; 9];
        peer.read_exact(&mut frame).await.unwrap();
        assert_eq!(frame, [0, 0, 0, 5, 112, 1, 1, 1, 1]);
    }
    running.abort();
}

#[tokio::test(start_paused = true)]
async fn a_queue_beyond_its_bound_ends_the_connection() {
    let (lost, outbox, _peer) = connection();
    while outbox.push(|frame| frame.extend([1; 500])) {
        tokio::task::yield_now().await;
    }
    assert_eq!(lost.await.unwrap(), ConnectionLost::Overflow(1_000));
}

#[tokio::test(start_paused = true)]
async fn a_frame_that_is_refused_or_too_long_ends_the_connection() {
    let (lost, _, mut peer) = connection();
    peer.write_all(b"\0\0\0\x02ok\0\0\0\0\0\0\0\x03bad").await.unwrap();
    assert_eq!(lost.await.unwrap(), ConnectionLost::UnknownOperation(99));
    let (lost, _, mut peer) = connection();
    peer.write_all(&[0, 0, 3, 0xe9]).await.unwrap();
    let too_long = ConnectionLost::TooLong { length: 1_001, most: 1_000 };
    assert_eq!(lost.await.unwrap(), too_long);
}
