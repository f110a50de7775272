//! Frames: what follows the handshake. A frame is its length in 4 bytes and its body. A frame without
//! a body is a tick.

use tokio::io::{AsyncRead, AsyncReadExt};

use crate::cluster::wire::long_buffer::{LONG, LongBuffer};
use crate::cluster::wire::loss_reason::ConnectionLost;

/// The first byte of a frame that is one message without a header.
pub(crate) const PASS_THROUGH: u8 = 112;

/// The length of the length of a frame.
const PREFIX: usize = 4;
/// The capacity of the buffer of a connection that only ticks.
const KEPT: usize = 1024;
/// The capacity that the buffer grows to while each read fills it, and then keeps.
const MOST: usize = LONG;

/// The frames that a peer sends. Many short ones arrive with one read, and none of them is copied.
///
/// The length of a frame is checked before anything is reserved for it, and memory grows with the bytes
/// that have arrived. So a peer that announces a long frame and sends nothing costs nothing.
pub(crate) struct FrameReader<R> {
    reader: R,
    most: usize,
    /// The bytes that have arrived. Those before `start` belong to frames that were returned.
    buffer: Vec<u8>,
    start: usize,
    long: LongBuffer,
}

impl<R: AsyncRead + Unpin> FrameReader<R> {
    /// Reads frames whose bodies have at most `most` bytes.
    pub(crate) fn new(reader: R, most: usize, long: LongBuffer) -> Self {
        FrameReader { reader, most, buffer: Vec::new(), start: 0, long }
    }

    /// Returns the body of the next frame, which is empty for a tick.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: bytes that have arrived stay in the buffer.
    pub(crate) async fn next(&mut self) -> Result<&[u8], ConnectionLost> {
        let end = loop {
            let arrived = &self.buffer[self.start..];
            let missing = match arrived.split_first_chunk::<PREFIX>() {
                None => PREFIX - arrived.len(),
                Some((prefix, body)) => {
                    let length = self.body_length(u32::from_be_bytes(*prefix))?;
                    if body.len() >= length {
                        break self.start + PREFIX + length;
                    }
                    length - body.len()
                }
            };
            self.read(missing).await?;
        };
        let body = self.start + PREFIX..end;
        self.start = end;
        Ok(&self.buffer[body])
    }

    fn body_length(&self, length: u32) -> Result<usize, ConnectionLost> {
        let fits = usize::try_from(length).ok().filter(|length| *length <= self.most);
        fits.ok_or(ConnectionLost::TooLong { length, most: self.most })
    }

    /// Reads some of the bytes of a frame that has this many more.
    async fn read(&mut self, missing: usize) -> Result<(), ConnectionLost> {
        self.make_room(missing);
        let room = self.buffer.capacity() - self.buffer.len();
        match self.reader.read_buf(&mut self.buffer).await? {
            0 => Err(ConnectionLost::Closed),
            read => {
                // More is waiting than the buffer has room for.
                if read == room && self.buffer.capacity() < MOST {
                    self.buffer.reserve(self.buffer.capacity());
                }
                Ok(())
            }
        }
    }

    /// Drops the frames that were returned, and makes room for more bytes: as many as have arrived, so
    /// that a long frame is moved a few times only.
    fn make_room(&mut self, missing: usize) {
        let left = self.buffer.len() - self.start;
        if self.start > 0 && left <= KEPT && self.buffer.capacity() > MOST {
            // A long frame doesn't keep its memory for the whole life of the connection. More
            // behind it stays until a read finds less.
            let short = self.buffer[self.start..].to_vec();
            self.long.keep(std::mem::replace(&mut self.buffer, short));
        } else {
            self.buffer.drain(..self.start);
        }
        self.start = 0;
        let arrived = self.buffer.len();
        if arrived + missing > MOST
            && self.buffer.capacity() <= MOST
            && let Some(mut long) = self.long.take()
        {
            long.extend_from_slice(&self.buffer);
            self.buffer = long;
        }
        let room = missing.min(arrived.max(KEPT));
        self.buffer.reserve(room.max(KEPT.saturating_sub(arrived)));
    }
}

/// Appends a frame with the control message and the payload that `write` appends.
///
/// # Panics
///
/// If the frame has 4 GiB or more.
pub(crate) fn append_frame(frames: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    let start = frames.len();
    frames.extend([0, 0, 0, 0, PASS_THROUGH]);
    write(frames);
    let length = u32::try_from(frames.len() - start - 4);
    let length = length.expect("a frame is shorter than 4 GiB").to_be_bytes();
    frames[start..start + 4].copy_from_slice(&length);
}

#[cfg(test)]
mod tests {
    use std::pin::Pin;
    use std::task::{Context, Poll};

    use tokio::io::{AsyncRead, AsyncReadExt, ReadBuf};

    use super::{FrameReader, KEPT, MOST, append_frame};
    use crate::cluster::wire::long_buffer::LongBuffer;
    use crate::cluster::wire::loss_reason::ConnectionLost;

    fn reader<R: AsyncRead + Unpin>(reader: R, most: usize) -> FrameReader<R> {
        FrameReader::new(reader, most, LongBuffer::default())
    }

    async fn read(bytes: &[u8]) -> Result<Vec<u8>, ConnectionLost> {
        FrameReader::new(bytes, 16, LongBuffer::default()).next().await.map(<[u8]>::to_vec)
    }

