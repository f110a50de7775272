//! A fixed supervisor polls the `init` of a server once in its own task. The server and other code
//! notice nothing of it.

use crate::support;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use regrow::{
    CrashKind, ExitReason, GenServer, Reply, Result, Runtime, ServerContext, StartError, Supervisor,
};
use support::injected_panics::hush_injected_panics;
use support::settled;
use tokio::sync::mpsc::unbounded_channel;
use tokio::sync::oneshot;

type Init = Arc<dyn Fn(&ServerContext<Scripted>) -> Act + Send + Sync>;

/// What `init` does after it has called the closure.
enum Act {
    Starts,
    Fails,
    Panics,
    Awaits(oneshot::Receiver<()>),
}

struct Scripted;

impl GenServer for Scripted {
    type Args = Init;
    type Call = Reply<()>;
    type Cast = ();

    async fn init(script: Init, ctx: &mut ServerContext<Self>) -> Result<Self> {
        match script(ctx) {
            Act::Starts => {}
            Act::Fails => Err("no luck")?,
            Act::Panics => panic!("boom, as scripted"),
            Act::Awaits(gate) => gate.await?,
        }
        Ok(Scripted)
    }

    async fn handle_call(&mut self, reply: Reply<()>, _: &mut ServerContext<Self>) -> Result {
        reply.send(());
        Ok(())
    }
}

fn child(
    id: &str,
    script: impl Fn(&ServerContext<Scripted>) -> Act + Send + Sync + 'static,
) -> regrow::ChildSpec {
    Scripted::child(Arc::new(script) as Init).with_id(id).named(id)
}

/// The `init` is polled first without a task, and then by its own task: its waker wakes that task.
#[tokio::test]
async fn an_init_that_waits_is_woken_in_its_own_task() {
    let rt = Runtime::new();
    let (open, gate) = oneshot::channel();
    let gate = Mutex::new(Some(gate));
    let waits = child("waits", move |_| Act::Awaits(gate.lock().unwrap().take().unwrap()));
    let starting = tokio::spawn({
        let rt = rt.clone();
        async move { Supervisor::one_for_one().child(waits).start(&rt).await }
    });
    settled().await;
    assert!(!starting.is_finished());
    open.send(()).unwrap();
    let tree = starting.await.unwrap().unwrap();
    assert_eq!(rt.server::<Scripted>("waits").call(|reply| reply).await, Ok(()));
    tree.stop().await.unwrap();
}

/// Inside `init`, the current process is the server; after it, the supervisor. A server that kills
/// itself in `init` ends, and a message that it sends to itself is there after the start.
#[tokio::test]
async fn an_init_that_kills_its_own_process_ends_it() {
    let rt = Runtime::new();
    let starts = Arc::new(AtomicUsize::new(0));
    let count = starts.clone();
    let spec = child("victim", move |ctx| {
        if count.fetch_add(1, Ordering::SeqCst) == 0 {
            assert!(ctx.runtime().kill(ctx.pid()));
        }
        Act::Starts
    });
    let tree = Supervisor::one_for_one().child(spec).start(&rt).await.unwrap();
    settled().await;
    assert_eq!(starts.load(Ordering::SeqCst), 2);
    let victim = tree.which_child("victim").await.unwrap();
    assert_eq!(victim.restarts, 1);
    assert_eq!(rt.server::<Scripted>("victim").call(|reply| reply).await, Ok(()));
    tree.stop().await.unwrap();
}

/// A failed `init` leaves no process, no name and no task, and the error is that of the server.
#[tokio::test]
async fn an_init_that_fails_or_panics_at_its_first_poll_fails_the_start() {
    hush_injected_panics();
    let rt = Runtime::new();
    let act = Arc::new(AtomicUsize::new(0));
    let script = act.clone();
    let spec = child("bad", move |_| match script.fetch_add(1, Ordering::SeqCst) {
        0 => Act::Fails,
        1 => Act::Panics,
        _ => Act::Starts,
    });
    for kind in [CrashKind::Error, CrashKind::Panic] {
        let tree = Supervisor::one_for_one().child(spec.clone());
        let Err(StartError::Child { error, .. }) = tree.start(&rt).await else {
            panic!("it starts");
        };
        let StartError::Failed(reason) = *error else { panic!("{error}") };
        assert_eq!(reason.crash().unwrap().kind(), kind);
        assert_eq!((rt.whereis("bad"), rt.process_count()), (None, 0));
    }
    let tree = Supervisor::one_for_one().child(spec).start(&rt).await.unwrap();
    assert_eq!(tree.stop().await, Ok(ExitReason::Shutdown));
}

/// An `init` that blocks its thread does not run in the task of its supervisor if it has a time
/// limit: the start is given up in time.
#[test]
fn a_blocking_init_with_a_limit_is_given_up_in_time() {
    let mut tokio = tokio::runtime::Builder::new_multi_thread();
    let tokio = tokio.worker_threads(2).enable_all().build().unwrap();
    let (release, blocked) = mpsc::channel::<()>();
    let (begun, mut began) = unbounded_channel();
    let blocked = Mutex::new(blocked);
    let spec = child("blocks", move |ctx| {
        begun.send(ctx.pid()).unwrap();
        let _ = blocked.lock().unwrap().recv();
        Act::Starts
    });
    let spec = spec.init_timeout(Duration::from_millis(10));
    tokio.block_on(async {
        let rt = Runtime::new();
        let tree = Supervisor::one_for_one().child(spec);
        let starting = tokio::spawn({
            let rt = rt.clone();
            async move { tree.start(&rt).await }
        });
        let pid = began.recv().await.unwrap();
        // A process whose exit is pending refuses messages.
        while rt.send(pid, Vec::new()) {
            tokio::task::yield_now().await;
        }
        release.send(()).unwrap();
        assert!(starting.await.unwrap().is_err());
    });
}

/// A supervisor whose children take long in `init` lets other tasks run between two of them.
#[tokio::test]
async fn other_tasks_run_between_two_long_inits() {
    let rt = Runtime::new();
    let (polls, runs) = (Arc::new(AtomicUsize::new(0)), Arc::new(Mutex::new(Vec::new())));
    let counted = polls.clone();
    let other = tokio::spawn(async move {
        loop {
            counted.fetch_add(1, Ordering::SeqCst);
            tokio::task::yield_now().await;
        }
    });
    let mut tree = Supervisor::one_for_one();
    for n in 0..4 {
        let (polls, runs) = (polls.clone(), runs.clone());
        tree = tree.child(child(&format!("{n}"), move |_| {
            let began = std::time::Instant::now();
            while began.elapsed() < Duration::from_micros(600) {
                std::hint::spin_loop();
            }
            runs.lock().unwrap().push(polls.load(Ordering::SeqCst));
            Act::Starts
        }));
    }
    let tree = tree.start(&rt).await.unwrap();
    let runs = runs.lock().unwrap().clone();
    assert!(runs[0] < runs[3], "{runs:?}");
    other.abort();
    tree.stop().await.unwrap();
}
