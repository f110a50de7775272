//! Tracing the items of one server.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use regrow::{
    CallError, ExitReason, GenServer, Reply, Result, Runtime, ServerContext, ServerRef, Trace,
    TraceContent, TraceEvent, TraceItem,
};
use tokio::time::sleep;

use crate::support;
use support::settled;

fn ms(time: u64) -> Duration {
    Duration::from_millis(time)
}

struct Clerk;

enum Cast {
    Work(Duration),
    TimerAfter(Duration),
    ContinueWith,
    IdleAfter(Duration),
    Nothing,
    Panic,
}

impl GenServer for Clerk {
    type Args = ();
    type Call = Reply<()>;
    type Cast = Cast;

    async fn init((): (), _: &mut ServerContext<Self>) -> Result<Self> {
        Ok(Clerk)
    }

    async fn handle_call(&mut self, reply: Reply<()>, _: &mut ServerContext<Self>) -> Result {
        reply.send(());
        Ok(())
    }

    async fn handle_cast(&mut self, cast: Cast, ctx: &mut ServerContext<Self>) -> Result {
        match cast {
            Cast::Work(time) => sleep(time).await,
            Cast::TimerAfter(time) => drop(ctx.cast_after(time, Cast::Nothing)),
            Cast::ContinueWith => ctx.continue_with(Cast::Nothing),
            Cast::IdleAfter(time) => ctx.idle_timeout(time),
            Cast::Nothing => {}
            Cast::Panic => panic!("as asked"),
        }
        Ok(())
    }
}

async fn start(rt: &Runtime) -> ServerRef<Clerk> {
    Clerk::start(rt, ()).await.unwrap()
}

/// Takes this many events, each as a line.
async fn lines(trace: &mut Trace, count: usize) -> Vec<String> {
    let mut lines = Vec::new();
    for _ in 0..count {
        lines.push(trace.next().await.unwrap().to_string());
    }
    lines
}

/// Returns the kinds of all items that began, up to the end of the server.
async fn kinds(mut trace: Trace) -> Vec<TraceItem> {
    let mut kinds = Vec::new();
    while let Some(event) = trace.next().await {
        if let TraceEvent::Begin { item, content, .. } = event {
            assert_eq!(content, None);
            kinds.push(item);
        }
    }
    kinds
}

