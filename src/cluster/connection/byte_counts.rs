//! Counts the bytes that a connection reads and writes.

use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, ReadBuf};

/// The numbers of bytes that were read and written.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) read: AtomicU64,
    pub(super) written: AtomicU64,
}

/// A reader that counts its bytes.
pub(super) struct Counted<'a, R> {
    pub(super) reader: R,
    pub(super) read: &'a AtomicU64,
}

impl<R: AsyncRead + Unpin> AsyncRead for Counted<'_, R> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        let poll = Pin::new(&mut this.reader).poll_read(cx, buffer);
        let read = buffer.filled().len() - before;
        this.read.fetch_add(u64::try_from(read).unwrap_or(u64::MAX), Relaxed);
        poll
    }
}
