//! A dynamic supervisor's starts and stops that end otherwise than they were begun.

use crate::support;

use std::future::pending;
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use regrow::{
    CallError, ChildSpec, DynamicSupervisor, ExitReason, GenServer, Leftovers, Pid, Reply, Result,
    Runtime, ServerContext, Shutdown,
};
use support::settled;
use support::troupe::{Start, Troupe};
use tokio::sync::Notify;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::task::yield_now;
use tokio::time::timeout;

const SECOND: Duration = Duration::from_secs(1);

/// A restart that was called off, and comes to nothing after that: the name that the child held
/// is free, and not kept for a successor.
#[tokio::test(start_paused = true)]
async fn a_restart_that_was_called_off_and_fails_leaves_no_name() {
    let mut t = Troupe::new();
    let jobs = DynamicSupervisor::new().start(&t.rt).await.unwrap();
    t.next_starts("a", [Start::Good, Start::FailsAfter(SECOND)]);
    let pid = jobs.start_child(t.child("a")).await.unwrap();
    t.rt.kill(pid);
    settled().await;
    assert_eq!(jobs.terminate_child(pid).await, Ok(()));
    tokio::time::sleep(2 * SECOND).await;
    assert_eq!(t.player("a").call(|reply| reply).await, Err(CallError::NoProc));
    let started = timeout(SECOND, jobs.get_or_start("a", t.child("a"))).await;
    assert!(started.is_ok_and(|started| started.is_ok()));
    assert_eq!(t.told().await, ["a starts", "a fails", "a starts"]);
}

/// One timer serves all stops, however many of them come and go beside one that takes long.
#[tokio::test(start_paused = true)]
async fn stops_need_one_timer() {
    let rt = Runtime::new();
    let jobs = DynamicSupervisor::new().start(&rt).await.unwrap();
    let deaf = |time| {
        let child = ChildSpec::task("deaf", |mut ctx| async move {
            let stop = ctx.cancellation_token();
            stop.cancelled().await;
            pending().await
        });
        child.shutdown(time)
    };
    let long = jobs.start_child(deaf(Shutdown::Infinity)).await.unwrap();
    tokio::spawn({
        let jobs = jobs.clone();
        async move { jobs.terminate_child(long).await }
    });
    for _ in 0..50 {
        let job = jobs.start_child(deaf(Shutdown::Timeout(SECOND / 10))).await.unwrap();
        assert_eq!(jobs.terminate_child(job).await, Ok(()));
        tokio::time::sleep(SECOND).await;
    }
    assert_eq!(rt.leftovers().timers, 1);
    rt.kill(long);
}

/// A server that starts when it may, and then fails, or takes its time to stop.
struct Late(UnboundedSender<ExitReason>);

#[derive(Clone)]
struct Plan {
    may: Arc<Notify>,
    fails: bool,
    begins: UnboundedSender<Pid>,
    stopped: UnboundedSender<ExitReason>,
}

impl GenServer for Late {
    type Args = Plan;
    type Call = Reply<()>;
    type Cast = ();

    async fn init(plan: Plan, ctx: &mut ServerContext<Self>) -> Result<Self> {
        ctx.trap_exit(true);
        plan.begins.send(ctx.pid()).unwrap();
        plan.may.notified().await;
        if plan.fails {
            ctx.continue_with(());
        }
        Ok(Late(plan.stopped))
    }

    async fn handle_call(&mut self, _: Reply<()>, _: &mut ServerContext<Self>) -> Result {
        Ok(())
    }

    async fn handle_cast(&mut self, (): (), _: &mut ServerContext<Self>) -> Result {
        Err(ExitReason::crashed("at once"))
    }

    async fn terminate(&mut self, reason: &ExitReason) {
        if !reason.is_abnormal() {
            for _ in 0..100 {
                yield_now().await;
            }
        }
        self.0.send(reason.clone()).unwrap();
    }
}

/// Says so, and holds up whoever drops it, until it is opened.
struct Gate(UnboundedSender<()>, mpsc::Receiver<()>);

impl Drop for Gate {
    fn drop(&mut self) {
        self.0.send(()).unwrap();
        self.1.recv().unwrap();
    }
}

/// Two come up while the supervisor is busy, with a description that it refuses. The first fails
/// at once, and for that the supervisor gives up: the second is stopped in order, and waited for.
/// One worker is held up; on the other, the first has failed before anybody sees that it is up.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_up_as_its_supervisor_gives_up_is_stopped() {
    let rt = Runtime::with_mailbox_depth();
    let jobs = DynamicSupervisor::new().max_children(2).intensity(0, SECOND);
    let jobs = jobs.start(&rt).await.unwrap();
    let start = |child: ChildSpec| {
        let jobs = jobs.clone();
        tokio::spawn(async move { jobs.start_child(child).await })
    };
    let ((stopped, mut is_stopped), (begins, mut is_begun)) =
        (unbounded_channel(), unbounded_channel());
    let mut late = async |fails| {
        let may = Arc::new(Notify::new());
        let (begins, stopped) = (begins.clone(), stopped.clone());
        start(Late::child(Plan { may: may.clone(), fails, begins, stopped }));
        (may, is_begun.recv().await.unwrap())
    };
    let ((fail, first), (go_on, second)) = (late(true).await, late(false).await);

    let ((shut, mut is_shut), (open, opened)) = (unbounded_channel(), mpsc::channel());
    let gate = Arc::new(Mutex::new(Gate(shut, opened)));
    start(ChildSpec::task("one too many", move |_| async move {
        drop(gate);
        Ok(())
    }));
    is_shut.recv().await.unwrap();
    fail.notify_one();
    rt.ended(first).await;
    go_on.notify_one();
    // The exit of the first, and that both are done with their starts.
    while rt.info(jobs.pid()).unwrap().mailbox_depth < 3 {
        yield_now().await;
    }
    open.send(()).unwrap();
    assert!(jobs.ended().await.is_abnormal());
    assert!(!rt.is_alive(second));
    assert_eq!(rt.leftovers(), Leftovers::default());
    let reasons: Vec<_> = std::iter::from_fn(|| is_stopped.try_recv().ok()).collect();
    assert_eq!(reasons, [ExitReason::crashed("at once"), ExitReason::Shutdown]);
}
