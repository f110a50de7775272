//! Starts and stops of a dynamic supervisor that are cancelled or overtaken by another request.

use crate::support;

use std::future::pending;
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use regrow::{
    CallError, ChildError, ChildSpec, DynamicSupervisor, DynamicSupervisorRef, ExitReason,
    GenServer, Leftovers, Pid, Reply, Result, Runtime, ServerContext, Shutdown,
};
use support::scripted_children::{ScriptedChildren, Start};
use support::settled;
use tokio::sync::Notify;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::yield_now;
use tokio::time::{Instant, timeout};

const SECOND: Duration = Duration::from_secs(1);

/// A restart is cancelled, and its start then fails. The name of the child is free, and is not
/// reserved for another incarnation.
#[tokio::test(start_paused = true)]
async fn a_cancelled_restart_that_fails_frees_the_name() {
    let mut t = ScriptedChildren::new();
    let jobs = DynamicSupervisor::new().start(&t.rt).await.unwrap();
    t.next_starts("a", [Start::Good, Start::FailsAfter(SECOND)]);
    let pid = jobs.start_child(t.child("a")).await.unwrap();
    t.rt.kill(pid);
    settled().await;
    assert_eq!(jobs.terminate_child(pid).await, Ok(()));
    tokio::time::sleep(2 * SECOND).await;
    assert_eq!(t.server("a").call(|reply| reply).await, Err(CallError::NoHolder("a".into())));
    let started = timeout(SECOND, jobs.get_or_start("a", t.child("a"))).await;
    assert!(started.is_ok_and(|started| started.is_ok()));
    assert_eq!(t.reports().await, ["a starts", "a fails", "a starts"]);
}

/// Starts a child, kills it, and returns while its restart waits in `init`. Returns the runtime,
/// the supervisor, the pids of both incarnations, the permission that lets the `init` continue, and
/// the reasons that `terminate` gets.
async fn held_up_in_its_restart(
    jobs: &DynamicSupervisor,
    shutdown: Shutdown,
) -> (Runtime, DynamicSupervisorRef, Pid, Pid, Arc<Notify>, UnboundedReceiver<ExitReason>) {
    let rt = Runtime::new();
    let jobs = jobs.clone().start(&rt).await.unwrap();
    let may = Arc::new(Notify::new());
    let ((begins, mut is_begun), (stopped, is_stopped)) =
        (unbounded_channel(), unbounded_channel());
    let plan = Plan { may: may.clone(), fails: false, begins, stopped };
    may.notify_one();
    let first = jobs.start_child(Late::child(plan).shutdown(shutdown)).await.unwrap();
    assert_eq!(is_begun.recv().await, Some(first));
    rt.kill(first);
    let second = is_begun.recv().await.unwrap();
    (rt, jobs, first, second, may, is_stopped)
}

/// The child is terminated while its restart is in progress. As under a fixed supervisor, the
/// `init` finishes, and then the started server is stopped.
#[tokio::test(start_paused = true)]
async fn terminate_child_during_a_restart_answers_after_the_child_has_ended() {
    let time = Shutdown::Timeout(10 * SECOND);
    let (rt, jobs, first, second, may, mut is_stopped) =
        held_up_in_its_restart(&DynamicSupervisor::new(), time).await;
    let terminate = || {
        let jobs = jobs.clone();
        tokio::spawn(async move { jobs.terminate_child(first).await })
    };
    let (asked, again) = (terminate(), terminate());
    tokio::time::sleep(SECOND).await;
    assert!(!asked.is_finished() && rt.is_alive(second));
    may.notify_one();
    assert_eq!(asked.await.unwrap(), Ok(()));
    assert!(!rt.is_alive(second));
    assert_eq!(is_stopped.try_recv(), Ok(ExitReason::Shutdown));
    assert_eq!(again.await.unwrap(), Err(ChildError::NotFound(first.to_string())));
    assert_eq!(jobs.count_children().await.unwrap().specs, 0);
}

/// The `init` of a cancelled restart does not finish. Its process is killed when the shutdown time
/// of the child is over.
#[tokio::test(start_paused = true)]
async fn a_cancelled_start_is_killed_after_the_shutdown_time_of_its_child() {
    let times =
        [(Shutdown::Timeout(3 * SECOND), 3 * SECOND), (Shutdown::BrutalKill, Duration::ZERO)];
    for (shutdown, time) in times {
        let (rt, jobs, first, second, _may, mut is_stopped) =
            held_up_in_its_restart(&DynamicSupervisor::new().max_children(1), shutdown).await;
        let began = Instant::now();
        assert_eq!(jobs.terminate_child(first).await, Ok(()));
        assert_eq!((began.elapsed().as_secs(), rt.is_alive(second)), (time.as_secs(), false));
        assert!(is_stopped.try_recv().is_err());
        assert_eq!(jobs.count_children().await.unwrap().specs, 0);
        let next = ChildSpec::task("next", |_| pending());
        assert!(jobs.start_child(next).await.is_ok(), "its room is free");
        assert_eq!(jobs.stop().await, Ok(ExitReason::Shutdown));
        assert_eq!(rt.leftovers(), Leftovers::default());
    }
}

/// The supervisor stops while a cancelled start is in progress. The caller of `terminate_child`
/// gets `Unreachable` with the exit reason of the supervisor.
#[tokio::test(start_paused = true)]
async fn terminate_child_during_a_restart_fails_when_the_supervisor_stops() {
    let (rt, jobs, first, second, _may, _is_stopped) =
        held_up_in_its_restart(&DynamicSupervisor::new(), Shutdown::Infinity).await;
    let asked = tokio::spawn({
        let jobs = jobs.clone();
        async move { jobs.terminate_child(first).await }
    });
    settled().await;
    assert!(!asked.is_finished());
    jobs.stop().await.unwrap();
    let gone = ChildError::Unreachable(CallError::Exited(ExitReason::Shutdown));
    assert_eq!(asked.await.unwrap(), Err(gone));
    assert!(!rt.is_alive(second));
}

/// One stop takes long, and fifty others begin and end meanwhile. One timer serves all of them.
#[tokio::test(start_paused = true)]
async fn concurrent_stops_of_children_share_one_timer() {
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

/// A server whose `init` waits for a permission. If its plan says so, the server crashes directly
/// after its `init`; otherwise it takes some time to stop.
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

/// Reports its drop, and blocks the thread that drops it until the test sends a message.
struct Gate(UnboundedSender<()>, mpsc::Receiver<()>);

impl Drop for Gate {
    fn drop(&mut self) {
        self.0.send(()).unwrap();
        self.1.recv().unwrap();
    }
}

/// The starts of two children finish while the supervisor is blocked, because it drops a
/// specification that it has refused. The first child fails at once, and the supervisor gives up
/// because of this failure. The supervisor then stops the second child in order, and waits for its
/// end. The supervisor blocks one worker thread. The children run on the other one, so the first
/// child has failed before the supervisor handles its start.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn children_of_a_dynamic_supervisor_that_gives_up_are_stopped_in_order() {
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
    // The mailbox then holds the exit of the first child, and a message for each finished start.
    while rt.info(jobs.pid().unwrap()).unwrap().mailbox_depth < 3 {
        yield_now().await;
    }
    open.send(()).unwrap();
    assert!(jobs.ended().await.is_abnormal());
    assert!(!rt.is_alive(second));
    assert_eq!(rt.leftovers(), Leftovers::default());
    let reasons: Vec<_> = std::iter::from_fn(|| is_stopped.try_recv().ok()).collect();
    assert_eq!(reasons, [ExitReason::crashed("at once"), ExitReason::Shutdown]);
}
