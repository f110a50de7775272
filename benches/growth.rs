//! Whether a cost stays the same beside more processes: 10,000, 100,000 and 1,000,000.
//!
//! Each population lives in a runtime of its own, and the three are measured alternately. The ratio
//! is that of the last figure to the first. For raw, the same is measured, and its ratio is what
//! caches of the processor cost.
//!
//! * Spawn: 10,000 processes are spawned at once beside the idle ones, end, and are reaped.
//! * Whereis: names are looked up in another order than they were registered in.
//! * Restart: a supervised server fails, beside idle siblings under the same dynamic supervisor.
//!
//! The growth of memory is a row of the bench `memory`.

mod support;

use std::collections::HashMap;
use std::hint::black_box;
use std::sync::{Arc, Mutex, RwLock};
use std::time::Instant;

use regrow::{
    ChildSpec, DynamicSupervisor, DynamicSupervisorRef, GenServer, Restart, Result, Runtime,
    ServerContext, ServerRef,
};
use support::{Bench, Row, Target, nanos_each};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// Two neighbours in the order of lookups are this far apart in the order of registrations.
const STRIDE: usize = 7_919;

fn main() {
    let bench = Bench::new("growth");
    bench.growth_header("beside other processes");
    let row = |text, target| Row { text, unit: "ns", target, size: 10_000 };
    let flat = Target::Ratio(1.05);
    let spawn = row("10,000 spawned at once, ended, reaped", flat);
    bench.growth(&spawn, idle, |rt, n| async move { spawn_at_once(&rt, n).await });
    let raw = row("the same, raw", Target::None);
    bench.growth(&raw, raw_idle, |_, n| raw_spawn_at_once(n));
    let whereis = Row { size: 200_000, ..row("whereis", flat) };
    bench.growth(&whereis, names, whereis_each);
    let raw = Row { size: 200_000, ..row("whereis, raw: a HashMap in a RwLock", Target::None) };
    bench.growth(&raw, raw_names, raw_whereis);
    let restart = Row { size: 5_000, ..row("restart of a server after an error", flat) };
    bench.growth(&restart, siblings, restart_one);
}

async fn idle(size: usize) -> Runtime {
    let rt = Runtime::new();
    for _ in 0..size {
        rt.spawn(|mut ctx| async move { drop(ctx.recv().await) });
    }
    rt
}

async fn spawn_at_once(rt: &Runtime, size: usize) -> f64 {
    let start = Instant::now();
    let mut processes = Vec::with_capacity(size);
    for _ in 0..size {
        processes.push(rt.spawn(|ctx| async move { drop(ctx) }));
    }
    for process in processes {
        process.join().await;
    }
    nanos_each(start, size)
}

type Idle = Vec<(mpsc::UnboundedSender<Vec<u8>>, JoinHandle<()>)>;

async fn raw_idle(size: usize) -> Idle {
    let spawn = |_| {
        let (sender, mut receiver) = mpsc::unbounded_channel::<Vec<u8>>();
        (sender, tokio::spawn(async move { drop(receiver.recv().await) }))
    };
    (0..size).map(spawn).collect()
}

async fn raw_spawn_at_once(size: usize) -> f64 {
    let start = Instant::now();
    let mut tasks = Vec::with_capacity(size);
    for _ in 0..size {
        let (sender, receiver) = mpsc::unbounded_channel::<Vec<u8>>();
        tasks.push((sender, tokio::spawn(async move { drop(receiver) })));
    }
    for (sender, task) in tasks {
        task.await.expect("it ends");
        drop(sender);
    }
    nanos_each(start, size)
}

fn name(at: usize) -> String {
    format!("session/{at}")
}

/// The names that a measurement looks up, spread over all.
fn looked_up(names: usize, lookups: usize) -> Vec<String> {
    (0..lookups.min(names)).map(|n| name(n * STRIDE % names)).collect()
}

async fn names(size: usize) -> (Runtime, usize) {
    let rt = Runtime::new();
    for at in 0..size {
        let process = rt.spawn(|mut ctx| async move { drop(ctx.recv().await) });
        assert!(rt.register(name(at), process.pid()));
    }
    (rt, size)
}

async fn whereis_each(population: Arc<(Runtime, usize)>, lookups: usize) -> f64 {
    let (rt, names) = &*population;
    let names = looked_up(*names, lookups);
    let start = Instant::now();
    for name in names.iter().cycle().take(lookups) {
        assert!(black_box(rt.whereis(name)).is_some());
    }
    nanos_each(start, lookups)
}

type Names = RwLock<HashMap<String, mpsc::UnboundedSender<Vec<u8>>>>;

async fn raw_names(size: usize) -> Names {
    // One channel for each name, as each name has a process of its own.
    let entry = |at| (name(at), mpsc::unbounded_channel().0);
    RwLock::new((0..size).map(entry).collect())
}

async fn raw_whereis(table: Arc<Names>, lookups: usize) -> f64 {
    let names = looked_up(table.read().expect("no reader panics").len(), lookups);
    let start = Instant::now();
    for name in names.iter().cycle().take(lookups) {
        let found = table.read().expect("no reader panics").get(name).cloned();
        assert!(black_box(found).is_some());
    }
    nanos_each(start, lookups)
}

/// A server that ends with an error when it is sent a cast.
struct Fails;

type Up = mpsc::UnboundedSender<ServerRef<Fails>>;

impl GenServer for Fails {
    type Args = Up;
    type Call = ();
    type Cast = ();

    async fn init(up: Up, ctx: &mut ServerContext<Self>) -> Result<Self> {
        let _ = up.send(ctx.this());
        Ok(Fails)
    }

    async fn handle_call(&mut self, (): (), _: &mut ServerContext<Self>) -> Result {
        Ok(())
    }

    async fn handle_cast(&mut self, (): (), _: &mut ServerContext<Self>) -> Result {
        Err("as asked")?
    }
}

/// The server that fails, and where its next start is reported.
type Failing = (ServerRef<Fails>, mpsc::UnboundedReceiver<ServerRef<Fails>>);

/// A supervisor with one server that fails and its siblings.
struct Siblings {
    _children: DynamicSupervisorRef,
    failing: Mutex<Option<Failing>>,
}

async fn siblings(size: usize) -> Siblings {
    let rt = Runtime::new();
    let children = DynamicSupervisor::new().unlimited_restarts().start(&rt).await;
    let children = children.expect("it starts");
    for _ in 0..size {
        let sibling = ChildSpec::task("sibling", |mut ctx| async move {
            ctx.recv().await;
            Ok(())
        });
        children.start_child(sibling.restart(Restart::Temporary)).await.expect("it starts");
    }
    let (up, mut is_up) = mpsc::unbounded_channel();
    children.start_child(Fails::child(up)).await.expect("it starts");
    let server = is_up.recv().await.expect("it is up");
    Siblings { _children: children, failing: Mutex::new(Some((server, is_up))) }
}

async fn restart_one(population: Arc<Siblings>, size: usize) -> f64 {
    let taken = population.failing.lock().expect("no bench panics").take();
    let (mut server, mut is_up) = taken.expect("one measurement runs at a time");
    let start = Instant::now();
    for _ in 0..size {
        server.cast(());
        server = is_up.recv().await.expect("it is up again");
    }
    let cost = nanos_each(start, size);
    *population.failing.lock().expect("no bench panics") = Some((server, is_up));
    cost
}
