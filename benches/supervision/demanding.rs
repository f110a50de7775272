//! Servers as children: each has an `init` that its starter waits for, a state, and messages of three
//! kinds.
//!
//! Raw: the supervisor of [`by_hand`], whose children do the same in a loop.
//!
//! Run it without `RUST_BACKTRACE`: with it, regrow keeps the backtrace of each panic.

use std::time::{Duration, Instant};

use regrow::{
    DynamicSupervisor, GenServer, Pid, Reply, Result, Runtime, ServerContext, ServerRef,
    Supervisor, SupervisorSpec,
};
use tokio::sync::{mpsc, oneshot};

use crate::by_hand::{self, Child, Fails, Message, Order, Strategy, Up};
use crate::support::{Bench, Row, Target, nanos_each};

/// The number of children of a group.
const GROUP: usize = 100;

pub(crate) fn rows(bench: &Bench) {
    let row = |text, target, size| Row { text, unit: "ns", target, size };
    let most = Target::Ratio;
    let first = row("server child, started on demand", most(1.4), 50_000);
    bench.compare(&first, |n| raw_children(n, Part::Start), |n| children(n, Part::Start));
    let first = row("server child, terminated", most(1.4), 50_000);
    bench.compare(&first, |n| raw_children(n, Part::Terminate), |n| children(n, Part::Terminate));
    let first =
        Row { unit: "ns/child", ..row("stop of 50,000 servers, dynamic", most(1.4), 50_000) };
    bench.compare(&first, |n| raw_children(n, Part::Stop), |n| children(n, Part::Stop));
    let first =
        Row { unit: "ns/child", ..row("stop of 50,000 servers, in order", most(1.4), 50_000) };
    bench.compare(&first, raw_stop, stop_in_order);

    let first = row("restart of a server after a panic", most(1.3), 20_000);
    bench.compare(&first, |n| raw_restart(n, Fails::Panic), |n| restart(n, Fails::Panic));
    let first = row("restart of a server after an error", most(1.3), 20_000);
    bench.compare(&first, |n| raw_restart(n, Fails::Error), |n| restart(n, Fails::Error));

    let text = "one_for_all, 100 servers, after a panic";
    let group = Row { unit: "µs", ..row(text, Target::Cost(170.0), 2_000) };
    bench.percentiles(
        &group,
        |n| raw_restarts(n, Strategy::OneForAll, GROUP, Fails::Panic),
        |n| restarts(n, Supervisor::one_for_all(), GROUP, Fails::Panic),
    );
}

/// Which part of the life of many children is measured.
#[derive(Clone, Copy)]
enum Part {
    Start,
    Terminate,
    Stop,
}

async fn raw_start(supervisor: &mpsc::UnboundedSender<Order>, up: Up) -> u64 {
    let (started, is_started) = oneshot::channel();
    let _ = supervisor.send(Order::Start(up, started));
    is_started.await.expect("it starts")
}

async fn raw_end(supervisor: &mpsc::UnboundedSender<Order>) {
    let (stopped, is_stopped) = oneshot::channel();
    let _ = supervisor.send(Order::Stop(stopped));
    is_stopped.await.expect("it stops");
}

async fn raw_children(size: usize, part: Part) -> f64 {
    let supervisor = by_hand::start(Strategy::Dynamic);
    let mut children = Vec::with_capacity(size);
    let start = Instant::now();
    for _ in 0..size {
        children.push(raw_start(&supervisor, None).await);
    }
    let mut cost = nanos_each(start, size);
    let start = Instant::now();
    if matches!(part, Part::Terminate) {
        for child in children {
            let (ended, has_ended) = oneshot::channel();
            let _ = supervisor.send(Order::Terminate(child, ended));
            has_ended.await.expect("it ends");
        }
        cost = nanos_each(start, size);
    }
    let start = Instant::now();
    raw_end(&supervisor).await;
    if matches!(part, Part::Stop) { nanos_each(start, size) } else { cost }
}

async fn children(size: usize, part: Part) -> f64 {
    let rt = Runtime::new();
    let supervisor = DynamicSupervisor::new().start(&rt).await.expect("it starts");
    let mut children: Vec<Pid> = Vec::with_capacity(size);
    let start = Instant::now();
    for _ in 0..size {
        children.push(supervisor.start_child(Server::child(None)).await.expect("it starts"));
    }
    let mut cost = nanos_each(start, size);
    let start = Instant::now();
    if matches!(part, Part::Terminate) {
        for child in children {
            supervisor.terminate_child(child).await.expect("it ends");
        }
        cost = nanos_each(start, size);
    }
    let start = Instant::now();
    supervisor.stop().await.expect("it stops");
    if matches!(part, Part::Stop) { nanos_each(start, size) } else { cost }
}

