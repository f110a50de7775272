//! The cost of a failed handler after which its server goes on, and of a crash whose line is left out.
//!
//! Raw: a task that matches the error of its handler and goes on, and a task that panics and is awaited.

use std::time::{Duration, Instant};

use crate::support::{Bench, Row, Target, nanos_each};
use regrow::{
    ExitReason, FailurePolicy, GenServer, Reply, Result, Runtime, ServerContext, Supervisor,
};
use tokio::sync::{mpsc, oneshot};

pub(crate) fn rows(bench: &Bench) {
    let row = |text, size| Row { text, unit: "ns", target: Target::None, size };
    bench.compare(&row("failed handler, resumed", 100_000), raw_failed, resumed);
    bench.compare(&row("panic, its line left out", 20_000), raw_panic, panics);
}

enum Request {
    Fail,
    Done(oneshot::Sender<()>),
}

fn handle(request: Request) -> Result<(), &'static str> {
    match request {
        Request::Fail => Err("as asked"),
        Request::Done(done) => done.send(()).map_err(|()| "gone"),
    }
}

async fn raw_failed(size: usize) -> f64 {
    let (sender, mut mailbox) = mpsc::unbounded_channel();
    let server = tokio::spawn(async move {
        let mut failed = 0;
        while let Some(request) = mailbox.recv().await {
            failed += u64::from(handle(request).is_err());
        }
        failed
    });
    let start = Instant::now();
    for _ in 0..size {
        sender.send(Request::Fail).expect("it lives");
    }
    let (done, is_done) = oneshot::channel();
    sender.send(Request::Done(done)).expect("it lives");
    is_done.await.expect("it answers");
    let cost = nanos_each(start, size);
    drop(sender);
    assert_eq!(server.await.expect("it ends"), size as u64);
    cost
}

/// A server whose casts fail.
struct Failing;

impl GenServer for Failing {
    type Args = ();
    type Call = Reply<()>;
    type Cast = ();

    async fn init((): (), _: &mut ServerContext<Self>) -> Result<Self> {
        Ok(Failing)
    }

    async fn handle_call(&mut self, reply: Reply<()>, _: &mut ServerContext<Self>) -> Result {
        reply.send(());
        Ok(())
    }

    async fn handle_cast(&mut self, (): (), _: &mut ServerContext<Self>) -> Result {
        Err(ExitReason::crashed("as asked"))
    }
}

async fn resumed(size: usize) -> f64 {
    let rt = Runtime::new();
    let child = Failing::child(()).named("failing").on_failure(|_| FailurePolicy::Resume);
    let child = child.resume_budget(u32::MAX, Duration::from_millis(1));
    let tree = Supervisor::one_for_one().child(child).start(&rt).await.expect("it starts");
    let server = rt.server::<Failing>("failing");
    let start = Instant::now();
    for _ in 0..size {
        server.cast(());
    }
    server.call_unlimited(|reply| reply).await.expect("it answers");
    let cost = nanos_each(start, size);
    assert_eq!(rt.counters().resumed, size as u64);
    tree.stop().await.expect("it stops");
    cost
}

fn panic() {
    std::panic::resume_unwind(Box::new("as asked"));
}

async fn raw_panic(size: usize) -> f64 {
    let start = Instant::now();
    for _ in 0..size {
        assert!(tokio::spawn(async { panic() }).await.is_err());
    }
    nanos_each(start, size)
}

async fn panics(size: usize) -> f64 {
    let rt = Runtime::new();
    rt.limit_log_lines(0, Duration::from_secs(3_600));
    let start = Instant::now();
    for _ in 0..size {
        rt.spawn(|_| async { panic() }).join().await;
    }
    nanos_each(start, size)
}
