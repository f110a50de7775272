//! Byte streams: bounded and ordered, and sent to a process as one mailbox item.

use crate::support;

use std::future::{Future, pending};
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};

use futures_util::FutureExt;
use regrow::{
    ExitReason, GenServer, Overflow, Received, Reply, Result, Runtime, ServerContext, StreamHandle,
    StreamWriter, stream, stream_with_capacity,
};
use support::{OnDrop, dead, idle, killed, message, settled};
use tokio::sync::{mpsc, oneshot};

/// Reads all chunks up to the end of the stream.
async fn read_all(mut reader: StreamHandle) -> Vec<Vec<u8>> {
    let mut chunks = Vec::new();
    while let Some(chunk) = reader.read().await {
        chunks.push(chunk);
    }
    chunks
}

/// STR-001.
#[tokio::test]
async fn a_stream_arrives_in_mailbox_order_and_its_chunks_in_write_order() {
    let rt = Runtime::new();
    let (writer, reader) = stream();
    let receiver = rt.spawn(|mut ctx| async move {
        assert_eq!(ctx.recv().await, message("first"));
        let reader = ctx.recv().await.stream().expect("the stream was sent second");
        assert_eq!(read_all(reader).await, [b"a", b"b", b"c"]);
        assert_eq!(ctx.recv().await, message("last"));
    });
    assert!(rt.send(receiver.pid(), b"first".to_vec()));
    assert!(rt.send_stream(receiver.pid(), reader));
    assert!(rt.send(receiver.pid(), b"last".to_vec()));
    for chunk in [b"a", b"b", b"c"] {
        writer.write(chunk.to_vec()).await.unwrap();
    }
    drop(writer);
    assert_eq!(receiver.join().await, ExitReason::Normal);
}

/// STR-002.
#[tokio::test(start_paused = true)]
async fn a_writer_waits_for_a_slow_reader() {
    let (writer, mut reader) = stream_with_capacity(1);
    let (tell, mut written) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        for chunk in [b"1", b"2", b"3"] {
            writer.write(chunk.to_vec()).await.unwrap();
            tell.send(chunk).unwrap();
        }
    });
    for chunk in [b"1", b"2", b"3"] {
        settled().await;
        assert_eq!(written.try_recv(), Ok(chunk), "there is room for this one");
        assert!(written.try_recv().is_err(), "the next waits");
        assert_eq!(reader.read().await.as_deref(), Some(&chunk[..]));
    }
    assert_eq!(reader.read().await, None);
}

/// STR-003.
#[tokio::test]
async fn chunks_are_readable_after_the_writer_was_dropped() {
    let (writer, reader) = stream();
    writer.write(b"a".to_vec()).await.unwrap();
    writer.write(b"b".to_vec()).await.unwrap();
    drop(writer);
    assert_eq!(read_all(reader).await, [b"a", b"b"]);
}

/// STR-003.
#[tokio::test]
async fn a_write_without_a_reader_returns_the_chunk() {
    let (writer, reader) = stream_with_capacity(1);
    writer.write(b"read by nobody".to_vec()).await.unwrap();
    let waiting = tokio::spawn({
        let writer = writer.clone();
        async move { writer.write(b"waiting".to_vec()).await }
    });
    tokio::task::yield_now().await;
    drop(reader);
    assert_eq!(waiting.await.unwrap(), Err(b"waiting".to_vec()));
    assert_eq!(writer.write(b"late".to_vec()).await, Err(b"late".to_vec()));
}

/// The drop of the first writer does not end the stream.
#[tokio::test]
async fn a_stream_ends_with_its_last_writer() {
    let (writer, mut reader) = stream();
    let other = writer.clone();
    writer.write(b"one".to_vec()).await.unwrap();
    drop(writer);
    other.write(b"other".to_vec()).await.unwrap();
    assert_eq!(reader.read().await, Some(b"one".to_vec()));
    assert_eq!(reader.read().await, Some(b"other".to_vec()));
    assert_eq!(reader.read().now_or_never(), None, "a writer is left");
    drop(other);
    assert_eq!(reader.read().await, None);
    assert_eq!(reader.read().await, None, "the end stays the end");
}

