//! The ends of a connection, each with a half that reads and a half that writes.

use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::task::consume_budget;
use tokio::time::{Sleep, sleep_until};

use crate::cluster::carrier::network::pipe::{Found, Pipe};

/// The reading half of an end.
#[derive(Debug)]
pub(super) struct PipeReader {
    pipe: Arc<Pipe>,
    way: usize,
    timer: Option<Pin<Box<Sleep>>>,
}

/// The writing half of an end. Its drop ends the way.
#[derive(Debug)]
pub(super) struct PipeWriter {
    pipe: Arc<Pipe>,
    way: usize,
}

/// Returns the halves of one end: that of the opener, or the other one.
pub(super) fn halves(pipe: &Arc<Pipe>, is_opener: bool) -> (PipeReader, PipeWriter) {
    let (reads, writes) = if is_opener { (1, 0) } else { (0, 1) };
    let reader = PipeReader { pipe: pipe.clone(), way: reads, timer: None };
    (reader, PipeWriter { pipe: pipe.clone(), way: writes })
}

impl AsyncRead for PipeReader {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        ready!(pin!(consume_budget()).poll(cx));
        let this = self.get_mut();
        loop {
            let arrives = match this.pipe.read(this.way, buffer, cx.waker()) {
                Found::Read => return Poll::Ready(Ok(())),
                Found::Reset => return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into())),
                Found::Nothing(None) => return Poll::Pending,
                Found::Nothing(Some(arrives)) => arrives,
            };
            let timer = this.timer.get_or_insert_with(|| Box::pin(sleep_until(arrives)));
            if timer.deadline() != arrives {
                timer.as_mut().reset(arrives);
            }
            ready!(timer.as_mut().poll(cx));
        }
    }
}

impl AsyncWrite for PipeWriter {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        ready!(pin!(consume_budget()).poll(cx));
        if bytes.is_empty() {
            return Poll::Ready(Ok(0));
        }
        self.pipe.write(self.way, bytes, cx.waker())
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.pipe.end(self.way);
        Poll::Ready(Ok(()))
    }
}

impl Drop for PipeWriter {
    fn drop(&mut self) {
        self.pipe.end(self.way);
    }
}

#[cfg(test)]
mod tests;
