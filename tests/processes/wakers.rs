//! User wakers that panic when they are called: the process that calls them continues, and all
//! other waiters are woken.

use crate::support;

use std::future::{Future, pending};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::task::{Context, Wake, Waker};
use std::time::Duration;

use futures_util::FutureExt;
use regrow::{
    ChildSpec, ExitReason, GenServer, LifecycleEvent, Name, Reply, Result, Runtime, ServerContext,
    Supervisor, stream_with_capacity,
};
use support::counting_waker::counting_waker;
use support::{idler, settled};
use tokio::sync::mpsc::unbounded_channel;
use tokio::time::timeout;

const HOUR: Duration = Duration::from_secs(3600);

/// Two watchers of a group poll their receive with a waker of the test, one of which panics. A
/// member ends: its teardown is complete, and both wakers are called.
#[tokio::test(start_paused = true)]
async fn a_panicking_waker_of_a_group_monitor_does_not_stop_a_teardown() {
    let rt = Runtime::new();
    let (told, mut is_told) = unbounded_channel();
    let wakers = [true, false].map(counting_waker);
    for (_, waker) in wakers.clone() {
        let told = told.clone();
        rt.spawn(move |mut ctx| async move {
            ctx.runtime().monitor_group(ctx.pid(), "group");
            {
                let receives = pin!(ctx.recv());
                assert!(receives.poll(&mut Context::from_waker(&waker)).is_pending());
                told.send(()).unwrap();
                pending::<()>().await;
            }
        });
    }
    for _ in 0..2 {
        is_told.recv().await.unwrap();
    }
    let member = idler(&rt);
    assert!(rt.register_tag("group", member.pid()));
    member.kill();
    assert_eq!(timeout(HOUR, member.join()).await, Ok(ExitReason::Killed));
    settled().await;
    for (counts, _) in wakers {
        assert_eq!(counts.woken(), 1);
    }
}

/// A child polls its shutdown signal with a panicking waker. Its supervisor still stops in order.
#[tokio::test(start_paused = true)]
async fn a_panicking_waker_of_a_child_does_not_stop_its_supervisors_shutdown() {
    let rt = Runtime::new();
    let (up, mut is_up) = unbounded_channel();
    let odd = ChildSpec::task("odd", move |mut ctx| {
        let up = up.clone();
        async move {
            let token = ctx.cancellation_token();
            let (_, waker) = counting_waker(true);
            let told = pin!(token.cancelled());
            assert!(told.poll(&mut Context::from_waker(&waker)).is_pending());
            up.send(()).unwrap();
            pending().await
        }
    });
    let polite = ChildSpec::task("polite", |_| pending());
    let tree = Supervisor::one_for_one().child(polite).child(odd).start(&rt).await.unwrap();
    is_up.recv().await.unwrap();
    let polite = rt.ended(tree.which_children().await.unwrap()[0].pid().unwrap());
    assert_eq!(tree.stop().await, Ok(ExitReason::Shutdown));
    assert_eq!(polite.await, ExitReason::Shutdown);
}

/// Several listeners poll for events with their own wakers. The next event wakes each of them.
#[tokio::test]
async fn a_panicking_waker_does_not_keep_other_event_listeners_waiting() {
    let rt = Runtime::new();
    let mut listeners =
        [true, false, true, false].map(|panics| (counting_waker(panics), rt.events()));
    let mut waits: Vec<_> = listeners
        .iter_mut()
        .map(|((counts, waker), events)| (counts, waker, Box::pin(events.next())))
        .collect();
    for (_, waker, next) in &mut waits {
        assert!(next.as_mut().poll(&mut Context::from_waker(waker)).is_pending());
    }
    let _tree = Supervisor::one_for_one().start(&rt).await.unwrap();
    for (counts, _, next) in waits {
        assert_eq!(counts.woken(), 1);
        let heard = next.now_or_never().flatten();
        assert!(matches!(heard, Some(LifecycleEvent::Spawned { .. })), "{heard:?}");
    }
}

struct Echo;

impl GenServer for Echo {
    type Args = ();
    type Call = Reply<u8>;
    type Cast = ();

    async fn init((): (), _: &mut ServerContext<Self>) -> Result<Self> {
        Ok(Echo)
    }

