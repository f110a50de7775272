//! A handler that runs longer than the configured limit is reported while it runs.

use crate::support;

use std::time::Duration;

use regrow::{ExitReason, GenServer, Reply, Result, Runtime, ServerContext, ServerRef, Supervisor};
use support::log::{Line, Log};
use support::settled;
use tokio::time::{Instant, sleep};

struct Slow;

impl GenServer for Slow {
    type Args = ();
    type Call = (Duration, Reply<()>);
    type Cast = Duration;

    async fn init((): (), _: &mut ServerContext<Self>) -> Result<Self> {
        sleep(SECOND * 3).await;
        Ok(Slow)
    }

    async fn handle_call(&mut self, call: Self::Call, _: &mut ServerContext<Self>) -> Result {
        sleep(call.0).await;
        call.1.send(());
        Ok(())
    }

    async fn handle_cast(&mut self, time: Duration, _: &mut ServerContext<Self>) -> Result {
        sleep(time).await;
        Ok(())
    }

    async fn terminate(&mut self, _: &ExitReason) {
        sleep(SECOND * 3).await;
    }
}

const SECOND: Duration = Duration::from_secs(1);
const MS: Duration = Duration::from_millis(1);

async fn took(server: &ServerRef<Slow>, time: Duration) {
    server.call_unlimited(|reply| (time, reply)).await.unwrap();
}

fn slow(log: &Log) -> Vec<Line> {
    let mut lines = log.take();
    lines.retain(|line| line.head() == "WARN a handler runs long");
    lines
}

/// The report is one line that is logged exactly at the limit, while the handler still runs.
#[tokio::test(start_paused = true)]
async fn a_slow_handler_is_logged_once_while_it_runs() {
    let log = Log::listen();
    let rt = Runtime::new();
    rt.warn_after(SECOND);
    let server = Slow::spec(()).label("mailer").start(&rt).await.unwrap();
    sleep(SECOND * 10).await; // an idle server is not slow
    assert_eq!(slow(&log).len(), 0, "its init was");
    server.cast(SECOND * 60);
    sleep(SECOND - MS).await;
    assert_eq!(slow(&log).len(), 0);
    sleep(MS * 2).await;
    let [line] = &slow(&log)[..] else { panic!("it is due") };
    assert_eq!(line.target, "regrow::server");
    assert_eq!(line.field("pid"), server.pid().unwrap().to_string());
    assert_eq!((line.field("label"), line.field("callback")), ("mailer", "handle_cast"));
    assert_eq!(line.field("elapsed"), "1s");
    sleep(SECOND * 50).await;
    assert_eq!(slow(&log).len(), 0, "once is enough");

    server.cast(SECOND * 2); // a second slow handler
    took(&server, SECOND * 3).await;
    let callbacks: Vec<_> = slow(&log).iter().map(|l| l.field("callback").to_owned()).collect();
    assert_eq!(callbacks, ["handle_cast", "handle_call"]);
    server.stop(ExitReason::Normal).await.unwrap();
    assert_eq!(slow(&log).len(), 0, "its terminate was");
}

/// Many quick handlers in sequence are not reported.
#[tokio::test(start_paused = true)]
async fn many_quick_handlers_are_not_logged_as_slow() {
    let log = Log::listen();
    let rt = Runtime::new();
    rt.warn_after(SECOND);
    let server = Slow::start(&rt, ()).await.unwrap();
    for _ in 0..50 {
        server.cast(MS * 900);
    }
    took(&server, SECOND).await;
    assert_eq!(slow(&log).len(), 0);
    for _ in 0..3 {
        server.cast(MS * 700);
        server.cast(MS * 1_100);
    }
    let start = Instant::now();
    took(&server, MS).await;
    let lines = slow(&log);
    assert_eq!((lines.len(), start.elapsed()), (3, MS * 5_401));
    assert!(lines.iter().all(|line| line.field("elapsed") == "1s"), "{lines:?}");
}

