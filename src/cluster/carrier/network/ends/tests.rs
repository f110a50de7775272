//! One connection, without nodes.

use std::future::poll_fn;
use std::io::ErrorKind;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::io::{AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::{Instant, advance};

use super::{PipeReader, PipeWriter, halves};
use crate::base::random::Random;
use crate::cluster::carrier::network::line::Line;
use crate::cluster::carrier::network::pipe::Pipe;

type End = (PipeReader, PipeWriter);

fn pipe(lines: [Line; 2], seed: u64, capacity: usize) -> (Arc<Pipe>, End, End) {
    let randoms = [Random::seeded(seed), Random::seeded(seed + 1)];
    let pipe = Pipe::new(lines, randoms, capacity, Arc::default());
    let (opener, other) = (halves(&pipe, true), halves(&pipe, false));
    (pipe, opener, other)
}

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn delayed(shortest: u64, longest: u64) -> Line {
    Line { is_cut: false, delay: (ms(shortest), ms(longest)) }
}

fn cut() -> Line {
    Line { is_cut: true, ..Line::default() }
}

/// Writes what there is room for.
async fn try_write(writer: &mut PipeWriter, bytes: &[u8]) -> Option<usize> {
    poll_fn(|cx| match Pin::new(&mut *writer).poll_write(cx, bytes) {
        Poll::Ready(result) => Poll::Ready(Some(result.unwrap())),
        Poll::Pending => Poll::Ready(None),
    })
    .await
}

#[tokio::test(start_paused = true)]
async fn bytes_arrive_in_order_whatever_their_delays_are() {
    for seed in 0..50 {
        let (_pipe, (_, mut writer), (mut reader, _)) =
            pipe([delayed(0, 100), Line::default()], seed, 1_000);
        let begun = Instant::now();
        for byte in 0..100 {
            writer.write_all(&[byte]).await.unwrap();
        }
        drop(writer);
        let mut bytes = Vec::new();
        reader.read_to_end(&mut bytes).await.unwrap();
        assert_eq!(bytes, (0..100).collect::<Vec<u8>>());
        assert!((ms(50)..=ms(102)).contains(&begun.elapsed()), "{:?}", begun.elapsed());
    }
}

#[tokio::test(start_paused = true)]
async fn equal_seeds_draw_equal_delays() {
    let arrivals = async |seed| {
        let (_pipe, (_, mut writer), (mut reader, _)) =
            pipe([delayed(0, 1_000), Line::default()], seed, 1_000);
        let (begun, mut arrivals) = (Instant::now(), Vec::new());
        for byte in 0..20 {
            writer.write_all(&[byte]).await.unwrap();
        }
        for _ in 0..20 {
            reader.read_u8().await.unwrap();
            arrivals.push(begun.elapsed());
        }
        arrivals
    };
    assert_eq!(arrivals(3).await, arrivals(3).await);
    assert_ne!(arrivals(3).await, arrivals(4).await);
}

#[tokio::test(start_paused = true)]
async fn a_writer_waits_at_the_capacity_until_bytes_are_read() {
    let (_pipe, (_, mut writer), (mut reader, _)) = pipe([Line::default(); 2], 1, 10);
    assert_eq!(try_write(&mut writer, &[1; 8]).await, Some(8));
    assert_eq!(try_write(&mut writer, &[2; 8]).await, Some(2));
    assert_eq!(try_write(&mut writer, &[2; 6]).await, None);
    let waiting = tokio::spawn(async move { writer.write_all(&[2; 6]).await });
    tokio::task::yield_now().await;
    assert!(!waiting.is_finished());
    let mut bytes = [0; 16];
    reader.read_exact(&mut bytes).await.unwrap();
    waiting.await.unwrap().unwrap();
    assert_eq!(bytes, [[1; 8], [2; 8]].concat()[..]);
}

#[tokio::test(start_paused = true)]
async fn a_cut_holds_bytes_and_the_end_back_until_the_heal() {
    let (pipe, (_, mut writer), (mut reader, _)) = pipe([Line::default(); 2], 1, 100);
    drop(pipe.set_line(0, cut()));
    writer.write_all(b"late").await.unwrap();
    drop(writer);
    let mut bytes = Vec::new();
    let reading = tokio::spawn(async move {
        reader.read_to_end(&mut bytes).await.unwrap();
        bytes
    });
    advance(ms(1_000_000)).await;
    assert!(!reading.is_finished());
    pipe.set_line(0, Line::default()).into_iter().for_each(std::task::Waker::wake);
    assert_eq!(reading.await.unwrap(), b"late");
}

/// What is sent arrives, and its writer doesn't learn so.
#[tokio::test(start_paused = true)]
async fn a_cut_of_the_way_back_makes_the_writer_wait_at_the_capacity() {
    let (pipe, (_, mut writer), (mut reader, _)) = pipe([Line::default(); 2], 1, 10);
    drop(pipe.set_line(1, cut()));
    assert_eq!(try_write(&mut writer, &[1; 10]).await, Some(10));
    reader.read_exact(&mut [0; 10]).await.unwrap();
    assert_eq!(try_write(&mut writer, &[1; 10]).await, None);
    let waiting = tokio::spawn(async move { writer.write_all(&[2; 10]).await });
    tokio::task::yield_now().await;
    pipe.set_line(1, Line::default()).into_iter().for_each(std::task::Waker::wake);
    reader.read_exact(&mut [0; 10]).await.unwrap();
    waiting.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_end_that_is_dropped_leaves_the_bytes_that_it_wrote() {
    let (_pipe, (opened, mut writer), (mut reader, mut back)) =
        pipe([delayed(5, 5), Line::default()], 1, 100);
    back.write_all(b"unread").await.unwrap();
    writer.write_all(b"last words").await.unwrap();
    drop((opened, writer));
    let mut bytes = Vec::new();
    reader.read_to_end(&mut bytes).await.unwrap();
    assert_eq!(bytes, b"last words");
}

#[tokio::test(start_paused = true)]
async fn a_reset_loses_the_bytes_of_both_directions_and_wakes_all() {
    let (pipe, (mut opened, mut writer), (mut reader, mut back)) =
        pipe([delayed(5, 5), Line::default()], 1, 4);
    writer.write_all(b"lost").await.unwrap();
    let waiting = tokio::spawn(async move { writer.write_all(b"more").await });
    let reading = tokio::spawn(async move { opened.read_u8().await });
    tokio::task::yield_now().await;
    pipe.reset().into_iter().for_each(std::task::Waker::wake);
    for error in [
        waiting.await.unwrap().unwrap_err(),
        reading.await.unwrap().unwrap_err(),
        reader.read_u8().await.unwrap_err(),
        back.write_all(b"x").now_or_never().unwrap().unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    }
}