    async fn handle_call(&mut self, reply: Reply<u8>, _: &mut ServerContext<Self>) -> Result {
        reply.send(7);
        Ok(())
    }

    async fn handle_cast(&mut self, (): (), _: &mut ServerContext<Self>) -> Result {
        Ok(())
    }
}

/// Several calls wait, polled with their own wakers, for a server that is being restarted. Each is
/// woken when the server runs.
#[tokio::test(start_paused = true)]
async fn a_panicking_waker_does_not_keep_other_waiting_calls_waiting() {
    let rt = Runtime::new();
    let echo = Echo::child(()).named("echo").backoff(regrow::Backoff::new());
    let tree = Supervisor::one_for_one().child(echo).start(&rt).await.unwrap();
    let server = rt.server(Name::<Echo>::new("echo"));
    let ended = rt.ended(server.pid().unwrap());
    rt.kill(server.pid().unwrap());
    ended.await;
    settled().await;
    let mut waits = [true, false, true, false].map(|panics| {
        let server = server.clone();
        let call = async move { server.call_waiting(|reply| reply, HOUR).await };
        (counting_waker(panics), Box::pin(call))
    });
    for ((_, waker), call) in &mut waits {
        assert!(call.as_mut().poll(&mut Context::from_waker(waker)).is_pending());
    }
    while server.pid().is_none() {
        settled().await;
    }
    for ((counts, _), call) in waits {
        assert!(counts.woken() >= 1);
        assert_eq!(timeout(HOUR, call).await, Ok(Ok(7)));
    }
    tree.stop().await.unwrap();
}

/// Several writers wait on a full stream, polled with their own wakers. When the reader ends, each
/// write fails.
#[tokio::test(start_paused = true)]
async fn a_panicking_waker_does_not_keep_other_stream_writers_waiting() {
    let rt = Runtime::new();
    let reader = idler(&rt);
    let (writer, stream) = stream_with_capacity(1);
    writer.write(b"fills it".to_vec()).await.unwrap();
    assert!(rt.send_stream(reader.pid(), stream));
    let mut waits = [true, true, true, true, false].map(|panics| {
        let writer = writer.clone();
        (counting_waker(panics), Box::pin(async move { writer.write(b"late".to_vec()).await }))
    });
    for ((_, waker), write) in &mut waits {
        assert!(write.as_mut().poll(&mut Context::from_waker(waker)).is_pending());
    }
    reader.kill();
    reader.join().await;
    for ((counts, _), write) in waits {
        assert_eq!(counts.woken(), 1);
        assert_eq!(write.now_or_never(), Some(Err(b"late".to_vec())));
    }
}

/// A waker that panics from the time when it is armed.
#[derive(Default)]
struct Mined(AtomicBool);

impl Wake for Mined {
    fn wake(self: Arc<Self>) {
        assert!(!self.0.load(SeqCst), "as asked");
    }
}

/// More requests for a tree are polled with a panicking waker than the supervisor answers
/// concurrently. The supervisor stays alive and answers all of them.
#[tokio::test(start_paused = true)]
async fn a_panicking_waker_of_a_snapshot_does_not_stop_the_supervisor() {
    let rt = Runtime::new();
    let tree = Supervisor::one_for_one().start(&rt).await.unwrap();
    let mined = Arc::new(Mined::default());
    let waker = Waker::from(mined.clone());
    let mut asks: Vec<_> = (0..20).map(|_| Box::pin(tree.tree())).collect();
    for ask in &mut asks {
        for _ in 0..3 {
            assert!(ask.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
        }
    }
    mined.0.store(true, SeqCst);
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert!(tree.is_alive());
    mined.0.store(false, SeqCst);
    for ask in asks {
        assert!(ask.await.is_ok());
    }
}

/// The start of a server is polled with a panicking waker. The start succeeds, and the server runs.
#[tokio::test(start_paused = true)]
async fn a_panicking_waker_of_a_start_does_not_stop_the_server() {
    let rt = Runtime::new();
    let mined = Arc::new(Mined::default());
    let waker = Waker::from(mined.clone());
    let mut start = pin!(Echo::spec(()).named(Name::new("echo")).start(&rt));
    assert!(start.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    mined.0.store(true, SeqCst);
    settled().await;
    assert!(rt.whereis("echo").is_some());
    assert_eq!(start.await.unwrap().call(|reply| reply).await, Ok(7));
}