/// The limit of a server replaces that of the runtime, whether it is shorter or longer.
#[tokio::test(start_paused = true)]
async fn the_warn_after_of_a_server_overrides_that_of_the_runtime() {
    let log = Log::listen();
    let rt = Runtime::new();
    let server = Slow::spec(()).warn_after(SECOND).start(&rt).await.unwrap();
    let other = Slow::spec(()).start(&rt).await.unwrap();
    took(&server, SECOND * 2).await;
    took(&other, SECOND * 2).await;
    assert_eq!(slow(&log).len(), 1);

    rt.warn_after(MS * 500);
    let never = Slow::child(()).named("never").warn_after(Duration::MAX);
    assert_eq!(never.get_warn_after(), Some(Duration::MAX));
    let _tree = Supervisor::one_for_one().child(never).start(&rt).await.unwrap();
    for (server, times) in [(&server, 0), (&other, 1), (&rt.server("never"), 0)] {
        took(server, MS * 900).await;
        assert_eq!(slow(&log).len(), times);
    }
    rt.warn_after(None);
    took(&other, SECOND * 9).await;
    assert_eq!(slow(&log).len(), 0);
    took(&server, SECOND * 9).await;
    assert_eq!(slow(&log).len(), 1, "its own stays");
}

/// A handler that has panicked or was killed is not reported.
#[tokio::test(start_paused = true)]
async fn a_handler_that_has_ended_is_not_logged_as_slow() {
    let log = Log::listen();
    let rt = Runtime::new();
    rt.warn_after(SECOND);
    let server = Slow::start(&rt, ()).await.unwrap();
    server.cast(SECOND * 60);
    sleep(MS * 500).await;
    support::killed(&rt, server.pid().unwrap()).await;
    sleep(SECOND * 5).await;
    assert_eq!(slow(&log).len(), 0);
    let server = Slow::start(&rt, ()).await.unwrap();
    server.suspend().await.unwrap();
    sleep(SECOND * 5).await;
    assert_eq!(slow(&log).len(), 0, "a suspended server handles nothing");
    settled().await;
}

/// A panicking log subscriber ends no process.
#[tokio::test(start_paused = true)]
async fn a_panicking_subscriber_does_not_end_a_slow_server() {
    let _broken = tracing::subscriber::set_default(support::log::Broken);
    let rt = Runtime::new();
    rt.warn_after(SECOND);
    let server = Slow::start(&rt, ()).await.unwrap();
    took(&server, SECOND * 2).await;
    took(&server, SECOND * 2).await;
    assert!(rt.is_alive(server.pid().unwrap()));
}

/// A server whose handler never awaits, and blocks its thread until it has been reported.
struct Stuck;

impl GenServer for Stuck {
    type Args = ();
    type Call = Reply<()>;
    type Cast = std::sync::mpsc::Receiver<()>;

    async fn init((): (), _: &mut ServerContext<Self>) -> Result<Self> {
        Ok(Stuck)
    }

    async fn handle_call(&mut self, reply: Reply<()>, _: &mut ServerContext<Self>) -> Result {
        reply.send(());
        Ok(())
    }

    async fn handle_cast(&mut self, gate: Self::Cast, _: &mut ServerContext<Self>) -> Result {
        gate.recv()?;
        Ok(())
    }
}

/// A log subscriber that releases the handler when the handler is reported as slow.
struct LetGo(std::sync::Mutex<std::sync::mpsc::Sender<()>>);

impl tracing::Subscriber for LetGo {
    fn enabled(&self, about: &tracing::Metadata<'_>) -> bool {
        about.target() == "regrow::server"
    }
    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }
    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}
    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}
    fn event(&self, _: &tracing::Event<'_>) {
        self.0.lock().unwrap().send(()).unwrap();
    }
    fn enter(&self, _: &tracing::span::Id) {}
    fn exit(&self, _: &tracing::span::Id) {}
}

/// The report must come while the handler blocks its thread; otherwise this test would never end.
#[test]
fn a_slow_handler_that_never_awaits_is_logged_by_another_thread() {
    support::log::keep_lines_wanted();
    let (open, gate) = std::sync::mpsc::channel();
    let hearing = tracing::Dispatch::new(LetGo(std::sync::Mutex::new(open)));
    let each = hearing.clone();
    let tokio = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .on_thread_start(move || {
            // The default lasts as long as the thread.
            std::mem::forget(tracing::dispatcher::set_default(&each));
        })
        .build()
        .unwrap();
    tokio.block_on(async {
        let rt = Runtime::new();
        rt.warn_after(MS);
        let stuck = Stuck::start(&rt, ()).await.unwrap();
        stuck.cast(gate);
        let call = tokio::spawn(async move { stuck.call_unlimited(|reply| reply).await });
        // The other thread gets tasks, so that it also processes its timers.
        while !call.is_finished() {
            tokio::spawn(tokio::task::yield_now()).await.unwrap();
        }
        call.await.unwrap().unwrap();
        rt.shutdown();
    });
}
