//! One connection of a network: an ordered queue of bytes in each direction.
//!
//! **Order.** Bytes arrive in the order in which they were written, as those of TCP do: the delay of
//! later bytes is prolonged until earlier ones have arrived.
//!
//! **The bound.** The bytes that were written and whose receipt the writer doesn't know are at most
//! the capacity. At the capacity a write waits. The writer knows the receipt when the bytes were read
//! and the way back is not cut.
//!
//! **A cut way** delivers nothing, neither bytes nor the end of a connection. Both stay in the queue,
//! and arrive when the way is healed, as TCP sends them again.
//!
//! **If an end is dropped** while bytes that it wrote are in the queue, the bytes arrive, and then the
//! end. Bytes that are on the way to it stay in the queue until the whole connection is dropped. If
//! the connection is reset, the bytes of both directions are lost.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::task::{Poll, Waker};

use tokio::io::ReadBuf;
use tokio::time::Instant;

use crate::base::PlainMutex;
use crate::base::random::Random;
use crate::cluster::carrier::network::line::Line;

/// A connection. Way 0 leads from the node that has opened it.
#[derive(Debug)]
pub(super) struct Pipe {
    ways: PlainMutex<[Way; 2]>,
    capacity: usize,
    /// The bytes that were written in the whole network.
    sent: Arc<AtomicU64>,
}

#[derive(Debug)]
struct Way {
    line: Line,
    random: Random,
    queue: VecDeque<Segment>,
    /// The bytes of which the writer doesn't know that they were received.
    outstanding: usize,
    /// Those of them that were read while the way back was cut.
    unreported: usize,
    /// When the end arrives, once the writer has ended.
    end: Option<Instant>,
    is_reset: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

/// Bytes that were written together.
#[derive(Debug)]
struct Segment {
    arrives: Instant,
    bytes: Vec<u8>,
    /// How many of them were read.
    read: usize,
}

/// What a reader finds.
pub(super) enum Found {
    /// Bytes, or the end.
    Read,
    Reset,
    /// Nothing, until this time or a waker.
    Nothing(Option<Instant>),
}

impl Way {
    fn new(line: Line, random: Random) -> Self {
        Way {
            line,
            random,
            queue: VecDeque::new(),
            outstanding: 0,
            unreported: 0,
            end: None,
            is_reset: false,
            reader: None,
            writer: None,
        }
    }

    /// Returns when something that is sent now arrives.
    fn arrival(&mut self) -> Instant {
        Instant::now() + self.line.draw_delay(&mut self.random)
    }

    /// Moves the bytes that have arrived. Returns their number.
    fn take(&mut self, buffer: &mut ReadBuf<'_>) -> usize {
        let (now, before) = (Instant::now(), buffer.remaining());
        while let Some(segment) = self.queue.front_mut().filter(|segment| segment.arrives <= now) {
            let unread = &segment.bytes[segment.read..];
            let count = unread.len().min(buffer.remaining());
            buffer.put_slice(&unread[..count]);
            segment.read += count;
            if segment.read < segment.bytes.len() {
                break;
            }
            self.queue.pop_front();
        }
        before - buffer.remaining()
    }
}

impl Pipe {
    pub(super) fn new(
        lines: [Line; 2],
        randoms: [Random; 2],
        capacity: usize,
        sent: Arc<AtomicU64>,
    ) -> Arc<Self> {
        let [out, back] = randoms;
        let ways = [Way::new(lines[0], out), Way::new(lines[1], back)];
        Arc::new(Pipe { ways: PlainMutex::new(ways), capacity, sent })
    }

    /// Moves the bytes of a way that have arrived. If there are none, the waker is kept.
    pub(super) fn read(&self, at: usize, buffer: &mut ReadBuf<'_>, waker: &Waker) -> Found {
        let mut ways = self.ways.lock();
        let is_back_cut = ways[1 - at].line.is_cut;
        let way = &mut ways[at];
        if way.is_reset {
            return Found::Reset;
        }
        let count = if way.line.is_cut { 0 } else { way.take(buffer) };
        if count > 0 {
            let mut writer = None;
            if is_back_cut {
                way.unreported += count;
            } else {
                way.outstanding -= count;
                writer = way.writer.take();
            }
            drop(ways);
            writer.into_iter().for_each(Waker::wake);
            return Found::Read;
        }
        let next = way.queue.front().map(|segment| segment.arrives).or(way.end);
        let next = next.filter(|_| !way.line.is_cut);
        if way.queue.is_empty() && next.is_some_and(|end| end <= Instant::now()) {
            return Found::Read;
        }
        way.reader = Some(waker.clone());
        Found::Nothing(next)
    }

    /// Appends bytes to a way, as many as it has room for. If it has none, the waker is kept.
    pub(super) fn write(&self, at: usize, bytes: &[u8], waker: &Waker) -> Poll<io::Result<usize>> {
        let mut ways = self.ways.lock();
        let way = &mut ways[at];
        if way.is_reset || way.end.is_some() {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        let count = bytes.len().min(self.capacity - way.outstanding);
        if count == 0 {
            way.writer = Some(waker.clone());
            return Poll::Pending;
        }
        way.outstanding += count;
        let arrives = way.arrival();
        way.queue.push_back(Segment { arrives, bytes: bytes[..count].to_vec(), read: 0 });
        let reader = way.reader.take();
        drop(ways);
        reader.into_iter().for_each(Waker::wake);
        self.sent.fetch_add(u64::try_from(count).unwrap_or(u64::MAX), Relaxed);
        Poll::Ready(Ok(count))
    }

    /// Notes that nothing more is written.
    pub(super) fn end(&self, at: usize) {
        let mut ways = self.ways.lock();
        let way = &mut ways[at];
        if way.end.is_none() {
            way.end = Some(way.arrival());
        }
        let reader = way.reader.take();
        drop(ways);
        reader.into_iter().for_each(Waker::wake);
    }

    /// Changes a way. Returns the wakers of all that a heal lets continue.
    pub(super) fn set_line(&self, at: usize, line: Line) -> Vec<Waker> {
        let mut ways = self.ways.lock();
        ways[at].line = line;
        if line.is_cut {
            return Vec::new();
        }
        let back = &mut ways[1 - at];
        back.outstanding -= std::mem::take(&mut back.unreported);
        let writer = back.writer.take();
        [ways[at].reader.take(), writer].into_iter().flatten().collect()
    }

    /// Breaks the connection for both ends at once.
    pub(super) fn reset(&self) -> Vec<Waker> {
        let mut ways = self.ways.lock();
        let mut wakers = Vec::new();
        for way in ways.iter_mut() {
            way.is_reset = true;
            way.queue = VecDeque::new();
            wakers.extend([way.reader.take(), way.writer.take()].into_iter().flatten());
        }
        wakers
    }
}