/// STR-005.
#[tokio::test]
async fn a_stream_sent_to_an_ended_process_is_dropped() {
    let rt = Runtime::new();
    let (writer, reader) = stream();
    assert!(!rt.send_stream(dead(&rt).await, reader));
    assert_eq!(writer.write(b"x".to_vec()).await, Err(b"x".to_vec()));
}

#[tokio::test]
async fn a_queued_stream_ends_with_its_process() {
    let rt = Runtime::new();
    let receiver = idle(&rt);
    let (writer, reader) = stream_with_capacity(1);
    assert!(rt.send_stream(receiver, reader));
    writer.write(b"kept".to_vec()).await.unwrap();
    killed(&rt, receiver).await;
    assert_eq!(writer.write(b"x".to_vec()).await, Err(b"x".to_vec()));
}

/// STR-007.
#[tokio::test]
async fn a_queued_stream_counts_in_the_mailbox_depth_until_received() {
    let rt = Runtime::with_mailbox_depth();
    let (take, taken) = oneshot::channel::<()>();
    let (tell, told) = oneshot::channel();
    let receiver = rt.spawn(|mut ctx| async move {
        taken.await.unwrap();
        let received = ctx.recv().await;
        tell.send(ctx.runtime().info(ctx.pid()).unwrap().mailbox_depth).unwrap();
        assert!(received.stream().is_some());
    });
    let (_writer, reader) = stream();
    rt.send_stream(receiver.pid(), reader);
    assert_eq!(rt.info(receiver.pid()).unwrap().mailbox_depth, 1);
    take.send(()).unwrap();
    assert_eq!(told.await, Ok(0));
    assert_eq!(receiver.join().await, ExitReason::Normal);
}

/// A full mailbox rejects a stream like a message, and the writer of the stream learns of it.
#[tokio::test]
async fn a_full_mailbox_rejects_streams() {
    let rt = Runtime::with_mailbox_capacity(1);
    let receiver = idle(&rt);
    let (kept, reader) = stream();
    assert!(rt.send_stream(receiver, reader));
    let (shed, reader) = stream();
    assert!(!rt.send_stream(receiver, reader));
    assert_eq!(rt.dropped_messages(), 1);
    assert_eq!(shed.write(b"x".to_vec()).await, Err(b"x".to_vec()));
    assert_eq!(kept.write(b"x".to_vec()).await, Ok(()));
}

/// A read that is dropped before it completes removes no chunk.
#[tokio::test]
async fn a_cancelled_read_loses_no_chunk() {
    let (writer, mut reader) = stream();
    assert_eq!(reader.read().now_or_never(), None);
    writer.write(b"x".to_vec()).await.unwrap();
    assert_eq!(reader.read().await, Some(b"x".to_vec()));
}

/// Mailbox items are compared by structure, but a live stream equals no other item.
#[test]
fn two_live_streams_are_never_equal() {
    let ((_a, one), (_b, other)) = (stream(), stream());
    assert_ne!(one, other);
    let (one, other) = (Received::Stream(one), Received::Stream(other));
    assert_ne!(one, other);
    assert_ne!(one, message("x"));
    assert_eq!(message("x"), message("x"));
    assert_eq!(message("x").stream(), None);
    assert!(one.message().is_none() && other.stream().is_some());
}

/// A stream with a capacity of zero could never accept a chunk.
#[test]
#[should_panic(expected = "room for at least one chunk")]
fn stream_with_capacity_of_zero_panics() {
    drop(stream_with_capacity(0));
}

