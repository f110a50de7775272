//! A connection that is up: frames that arrive, frames that are written, ticks.
//!
//! One process runs all three. In each of its turns the ticks come first, then the writer, then the
//! reader, and the writer yields: so input that never ends delays no output, and output that never
//! ends delays no input. The first of them that ends decides why the connection is lost. A peer that
//! reads nothing delays only the writer of its own connection.

use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use futures_util::future::{Either, select};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::task::yield_now;
use tokio::time::{Instant, MissedTickBehavior, interval_at};

use crate::cluster::connection::counted::{Counted, Counts};
use crate::cluster::wire::frame::read_frame;
use crate::cluster::wire::ticks::{Progress, Ticks};
use crate::cluster::wire::{ConnectionLost, Outbox};

/// The limits of a connection.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) tick_time: Duration,
    pub(crate) longest_frame: usize,
}

/// Runs a connection until it is lost. `handle` gets the body of each frame that is no tick.
pub(crate) async fn run(
    reader: impl AsyncRead + Unpin,
    writer: impl AsyncWrite + Unpin,
    outbox: &Outbox,
    limits: Limits,
    handle: impl FnMut(&[u8]) -> Result<(), ConnectionLost>,
) -> ConnectionLost {
    let counts = Counts::default();
    let read = pin!(read_all(Counted { reader, read: &counts.read }, limits.longest_frame, handle));
    let written = pin!(write_all(writer, outbox, &counts.written));
    let ticks = pin!(tick(outbox, &counts, limits.tick_time));
    let overflowed = pin!(outbox.overflowed());
    // A turn has a budget of operations, which the reader may use up: so it comes last.
    let watch = pin!(first(ticks, overflowed));
    let transfer = pin!(first(written, read));
    let lost = first(watch, transfer).await;
    outbox.close();
    lost
}

/// Waits for the first of two futures. `a` is polled first.
async fn first<T>(a: impl Future<Output = T> + Unpin, b: impl Future<Output = T> + Unpin) -> T {
    match select(a, b).await {
        Either::Left((first, _)) | Either::Right((first, _)) => first,
    }
}

async fn read_all(
    reader: impl AsyncRead + Unpin,
    longest: usize,
    mut handle: impl FnMut(&[u8]) -> Result<(), ConnectionLost>,
) -> ConnectionLost {
    let (mut reader, mut body) = (BufReader::new(reader), Vec::new());
    loop {
        let read = read_frame(&mut reader, longest, &mut body).await;
        let handled = read.and_then(|()| if body.is_empty() { Ok(()) } else { handle(&body) });
        if let Err(lost) = handled {
            return lost;
        }
        // A long frame doesn't keep its memory for the whole life of the connection.
        if body.capacity() > KEPT {
            body = Vec::new();
        }
    }
}

/// The capacity of a buffer that is used again.
const KEPT: usize = 64 * 1024;

/// The number of writes in a row, a part of the budget that tokio gives a task for each turn.
const WRITES: usize = 32;

async fn write_all(
    mut writer: impl AsyncWrite + Unpin,
    outbox: &Outbox,
    written: &AtomicU64,
) -> ConnectionLost {
    let mut writes = 0_usize;
    loop {
        let bytes = outbox.take().await;
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            writes += 1;
            if writes.is_multiple_of(WRITES) {
                // The reader has the rest of the budget of this turn.
                yield_now().await;
            }
            match writer.write(rest).await {
                Ok(0) => return ConnectionLost::Closed,
                Ok(count) => {
                    rest = &rest[count..];
                    // Over TLS the bytes may still be in a buffer of this side. They count as
                    // written when they have left it.
                    if rest.is_empty()
                        && let Err(error) = writer.flush().await
                    {
                        return error.into();
                    }
                    outbox.written(count);
                    written.fetch_add(u64::try_from(count).unwrap_or(u64::MAX), Relaxed);
                }
                Err(error) => return error.into(),
            }
        }
    }
}

async fn tick(outbox: &Outbox, counts: &Counts, tick_time: Duration) -> ConnectionLost {
    let period = Ticks::interval(tick_time);
    let mut interval = interval_at(Instant::now() + period, period);
    // After a stop of the whole program, a peer gets a whole interval to send again.
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut ticks = Ticks::default();
    loop {
        interval.tick().await;
        let (read, written) = (counts.read.load(Relaxed), counts.written.load(Relaxed));
        match ticks.end_of_interval(Progress { read, written, waits: outbox.waits() }) {
            Ok(true) => outbox.push_tick(),
            Ok(false) => {}
            Err(lost) => return lost,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::pin::{Pin, pin};
    use std::task::{Context, Poll};
    use std::time::Duration;

    use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt, DuplexStream, ReadBuf, duplex, split};
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
        let running =
            tokio::spawn(async move { run(reader, writer, &queue, limits, handle).await });
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
        let (lost, outbox, mut peer) = connection();
        assert!(outbox.push(|frame| frame.extend([1; 500])));
        while !lost.is_finished() {
            sleep(Duration::from_secs(10)).await;
            let _ = peer.write_all(&[0; 4]).await;
        }
        assert_eq!(lost.await.unwrap(), ConnectionLost::Stalled);
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
        let running =
            tokio::spawn(async move { run(Flood, own, &queue, limits, |_| Ok(())).await });
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
}
