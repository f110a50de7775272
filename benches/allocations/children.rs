//! What the life of a server as a child allocates: its start, its end and its restart.

use regrow::{DynamicSupervisor, GenServer, Reply, Result, Runtime, ServerContext, Supervisor};
use stats_alloc::{Region, Stats};
use tokio::sync::{mpsc, oneshot};

use crate::ALLOCATOR;
use crate::by_hand::{self, Fails, Message, Order, Strategy};
use crate::support::{Bench, Row, Target};

/// The number of children, or of restarts, before the measurement.
const WARM: usize = 1_000;

pub(crate) fn rows(bench: &Bench) {
    let size = 20_000;
    let row = |text, unit, target| Row { text, unit, target, size };
    let first = row("a server child, started and terminated", "per op", Target::Cost(14.0));
    bench.compare(&first, |n| raw_life(n, number), |n| life(n, number));
    let first = row("the same, bytes", "bytes", Target::Cost(2_000.0));
    bench.compare(&first, |n| raw_life(n, bytes), |n| life(n, bytes));
    let first = row("a server child, restarted after an error", "per op", Target::None);
    bench.compare(&first, |n| raw_restart(n, number), |n| restart(n, number));
    let first = row("the same, bytes", "bytes", Target::None);
    bench.compare(&first, |n| raw_restart(n, bytes), |n| restart(n, bytes));
}

/// Which figure of the allocator is shown.
type Figure = fn(&Stats) -> usize;

fn number(stats: &Stats) -> usize {
    stats.allocations
}

fn bytes(stats: &Stats) -> usize {
    stats.bytes_allocated
}

fn each(region: &Region<'_, std::alloc::System>, size: usize, figure: Figure) -> f64 {
    figure(&region.change()) as f64 / size as f64
}

async fn raw_life(size: usize, figure: Figure) -> f64 {
    let supervisor = by_hand::start(Strategy::Dynamic);
    let live = async |times: usize| {
        for _ in 0..times {
            let (started, is_started) = oneshot::channel();
            let _ = supervisor.send(Order::Start(None, started));
            let child = is_started.await.expect("it starts");
            let (ended, has_ended) = oneshot::channel();
            let _ = supervisor.send(Order::Terminate(child, ended));
            has_ended.await.expect("it ends");
        }
    };
    live(WARM).await;
    let region = Region::new(ALLOCATOR);
    live(size).await;
    let each = each(&region, size, figure);
    raw_end(&supervisor).await;
    each
}

async fn life(size: usize, figure: Figure) -> f64 {
    let supervisor = DynamicSupervisor::new().start(&Runtime::new()).await.expect("it starts");
    let live = async |times: usize| {
        for _ in 0..times {
            let child = supervisor.start_child(Child::child(None)).await.expect("it starts");
            supervisor.terminate_child(child).await.expect("it ends");
        }
    };
    live(WARM).await;
    let region = Region::new(ALLOCATOR);
    live(size).await;
    let each = each(&region, size, figure);
    supervisor.stop().await.expect("it stops");
    each
}

async fn raw_restart(size: usize, figure: Figure) -> f64 {
    let supervisor = by_hand::start(Strategy::OneForOne);
    let (up, mut is_up) = mpsc::unbounded_channel();
    let (started, is_started) = oneshot::channel();
    let _ = supervisor.send(Order::Start(Some(up), started));
    is_started.await.expect("it starts");
    let mut child = is_up.recv().await.expect("it is up");
    let mut fail = async |times: usize| {
        for _ in 0..times {
            let _ = child.send(Message::Fail(Fails::Error));
            child = is_up.recv().await.expect("it is up again");
        }
    };
    fail(WARM).await;
    let region = Region::new(ALLOCATOR);
    fail(size).await;
    let each = each(&region, size, figure);
    raw_end(&supervisor).await;
    each
}

async fn restart(size: usize, figure: Figure) -> f64 {
    let (up, mut is_up) = mpsc::unbounded_channel();
    let tree = Supervisor::one_for_one().unlimited_restarts().child(Child::child(Some(up)));
    let tree = tree.start(&Runtime::new()).await.expect("it starts");
    let mut child = is_up.recv().await.expect("it is up");
    let mut fail = async |times: usize| {
        for _ in 0..times {
            child.cast(());
            child = is_up.recv().await.expect("it is up again");
        }
    };
    fail(WARM).await;
    let region = Region::new(ALLOCATOR);
    fail(size).await;
    let each = each(&region, size, figure);
    tree.stop().await.expect("it stops");
    each
}

async fn raw_end(supervisor: &mpsc::UnboundedSender<Order>) {
    let (stopped, is_stopped) = oneshot::channel();
    let _ = supervisor.send(Order::Stop(stopped));
    is_stopped.await.expect("it stops");
}

/// A server as a child: it reports its start, and fails on request.
struct Child;

impl GenServer for Child {
    type Args = Option<mpsc::UnboundedSender<regrow::ServerRef<Self>>>;
    type Call = Reply<u64>;
    type Cast = ();

    async fn init(up: Self::Args, ctx: &mut ServerContext<Self>) -> Result<Self> {
        if let Some(up) = up {
            let _ = up.send(ctx.this());
        }
        Ok(Child)
    }

    async fn handle_cast(&mut self, (): (), _: &mut ServerContext<Self>) -> Result {
        Err("as asked")?
    }
}
