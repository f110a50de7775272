//! A process that always has a queued message still lets other processes run.
//!
//! The tests count messages, not time: between two turns of a sibling on the same thread the busy
//! process may handle as many messages as tokio's budget allows.

use crate::support;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::{StreamExt, stream};
use regrow::{
    Context, ExitReason, GenServer, ProcessHandle, Registry, Runtime, ServerContext, TaskStream,
    TaskSupervisor,
};
use support::text;
use tokio::runtime::Builder;

/// The maximum number of messages that a sibling may have to wait for. After a task has yielded,
/// tokio polls other tasks at most 61 times before it polls that task again. Each poll has a budget
/// of 128.
const AT_MOST: usize = 61 * 128 + 128;

/// The number of messages that the busy process handles: more than fit between the ten turns of a
/// sibling. Without a budget, a sibling would wait for all of them.
const MAIL: usize = 12 * AT_MOST;

#[derive(Clone, Copy, Debug)]
enum Receive {
    Plain,
    Selective,
    Timed,
}

const RECEIVES: [Receive; 3] = [Receive::Plain, Receive::Selective, Receive::Timed];

impl Receive {
    async fn one(self, ctx: &mut Context) {
        match self {
            Receive::Plain => drop(ctx.recv().await),
            Receive::Selective => drop(ctx.recv_match(|item| *item == text("x")).await),
            Receive::Timed => drop(ctx.recv_timeout(Duration::from_secs(1)).await),
        }
    }
}

/// Starts a process that receives `MAIL` messages: `queued` of them are sent to it at the start,
/// and it sends the others to itself.
fn busy(
    rt: &Runtime,
    receive: Receive,
    queued: usize,
    handled: &Arc<AtomicUsize>,
) -> ProcessHandle {
    let handled = Arc::clone(handled);
    let process = rt.spawn(move |mut ctx| async move {
        for round in 0..MAIL {
            receive.one(&mut ctx).await;
            handled.fetch_add(1, Ordering::SeqCst);
            if round + queued < MAIL {
                ctx.runtime().send(ctx.pid(), b"x".to_vec());
            }
        }
    });
    for _ in 0..queued {
        rt.send(process.pid(), b"x".to_vec());
    }
    process
}

/// Returns the maximum number of messages that the busy process handled between two turns of a
/// sibling.
async fn longest_wait(rt: &Runtime, receive: Receive, queued: usize) -> usize {
    let handled = Arc::default();
    let process = busy(rt, receive, queued, &handled);
    let sibling = tokio::spawn(async move {
        let (mut before, mut longest) = (0, 0);
        while before < MAIL {
            tokio::task::yield_now().await;
            let now = handled.load(Ordering::SeqCst);
            longest = longest.max(now - before);
            before = now;
        }
        longest
    });
    assert_eq!(process.join().await, ExitReason::Normal);
    sibling.await.unwrap()
}

fn assert_siblings_wait_at_most_one_budget(queued: usize) {
    let current = Builder::new_current_thread().enable_all().build().unwrap();
    let worker = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    for tokio in [current, worker] {
        for receive in RECEIVES {
            let measure = async move { longest_wait(&Runtime::new(), receive, queued).await };
            // The measurement runs on a worker, not on the thread that calls `block_on`.
            let longest = tokio.block_on(async { tokio::spawn(measure).await.unwrap() });
            assert!(longest <= AT_MOST, "{receive:?}: waited for {longest} messages");
        }
    }
}

#[test]
fn a_process_with_a_full_mailbox_does_not_starve_its_siblings() {
    assert_siblings_wait_at_most_one_budget(MAIL);
}

#[test]
fn a_process_that_sends_to_itself_does_not_starve_its_siblings() {
    assert_siblings_wait_at_most_one_budget(1);
}

/// How a server always has something to do: it calls `continue_with` in each turn, or sets an idle
/// time-out of zero. It stops after `MAIL` turns.
#[derive(Clone, Copy, Debug)]
enum Restless {
    Continues,
    Idles,
}

struct Worker {
    how: Restless,
    turns: usize,
    handled: Arc<AtomicUsize>,
}

impl Worker {
    fn turn(&mut self, ctx: &mut ServerContext<Self>) -> regrow::Result {
        self.turns += 1;
        self.handled.store(self.turns, Ordering::SeqCst);
        if self.turns == MAIL {
            return Err(ExitReason::Normal);
        }
        match self.how {
            Restless::Continues => ctx.continue_with(()),
            Restless::Idles => ctx.idle_timeout(Duration::ZERO),
        }
        Ok(())
    }
}

impl GenServer for Worker {
    type Args = (Restless, Arc<AtomicUsize>);
    type Call = ();
    type Cast = ();

    async fn init(
        (how, handled): Self::Args,
        ctx: &mut ServerContext<Self>,
    ) -> regrow::Result<Self> {
        ctx.continue_with(());
        Ok(Worker { how, turns: 0, handled })
    }