#[tokio::test(start_paused = true)]
async fn each_kind_of_item_is_traced_until_the_server_has_ended() {
    use TraceItem::{
        Call, Cast as OfCast, IdleTimeout, Info, Stop, Stream, System, Terminate, Timer,
    };
    // While handlers are tracked, items are stamped.
    for tracked in [false, true] {
        let rt = Runtime::new();
        rt.track_handlers(tracked);
        let server = start(&rt).await;
        let trace = server.trace().await.unwrap();
        server.call(|reply| reply).await.unwrap();
        server.cast(Cast::ContinueWith);
        server.cast(Cast::TimerAfter(ms(1)));
        sleep(ms(2)).await;
        rt.send(server.pid().unwrap(), b"stray".to_vec());
        rt.send_stream(server.pid().unwrap(), regrow::stream().1);
        server.cast(Cast::IdleAfter(ms(1)));
        sleep(ms(2)).await;
        server.suspend().await.unwrap();
        server.get_status().await.unwrap();
        server.resume().await.unwrap();
        server.peek(|_| ()).await.unwrap();
        server.stop(ExitReason::Normal).await.unwrap();
        let expected = [
            Call,
            OfCast,
            OfCast,
            OfCast,
            Timer,
            Info,
            Stream,
            OfCast,
            IdleTimeout,
            System,
            System,
            System,
            System,
            Stop,
            Terminate,
        ];
        assert_eq!(kinds(trace).await, expected, "tracked: {tracked}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_time_of_a_handler_is_measured_also_if_it_panics() {
    let rt = Runtime::new();
    let server = start(&rt).await;
    let mut trace = server.trace().await.unwrap();
    server.cast(Cast::Work(ms(1_500)));
    server.cast(Cast::Panic);
    let expected = [
        "cast begins",
        "cast took 1.5s",
        "cast begins",
        "cast took 0.0ns",
        "terminate begins",
        "terminate took 0.0ns",
    ];
    assert_eq!(lines(&mut trace, 6).await, expected);
    assert_eq!(trace.next().await, None);
}

#[tokio::test(start_paused = true)]
async fn contents_are_shown_only_by_the_formatter_whose_panic_is_caught() {
    let rt = Runtime::new();
    let server = start(&rt).await;
    let format = |content: TraceContent<'_, Clerk>| match content {
        TraceContent::Call(_) => "asked\n".to_owned(),
        TraceContent::Cast(Cast::Work(time)) => format!("work {time:?}"),
        TraceContent::Info(info) => format!("{info:?}"),
        _ => panic!("no text"),
    };
    let mut trace = server.trace_with(format).await.unwrap();
    let mut plain = server.trace().await.unwrap();
    assert_eq!(lines(&mut trace, 2).await, ["system begins", "system took 0.0ns"]);
    server.call(|reply| reply).await.unwrap();
    server.cast(Cast::Work(ms(5)));
    server.cast(Cast::Nothing);
    settled().await;
    let shown = lines(&mut trace, 5).await;
    assert_eq!(shown[0], "call begins: asked\\n");
    assert_eq!(shown[2..4], ["cast begins: work 5ms", "cast took 5.0ms"]);
    assert_eq!(shown[4], "cast begins: the formatter panicked: no text");
    assert_eq!(lines(&mut plain, 3).await, ["call begins", "call took 0.0ns", "cast begins"]);
}

/// The listener takes nothing until the server has handled all calls.
#[tokio::test(start_paused = true)]
async fn a_listener_that_takes_nothing_does_not_stop_the_server() {
    let rt = Runtime::new();
    let server = start(&rt).await;
    let mut trace = server.trace().await.unwrap();
    for _ in 0..1_000 {
        server.call(|reply| reply).await.unwrap();
    }
    settled().await;
    assert_eq!(trace.missed(), 2_000 - 1_024);
    lines(&mut trace, 1_024).await;
    server.call(|reply| reply).await.unwrap();
    assert_eq!(lines(&mut trace, 2).await, ["call begins", "call took 0.0ns"]);
    assert_eq!(trace.missed(), 2_000 - 1_024);
}

/// The formatter does not run any more, and is dropped with the next item.
#[tokio::test(start_paused = true)]
async fn a_listener_that_is_dropped_is_removed() {
    let rt = Runtime::new();
    let server = start(&rt).await;
    let shown = Arc::new(AtomicU32::new(0));
    let weak = Arc::downgrade(&shown);
    let format = {
        let shown = shown.clone();
        move |_: TraceContent<'_, Clerk>| shown.fetch_add(1, Ordering::Relaxed).to_string()
    };
    let trace = server.trace_with(format).await.unwrap();
    let mut other = server.trace().await.unwrap();
    server.call(|reply| reply).await.unwrap();
    settled().await;
    assert_eq!((weak.strong_count(), shown.load(Ordering::Relaxed)), (2, 1));
    drop(trace);
    server.call(|reply| reply).await.unwrap();
    settled().await;
    assert_eq!((weak.strong_count(), shown.load(Ordering::Relaxed)), (1, 1));
    assert_eq!(lines(&mut other, 4).await[2], "call begins", "the other listener goes on");
}

/// The handler hangs for longer than the limit of the request.
#[tokio::test(start_paused = true)]
async fn a_request_that_times_out_leaves_no_trace_behind() {
    let rt = Runtime::new();
    let server = start(&rt).await;
    server.cast(Cast::Work(ms(6_000)));
    let shown = Arc::new(());
    let weak = Arc::downgrade(&shown);
    let trace = server.trace_with(move |_| format!("{shown:?}")).await;
    assert_eq!(trace.err(), Some(CallError::Timeout));
    assert_eq!(weak.strong_count(), 1, "the request is queued");
    sleep(ms(2_000)).await;
    server.call(|reply| reply).await.unwrap();
    settled().await;
    assert_eq!(weak.strong_count(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_trace_ends_with_a_killed_server() {
    let rt = Runtime::new();
    let server = start(&rt).await;
    let mut trace = server.trace().await.unwrap();
    server.cast(Cast::Work(Duration::MAX));
    settled().await;
    rt.kill(server.pid().unwrap());
    assert_eq!(server.ended().await, ExitReason::Killed);
    assert_eq!(lines(&mut trace, 1).await, ["cast begins"]);
    assert_eq!(trace.next().await, None);
}

#[tokio::test(start_paused = true)]
async fn a_formatter_does_not_run_while_there_is_no_room_for_its_text() {
    let rt = Runtime::new();
    let clerk = start(&rt).await;
    let runs = Arc::new(AtomicU32::new(0));
    let count = runs.clone();
    let trace = clerk
        .trace_with(move |_| {
            count.fetch_add(1, Ordering::SeqCst);
            "text".to_owned()
        })
        .await
        .unwrap();
    assert!((0..2_000).all(|_| clerk.cast(Cast::Nothing)));
    clerk.call(|reply| reply).await.unwrap();
    assert_eq!(runs.load(Ordering::SeqCst), 512, "half of 1,024 events are ends");
    assert!(trace.missed() > 2_000);
}