async fn raw_stop(size: usize) -> f64 {
    let supervisor = by_hand::start(Strategy::OneForOne);
    for _ in 0..size {
        raw_start(&supervisor, None).await;
    }
    let start = Instant::now();
    raw_end(&supervisor).await;
    nanos_each(start, size)
}

async fn stop_in_order(size: usize) -> f64 {
    let rt = Runtime::new();
    let mut tree = Supervisor::one_for_one();
    for n in 0..size {
        tree = tree.child(Server::child(None).with_id(format!("{n}")));
    }
    let tree = tree.start(&rt).await.expect("it starts");
    let start = Instant::now();
    tree.stop().await.expect("it stops");
    nanos_each(start, size)
}

async fn raw_restart(size: usize, fails: Fails) -> f64 {
    mean_nanos(&raw_restarts(size, Strategy::OneForOne, 1, fails).await)
}

async fn restart(size: usize, fails: Fails) -> f64 {
    mean_nanos(&restarts(size, Supervisor::one_for_one(), 1, fails).await)
}

fn mean_nanos(waits: &[Duration]) -> f64 {
    waits.iter().sum::<Duration>().as_nanos() as f64 / waits.len() as f64
}

/// How long each restart takes until the last of `children` runs again. The last fails.
async fn raw_restarts(
    size: usize,
    strategy: Strategy,
    children: usize,
    fails: Fails,
) -> Vec<Duration> {
    let supervisor = by_hand::start(strategy);
    for _ in 1..children {
        raw_start(&supervisor, None).await;
    }
    let (up, mut is_up) = mpsc::unbounded_channel::<Child>();
    raw_start(&supervisor, Some(up)).await;
    let mut child = is_up.recv().await.expect("it is up");
    let mut waits = Vec::with_capacity(size);
    for _ in 0..size {
        let start = Instant::now();
        let _ = child.send(Message::Fail(fails));
        child = is_up.recv().await.expect("it is up again");
        waits.push(start.elapsed());
    }
    let (reply, sum) = oneshot::channel();
    let _ = child.send(Message::Add(1));
    let _ = child.send(Message::Get(reply));
    assert_eq!(sum.await, Ok(1));
    raw_end(&supervisor).await;
    waits
}

async fn restarts(
    size: usize,
    tree: SupervisorSpec,
    children: usize,
    fails: Fails,
) -> Vec<Duration> {
    let rt = Runtime::new();
    let mut tree = tree.unlimited_restarts();
    for n in 1..children {
        tree = tree.child(Server::child(None).with_id(format!("{n}")));
    }
    let (up, mut is_up) = mpsc::unbounded_channel();
    let tree = tree.child(Server::child(Some(up)).with_id("last"));
    let tree = tree.start(&rt).await.expect("it starts");
    let mut child = is_up.recv().await.expect("it is up");
    let mut waits = Vec::with_capacity(size);
    for _ in 0..size {
        let start = Instant::now();
        child.cast(Cast::Fail(fails));
        child = is_up.recv().await.expect("it is up again");
        waits.push(start.elapsed());
    }
    child.cast(Cast::Add(1));
    assert_eq!(child.call(Get).await, Ok(1));
    tree.stop().await.expect("it stops");
    waits
}

/// A server as a child: it reports its start, adds numbers, and fails on request.
struct Server(u64);

enum Cast {
    Add(u64),
    Fail(Fails),
}

struct Get(Reply<u64>);

impl GenServer for Server {
    type Args = Option<mpsc::UnboundedSender<ServerRef<Self>>>;
    type Call = Get;
    type Cast = Cast;

    async fn init(up: Self::Args, ctx: &mut ServerContext<Self>) -> Result<Self> {
        if let Some(up) = up {
            let _ = up.send(ctx.this());
        }
        Ok(Server(0))
    }

    async fn handle_call(&mut self, call: Get, _: &mut ServerContext<Self>) -> Result {
        call.0.send(self.0);
        Ok(())
    }

    async fn handle_cast(&mut self, cast: Cast, _: &mut ServerContext<Self>) -> Result {
        match cast {
            Cast::Add(number) => self.0 += number,
            Cast::Fail(Fails::Panic) => panic!("as asked"),
            Cast::Fail(Fails::Error) => Err("as asked")?,
        }
        Ok(())
    }
}
