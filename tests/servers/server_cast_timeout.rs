//! `cast_timeout`: a cast that waits for room in a full mailbox, for a limited time.

use crate::support;

use std::time::Duration;

use futures_util::FutureExt;
use regrow::{CallError, CastError, GenServer, Overflow, Runtime, ServerRef};
use support::scribe::{Cast, Page, Scribe, Setup, hold};
use support::settled;
use tokio::sync::oneshot;
use tokio::time::Instant;

const LIMIT: Duration = Duration::from_millis(250);

/// A scribe in a handler, with a full mailbox that has room for one message.
async fn full(rt: &Runtime, overflow: Overflow) -> (ServerRef<Scribe>, Page, oneshot::Sender<()>) {
    let page = Page::default();
    let spec = Scribe::spec(Setup { page: page.clone(), ..Setup::default() });
    let scribe = spec.mailbox_capacity(1, overflow).start(rt).await.unwrap();
    let release = hold(&scribe).await;
    assert!(scribe.cast(Cast::Write(1)));
    (scribe, page, release)
}

fn refused(result: Result<(), CastError<Cast>>) -> (CallError, u32) {
    match result {
        Err(CastError { reason, cast: Cast::Write(line), .. }) => (reason, line),
        _ => panic!("not given back"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_cast_is_given_back_exactly_at_its_limit_and_does_not_count_as_dropped() {
    for overflow in [Overflow::Wait, Overflow::Reject] {
        let rt = Runtime::new();
        let (scribe, page, release) = full(&rt, overflow).await;
        let mut dead_letters = rt.dead_letters();
        let start = Instant::now();
        let result = scribe.cast_timeout(Cast::Write(2), LIMIT).await;
        assert_eq!((refused(result), start.elapsed()), ((CallError::Overloaded, 2), LIMIT));
        assert_eq!(rt.dropped_messages(), 0);
        drop(release);
        settled().await;
        assert_eq!(page.lines(), [1]);
        assert!(dead_letters.next().now_or_never().is_none(), "the sender has it back");
    }
}

#[tokio::test(start_paused = true)]
async fn a_cast_is_queued_as_soon_as_there_is_room() {
    let rt = Runtime::new();
    let (scribe, page, release) = full(&rt, Overflow::Wait).await;
    let mut cast = Box::pin(scribe.cast_timeout(Cast::Write(2), LIMIT));
    assert!(cast.as_mut().now_or_never().is_none());
    drop(release);
    assert!(cast.await.is_ok());
    settled().await;
    assert_eq!(page.lines(), [1, 2]);
}

/// There was room in time, and the sender is polled only after the limit.
#[tokio::test(start_paused = true)]
async fn a_cast_that_was_queued_in_time_is_not_given_back_at_its_limit() {
    let rt = Runtime::new();
    let (scribe, page, release) = full(&rt, Overflow::Wait).await;
    let mut cast = Box::pin(scribe.cast_timeout(Cast::Write(2), LIMIT));
    assert!(cast.as_mut().now_or_never().is_none());
    drop(release);
    tokio::time::sleep(2 * LIMIT).await;
    assert!(cast.now_or_never().unwrap().is_ok());
    assert_eq!(page.lines(), [1, 2]);
}

#[tokio::test(start_paused = true)]
async fn a_dropped_cast_takes_its_message_with_it() {
    let rt = Runtime::new();
    let (scribe, page, release) = full(&rt, Overflow::Wait).await;
    let mut cast = Box::pin(scribe.cast_timeout(Cast::Write(2), LIMIT));
    assert!(cast.as_mut().now_or_never().is_none());
    drop(cast);
    drop(release);
    settled().await;
    assert_eq!(page.lines(), [1]);
}

#[tokio::test(start_paused = true)]
async fn a_cast_that_waits_is_given_back_when_the_server_ends() {
    let rt = Runtime::new();
    let (scribe, _, _release) = full(&rt, Overflow::Wait).await;
    let (start, pid) = (Instant::now(), scribe.pid().unwrap());
    let cast = scribe.cast_timeout(Cast::Write(2), LIMIT);
    let (result, _) = tokio::join!(cast, async { rt.kill(pid) });
    assert_eq!((refused(result), start.elapsed()), ((CallError::NoProc, 2), Duration::ZERO));
}