/// The observed events, in order: the announcement of the end with the result of a write, and the
/// drop of a value.
type Seen = Arc<Mutex<Vec<&'static str>>>;

/// The waker of a future that waits for an end. When woken, it records the announcement, and
/// whether a write fails by then.
struct WritesWhenWoken(StreamWriter, Seen);

impl Wake for WritesWhenWoken {
    fn wake(self: Arc<Self>) {
        let written = self.0.write(b"is anybody there?".to_vec()).now_or_never();
        let refused = written.is_some_and(|written| written.is_err());
        self.1.lock().unwrap().push(if refused { "joined, and refused" } else { "joined" });
    }
}

/// Ends a process that never receives and has a stream in its mailbox. `seen` records the events.
fn end_with_a_stream_queued(rt: &Runtime, pid: regrow::Pid, seen: &Seen) {
    let (writer, reader) = stream_with_capacity(1);
    assert!(rt.send_stream(pid, reader));
    assert_eq!(writer.write(b"the first has room".to_vec()).now_or_never(), Some(Ok(())));
    let mut waiting = pin!(writer.write(b"the second waits".to_vec()));
    assert_eq!(waiting.as_mut().poll(&mut Context::from_waker(Waker::noop())), Poll::Pending);
    let joins = Waker::from(Arc::new(WritesWhenWoken(writer.clone(), seen.clone())));
    let mut ended = pin!(rt.ended(pid));
    assert_eq!(ended.as_mut().poll(&mut Context::from_waker(&joins)), Poll::Pending);
    rt.kill(pid);
    while rt.is_alive(pid) {
        std::thread::yield_now();
    }
    assert!(matches!(waiting.now_or_never(), Some(Err(_))), "it fails as well");
    while seen.lock().unwrap().is_empty() {
        std::thread::yield_now();
    }
}

/// The test has two threads, so that the process ends on one while the other waits.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_queued_stream_fails_its_writer_before_the_end_is_announced() {
    let rt = Runtime::new();
    let seen = Seen::default();
    end_with_a_stream_queued(&rt, rt.spawn(|_| pending()).pid(), &seen);
    assert_eq!(*seen.lock().unwrap(), ["joined, and refused"]);
}

/// A server whose handler never returns, so that it receives no other message.
struct Deaf;

impl GenServer for Deaf {
    type Args = ();
    type Call = Reply<()>;
    type Cast = Box<dyn Send>;

    async fn init((): (), ctx: &mut ServerContext<Self>) -> Result<Self> {
        ctx.continue_with(Box::new(()));
        Ok(Deaf)
    }

    async fn handle_call(&mut self, _: Reply<()>, _: &mut ServerContext<Self>) -> Result {
        Ok(())
    }

    async fn handle_cast(&mut self, _: Self::Cast, _: &mut ServerContext<Self>) -> Result {
        pending().await
    }
}

/// Only streams are dropped before the end is announced. A user's destructor may take long, so
/// other queued messages are dropped afterwards.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn queued_messages_are_dropped_after_the_end_was_announced() {
    for (depth, tracked) in [(false, false), (true, false), (false, true)] {
        let rt = if depth { Runtime::with_mailbox_depth() } else { Runtime::new() };
        rt.track_handlers(tracked);
        let server = Deaf::spec(()).mailbox_capacity(9, Overflow::Reject);
        let server = if depth { server.start(&rt).await } else { Deaf::start(&rt, ()).await };
        let server = server.unwrap();
        let seen = Seen::default();
        let drops = seen.clone();
        let dropped = OnDrop::new(move || drops.lock().unwrap().push("dropped"));
        assert!(server.cast(Box::new(dropped)));
        end_with_a_stream_queued(&rt, server.pid().unwrap(), &seen);
        let is_over = || seen.lock().unwrap().len() == 2;
        support::until("the destructor has run", is_over).await;
        assert_eq!(*seen.lock().unwrap(), ["joined, and refused", "dropped"]);
    }
}