    async fn handle_call(&mut self, (): (), _: &mut ServerContext<Self>) -> regrow::Result {
        Ok(())
    }

    async fn handle_cast(&mut self, (): (), ctx: &mut ServerContext<Self>) -> regrow::Result {
        self.turn(ctx)
    }

    async fn handle_timeout(&mut self, ctx: &mut ServerContext<Self>) -> regrow::Result {
        self.turn(ctx)
    }
}

/// Other tasks on the server's thread run between its turns, and one of them can kill the server.
#[tokio::test]
async fn a_server_that_never_waits_does_not_starve_its_siblings() {
    let rt = Runtime::new();
    for how in [Restless::Continues, Restless::Idles] {
        let handled = Arc::new(AtomicUsize::new(0));
        let worker = Worker::start(&rt, (how, handled.clone())).await.unwrap();
        for _ in 0..10 {
            let before = handled.load(Ordering::SeqCst);
            tokio::task::yield_now().await;
            let meanwhile = handled.load(Ordering::SeqCst) - before;
            assert!(meanwhile <= AT_MOST, "{how:?}: waited for {meanwhile} turns");
        }
        rt.kill(worker.pid().unwrap());
        assert_eq!(worker.ended().await, ExitReason::Killed, "{how:?}");
    }
}

/// Counts a turn. Returns false after `MAIL` turns.
fn goes_on(turns: &AtomicUsize) -> bool {
    turns.fetch_add(1, Ordering::SeqCst) < MAIL
}

async fn assert_siblings_run_and_a_kill_works(process: ProcessHandle, handled: Arc<AtomicUsize>) {
    for _ in 0..10 {
        let before = handled.load(Ordering::SeqCst);
        tokio::task::yield_now().await;
        let meanwhile = handled.load(Ordering::SeqCst) - before;
        assert!(meanwhile <= AT_MOST, "waited for {meanwhile} turns");
    }
    process.kill();
    assert_eq!(process.join().await, ExitReason::Killed);
}

/// Each `join` is ready at once, because the process has already ended.
#[tokio::test]
async fn a_loop_that_joins_ended_processes_does_not_starve_its_siblings() {
    let rt = Runtime::new();
    let (dead, handled) = (support::dead(&rt).await, Arc::default());
    let counts = Arc::clone(&handled);
    let process = rt.spawn(move |ctx| async move {
        let rt = ctx.runtime();
        while goes_on(&counts) {
            rt.spawn_link(dead, |_| std::future::pending()).join().await;
        }
    });
    assert_siblings_run_and_a_kill_works(process, handled).await;
}

/// A listener that causes a change for each change it receives.
#[tokio::test]
async fn a_registry_listener_that_causes_changes_does_not_starve_its_siblings() {
    let (rt, handled) = (Runtime::new(), Arc::default());
    let counts = Arc::clone(&handled);
    let process = rt.spawn(move |ctx| async move {
        let registry = Registry::<u8, ()>::unique(&ctx.runtime());
        let mut changes = registry.changes();
        registry.register(ctx.pid(), 1, ()).unwrap();
        while goes_on(&counts) {
            changes.next().await;
            if !registry.unregister(ctx.pid(), &1) {
                registry.register(ctx.pid(), 1, ()).unwrap();
            }
        }
    });
    assert_siblings_run_and_a_kill_works(process, handled).await;
}

/// A stream of tasks that cannot start, because their supervisor has ended.
#[tokio::test]
async fn a_stream_of_tasks_that_cannot_start_does_not_starve_its_siblings() {
    let (rt, handled) = (Runtime::new(), Arc::default());
    let tasks = TaskSupervisor::new().start(&rt).await.unwrap();
    tasks.stop().await.unwrap();
    let counts = Arc::clone(&handled);
    let process = rt.spawn(move |ctx| async move {
        let each = TaskStream::nolink(&ctx.runtime(), stream::repeat(()), |()| async {});
        let mut each = each.supervised_by(&tasks);
        while goes_on(&counts) {
            drop(each.next().await);
        }
    });
    assert_siblings_run_and_a_kill_works(process, handled).await;
}

/// The stream starts all its tasks at once: its concurrency has no bound.
#[tokio::test]
async fn an_unbounded_task_stream_does_not_starve_its_siblings() {
    let (rt, handled) = (Runtime::new(), Arc::new(AtomicUsize::new(0)));
    let counts = Arc::clone(&handled);
    let process = rt.spawn(move |ctx| async move {
        let counted = stream::iter(0..MAIL).inspect(move |_| assert!(goes_on(&counts)));
        let all = TaskStream::nolink(&ctx.runtime(), counted, |_| std::future::pending::<()>());
        let mut all = all.concurrency(usize::MAX);
        all.next().await;
    });
    assert_siblings_run_and_a_kill_works(process, handled).await;
}