    #[tokio::test]
    async fn a_frame_is_read_up_to_its_maximum() {
        assert_eq!(read(&[0, 0, 0, 0]).await.unwrap(), b"");
        assert_eq!(read(b"\0\0\0\x02hi...").await.unwrap(), b"hi");
        let longest = [&[0, 0, 0, 16][..], &[1; 16]].concat();
        assert_eq!(read(&longest).await.unwrap(), [1; 16]);
        for long in [[0, 0, 0, 17], [0xff; 4]] {
            let lost = read(&long).await.unwrap_err();
            assert!(matches!(lost, ConnectionLost::TooLong { most: 16, .. }), "{lost:?}");
        }
    }

    #[tokio::test]
    async fn a_truncated_frame_is_a_closed_connection() {
        for bytes in [&b""[..], b"\0\0", b"\0\0\0\x02", b"\0\0\0\x02h"] {
            assert_eq!(read(bytes).await.unwrap_err(), ConnectionLost::Closed);
        }
    }

    #[tokio::test]
    async fn an_announced_frame_that_does_not_arrive_reserves_nothing() {
        let mut reader = reader(&[0x3f, 0xff, 0xff, 0xff][..], usize::MAX);
        reader.next().await.unwrap_err();
        assert!(reader.buffer.capacity() <= MOST, "{}", reader.buffer.capacity());
    }

    /// Frames of all lengths, however their bytes are cut.
    #[tokio::test]
    async fn frames_are_read_in_their_order_whatever_the_reads_are() {
        let lengths = [0, 1, 5_000, 0, 200_000, 3, 70_000, 8_188, 8_192, 2, 65_536, 0];
        let mut bytes = Vec::new();
        for (number, length) in lengths.into_iter().enumerate() {
            append_frame(&mut bytes, |frames| frames.extend(vec![number as u8; length]));
        }
        for cut in [1, 3, 7, 100, 8_191, 64_000, usize::MAX] {
            let mut reader = reader(Cuts { bytes: &bytes, most: cut }, 1 << 20);
            for (number, length) in lengths.into_iter().enumerate() {
                let body = reader.next().await.unwrap();
                assert!(body.len() == length + 1 && body[1..].iter().all(|b| *b == number as u8));
            }
            assert!(reader.buffer.capacity() <= 2 * 200_100);
            assert_eq!(reader.next().await.unwrap_err(), ConnectionLost::Closed);
            assert!(reader.buffer.capacity() <= 2 * MOST);
        }
    }

    /// Whether nothing, a part of the next frame, or as much as is copied arrives with its end.
    #[tokio::test]
    async fn a_long_frame_gives_its_memory_up_whatever_is_behind_it() {
        for behind in [0, 1, KEPT] {
            let mut bytes = Vec::new();
            append_frame(&mut bytes, |frames| frames.extend(vec![1; 1 << 20]));
            let end = bytes.len() + behind;
            append_frame(&mut bytes, |frames| frames.extend(vec![2; KEPT]));
            bytes.truncate(end + 1);
            // The last byte is a read of its own.
            let (first, last) = bytes.split_at(end);
            let mut reader = reader(first.chain(last), 1 << 21);
            assert_eq!(reader.next().await.unwrap().len(), (1 << 20) + 1);
            reader.next().await.unwrap_err();
            assert!(reader.buffer.capacity() <= MOST, "{behind}: {}", reader.buffer.capacity());
        }
    }

    /// A reader that gives at most so many bytes at once.
    struct Cuts<'b> {
        bytes: &'b [u8],
        most: usize,
    }

    impl AsyncRead for Cuts<'_> {
        fn poll_read(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            buffer: &mut ReadBuf<'_>,
        ) -> Poll<std::io::Result<()>> {
            let count = self.bytes.len().min(self.most).min(buffer.remaining());
            let (given, rest) = self.bytes.split_at(count);
            self.bytes = rest;
            buffer.put_slice(given);
            Poll::Ready(Ok(()))
        }
    }

    #[tokio::test]
    async fn a_long_frame_is_read_into_the_memory_of_the_one_before() {
        let (mut bytes, long) = (Vec::new(), LongBuffer::default());
        for length in [1 << 20, 3, 1 << 20, 3] {
            append_frame(&mut bytes, |frames| frames.extend(vec![length as u8; length]));
        }
        // A read takes no more than a part of a short frame behind a long one.
        let (first, second) = bytes.split_at((1 << 20) + 7);
        let mut reader = FrameReader::new(first.chain(second), 1 << 21, long.clone());
        let mut memory = Vec::new();
        for length in [1 << 20, 3, 1 << 20, 3] {
            let body = reader.next().await.unwrap();
            assert!(body[1..] == vec![length as u8; length]);
            memory.push(body.as_ptr());
        }
        assert_eq!(memory[0], memory[2]);
        reader.next().await.unwrap_err();
        assert!(long.take().is_some());
    }

    #[test]
    fn an_appended_frame_has_its_length() {
        let mut frames = vec![0; 4];
        append_frame(&mut frames, |frames| frames.extend(b"abc"));
        assert_eq!(frames, b"\0\0\0\0\0\0\0\x04\x70abc");
    }
}
