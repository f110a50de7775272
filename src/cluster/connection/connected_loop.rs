//! The loop of a connection that is up: it reads frames, writes frames, and sends and checks ticks.
//!
//! One process runs the three parts. In each turn, the ticks come first, then the writer, then the
//! reader. The writer yields after [`WRITES`] writes. So endless input delays no output, and
//! endless output delays no input. The first part that ends decides the reason of the loss of the
//! connection. A peer that reads nothing delays only the writer of its own connection.

use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use futures_util::future::{Either, select};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::task::yield_now;
use tokio::time::{Instant, MissedTickBehavior, interval_at};

use crate::base::consume_budget;
use crate::cluster::connection::byte_counts::{Counted, Counts};
use crate::cluster::wire::frame::FrameReader;
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
    let reader = Counted { reader, read: &counts.read };
    let frames = FrameReader::new(reader, limits.longest_frame, outbox.long_buffer().clone());
    let read = pin!(read_all(frames, handle));
    let written = pin!(write_all(writer, outbox, &counts.written));
    let ticks = pin!(tick(outbox, &counts, limits.tick_time));
    let overflowed = pin!(outbox.overflowed());
    // The reader may use up the budget of a turn, so it comes last.
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
    mut frames: FrameReader<impl AsyncRead + Unpin>,
    mut handle: impl FnMut(&[u8]) -> Result<(), ConnectionLost>,
) -> ConnectionLost {
    loop {
        // Frames that have arrived together are handled without a wait. They must use up the budget
        // too.
        consume_budget().await;
        let handled = match frames.next().await {
            Ok([]) => Ok(()),
            Ok(body) => handle(body),
            Err(lost) => Err(lost),
        };
        if let Err(lost) = handled {
            return lost;
        }
    }
}

/// The number of writes in one turn. It is a part of the budget that tokio gives a task for each
/// turn.
const WRITES: usize = 32;

async fn write_all(
    mut writer: impl AsyncWrite + Unpin,
    outbox: &Outbox,
    written: &AtomicU64,
) -> ConnectionLost {
    let (mut writes, mut bytes) = (0_usize, Vec::new());
    loop {
        outbox.take(&mut bytes).await;
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            writes += 1;
            if writes.is_multiple_of(WRITES) {
                // The rest of the budget of this turn is for the reader.
                yield_now().await;
            }
            match writer.write(rest).await {
                Ok(0) => return ConnectionLost::Closed,
                Ok(count) => {
                    rest = &rest[count..];
                    // Over TLS the bytes may still be in a buffer of this node. They count as
                    // written when they have left that buffer.
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
    // If the operating system has paused the program, the peer gets a whole interval to send again.
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut ticks = Ticks::default();
    loop {
        interval.tick().await;
        outbox.long_buffer().end_of_interval();
        let (read, written) = (counts.read.load(Relaxed), counts.written.load(Relaxed));
        match ticks.end_of_interval(Progress { read, written, waits: outbox.waits() }) {
            Ok(true) => outbox.push_tick(),
            Ok(false) => {}
            Err(lost) => return lost,
        }
    }
}

#[cfg(test)]
mod tests;
