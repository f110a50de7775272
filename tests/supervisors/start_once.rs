//! Children that are started once: a refused start gives the value back, and no value is lost or
//! handed over twice.

use crate::support;

use std::time::Duration;

use regrow::{
    CallError, ChildError, ChildSpec, DynamicSupervisor, DynamicSupervisorRef, ExitReason,
    GenServer, OnceChild, Overflow, Reply, Result, Runtime, ServerContext, Shutdown, StartError,
    StartOnceError, Supervisor, SupervisorRef, TaskContext, TaskSupervisor,
};
use support::{crash, settled};
use tokio::sync::{mpsc, oneshot};

/// A value that can't be cloned.
#[derive(Debug, PartialEq, Eq)]
struct Socket(u32);

async fn serve(_: TaskContext, _: Socket) -> Result {
    std::future::pending().await
}

fn child(id: &str) -> OnceChild<Socket> {
    ChildSpec::once_with(id, Socket(7), serve)
}

/// A server that owns what it was started with. It fails its `init` for an odd number.
struct Owner;

impl GenServer for Owner {
    type Args = Socket;
    type Call = Reply<()>;
    type Cast = ();

    async fn init(Socket(number): Socket, _: &mut ServerContext<Self>) -> Result<Self> {
        if number % 2 == 1 { Err(crash("odd")) } else { Ok(Owner) }
    }

    async fn handle_call(&mut self, reply: Reply<()>, _: &mut ServerContext<Self>) -> Result {
        reply.send(());
        Ok(())
    }

    async fn handle_cast(&mut self, (): (), _: &mut ServerContext<Self>) -> Result {
        Ok(())
    }
}

async fn dynamic(rt: &Runtime) -> DynamicSupervisorRef {
    DynamicSupervisor::new().max_children(1).start(rt).await.unwrap()
}

async fn fixed(rt: &Runtime) -> SupervisorRef {
    Supervisor::one_for_one().start(rt).await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_child_beyond_the_maximum_gets_its_value_back_and_can_be_started_later() {
    let rt = Runtime::new();
    let jobs = dynamic(&rt).await;
    let first = jobs.start_once(child("first")).await.unwrap();
    let refused = jobs.start_once(child("second")).await.unwrap_err();
    assert_eq!(refused.error, StartError::MaxChildren(1));
    assert_eq!(refused.to_string(), StartError::MaxChildren(1).to_string());
    let value = refused.value.unwrap();
    jobs.terminate_child(first).await.unwrap();
    let again = jobs.start_once(ChildSpec::once_with("second", value, serve)).await;
    assert!(rt.is_alive(again.unwrap()));
}

#[tokio::test(start_paused = true)]
async fn a_taken_name_gives_back_the_value_of_a_task_and_of_a_server() {
    let rt = Runtime::new();
    let (jobs, tree) = (DynamicSupervisor::new().start(&rt).await.unwrap(), fixed(&rt).await);
    let holder = support::idle(&rt);
    assert!(rt.register("taken", holder));
    let taken = StartError::AlreadyStarted { name: "taken".into(), pid: holder };
    let server = || Owner::child_once(Socket(2)).named("taken");
    for refused in [
        jobs.start_once(child("a").named("taken")).await.unwrap_err(),
        jobs.start_once(server()).await.unwrap_err(),
    ] {
        assert_eq!((refused.error, refused.value.is_some()), (taken.clone(), true));
    }
    for refused in [
        tree.start_once(child("a").named("taken")).await.unwrap_err(),
        tree.start_once(server()).await.unwrap_err(),
    ] {
        assert_eq!((refused.error, refused.value.is_some()), (taken.clone(), true));
    }
}

#[tokio::test(start_paused = true)]
async fn a_value_that_an_init_has_got_is_not_given_back() {
    let rt = Runtime::new();
    let jobs = dynamic(&rt).await;
    let failed = jobs.start_once(Owner::child_once(Socket(1))).await.unwrap_err();
    assert_eq!((failed.error, failed.value), (StartError::Failed(crash("odd")), None));
    let server = jobs.start_once(Owner::child_once(Socket(2))).await.unwrap();
    rt.server_at::<Owner>(server).unwrap().call(|reply| reply).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_supervisor_that_has_ended_or_ends_meanwhile_gives_the_value_back() {
    let rt = Runtime::new();
    let (jobs, tree) = (dynamic(&rt).await, fixed(&rt).await);
    jobs.stop().await.unwrap();
    let refused = jobs.start_once(child("late")).await.unwrap_err();
    assert_eq!(refused.error, StartError::Unreachable(CallError::NoProc));
    assert_eq!(refused.value, Some(Socket(7)));

    // A supervisor that is killed while the request is queued behind a start.
    let slow = ChildSpec::task("slow", |_| std::future::pending());
    let slow = tree.start_child(slow.ready_within(Duration::from_secs(60)));
    let queued = tree.start_once(child("queued"));
    let (_, queued, ()) = tokio::join!(slow, queued, async {
        settled().await;
        rt.kill(tree.pid().unwrap());
    });
    let refused = queued.unwrap_err();
    let killed = CallError::Exited(ExitReason::Killed);
    assert_eq!(refused.error, StartError::Unreachable(killed));
    assert_eq!(refused.value, Some(Socket(7)));
}

#[tokio::test(start_paused = true)]
async fn an_invalid_child_and_a_duplicate_id_give_the_value_back() {
    let rt = Runtime::new();
    let (jobs, tree) = (dynamic(&rt).await, fixed(&rt).await);
    let refused = jobs.start_once(child("a").significant(true)).await.unwrap_err();
    assert!(matches!(refused.error, StartError::Invalid(_)), "{refused:?}");
    assert_eq!(refused.value, Some(Socket(7)));
    let pid = tree.start_once(child("a")).await.unwrap();
    let refused = tree.start_once(child("a")).await.unwrap_err();
    assert_eq!(refused.error, StartError::AlreadyRunning { id: "a".into(), pid });
    assert_eq!(refused.value, Some(Socket(7)));
    assert_eq!(child("a").into_value(), Socket(7));
}

#[tokio::test(start_paused = true)]
async fn a_child_that_is_started_once_is_removed_at_its_end_and_never_restarted() {
    let rt = Runtime::new();
    let tree = Supervisor::one_for_all().start(&rt).await.unwrap();
    let failing = ChildSpec::once("failing", async move |mut ctx: TaskContext| {
        ctx.recv().await;
        Err(crash("no luck"))
    });
    let failing = tree.start_once(failing).await.unwrap();
    let ended = rt.ended(failing);
    rt.send(failing, b"fail".to_vec());
    assert_eq!(ended.await, crash("no luck"));
    assert_eq!(tree.count_children().await.unwrap().specs, 0);

    // The restart of a sibling restarts all children but the temporary ones.
    let steady = tree.start_once(child("once")).await.unwrap();
    let sibling = ChildSpec::task("sibling", |_| std::future::pending());
    let sibling = tree.start_child(sibling).await.unwrap();
    rt.kill(sibling);
    settled().await;
    assert!(!rt.is_alive(steady));
    let children = tree.which_children().await.unwrap();
    assert_eq!(children.iter().map(|child| &*child.id).collect::<Vec<_>>(), ["sibling"]);
    assert_eq!(tree.terminate_child("once").await, Err(ChildError::NotFound("once".into())));
}

#[tokio::test(start_paused = true)]
async fn a_copy_of_the_specification_does_not_start_without_the_value() {
    let rt = Runtime::new();
    let tree = fixed(&rt).await;
    tree.start_once(child("once")).await.unwrap();
    let copy = tree.child_spec("once").await.unwrap();
    let error = tree.start_child(copy.with_id("copy")).await.unwrap_err();
    let StartError::Invalid(why) = &error else { panic!("{error:?}") };
    assert!(why.contains("handed over"), "{why}");
    assert_eq!(tree.count_children().await.unwrap().specs, 1);
}

#[tokio::test(start_paused = true)]
async fn a_start_once_whose_caller_stops_waiting_keeps_the_value_with_the_child() {
    let rt = Runtime::new();
    let tree = fixed(&rt).await;
    let (sender, receiver) = oneshot::channel();
    let child = ChildSpec::once("child", async move |_| {
        sender.send(()).map_err(|()| "nobody")?;
        Ok(())
    });
    let mut starting = Box::pin(tree.start_once(child));
    let waker = std::task::Waker::noop();
    let polled = starting.as_mut().poll(&mut std::task::Context::from_waker(waker));
    assert!(polled.is_pending());
    drop(starting);
    receiver.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn settings_of_a_child_that_is_started_once_apply() {
    let rt = Runtime::new();
    let tasks = TaskSupervisor::new().start(&rt).await.unwrap();
    let brutal = tasks.clone().with_shutdown(Shutdown::BrutalKill);
    let deaf = |mut ctx: TaskContext| async move {
        let _stop = ctx.cancellation_token(); // never looked at
        std::future::pending().await
    };
    let start = tokio::time::Instant::now();
    let killed = rt.ended(brutal.start_once(ChildSpec::once("deaf", deaf)).await.unwrap());
    let own = ChildSpec::once("own", deaf).shutdown(Shutdown::Timeout(Duration::from_secs(9)));
    let ninth = rt.ended(brutal.start_once(own).await.unwrap());
    tasks.stop().await.unwrap();
    assert_eq!((killed.await, ninth.await), (ExitReason::Killed, ExitReason::Killed));
    assert_eq!(start.elapsed(), Duration::from_secs(9));

    let tree = fixed(&rt).await;
    let server = Owner::child_once(Socket(2)).named("owner").with_id("own");
    let server = server.mailbox_capacity(3, Overflow::Reject).warn_after(Duration::from_secs(1));
    let pid = tree.start_once(server.init_timeout(Duration::from_secs(2))).await.unwrap();
    assert_eq!(rt.whereis("owner"), Some(pid));
    assert_eq!(rt.info(pid).unwrap().mailbox_capacity, Some(3));
    let spec = tree.child_spec("own").await.unwrap();
    assert_eq!(spec.get_init_timeout(), Some(Duration::from_secs(2)));
    let late = child("late").ready_within(Duration::from_secs(1));
    let late = tree.start_once(late).await.unwrap_err();
    assert_eq!(late.error, StartError::NotReady(Duration::from_secs(1)));
    assert_eq!(late.value, None); // a process had it
}

/// What becomes of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Fate {
    /// The body or the `init` of a process began with it.
    Began,
    GivenBack,
    Dropped,
}

/// A value that reports its drop.
struct Reported {
    number: usize,
    report: mpsc::UnboundedSender<(usize, Fate)>,
}

impl Reported {
    fn tell(&self, fate: Fate) {
        let _ = self.report.send((self.number, fate));
    }
}

impl Drop for Reported {
    fn drop(&mut self) {
        self.tell(Fate::Dropped);
    }
}

/// A server that owns a value.
struct Holder {
    _value: Reported,
}

impl GenServer for Holder {
    type Args = Reported;
    type Call = Reply<()>;
    type Cast = ();

    async fn init(value: Reported, _: &mut ServerContext<Self>) -> Result<Self> {
        value.tell(Fate::Began);
        Ok(Holder { _value: value })
    }
}

async fn hold(_: TaskContext, value: Reported) -> Result {
    value.tell(Fate::Began);
    std::future::pending().await
}

const STARTERS: usize = 8;

/// Starts of tasks and servers race with the kill or the stop of their supervisor. Each value is
/// dropped once, and no value that was given back has begun. The caller of a start that returned
/// `Ok` does not get the value back.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn each_value_is_given_back_or_handed_over_whenever_the_supervisor_ends() {
    let allowed = [
        vec![Fate::Began, Fate::Dropped],
        vec![Fate::GivenBack, Fate::Dropped],
        // The process that got the value was stopped before its body began.
        vec![Fate::Dropped],
    ];
    for round in 0..200 {
        let rt = Runtime::new();
        let jobs = DynamicSupervisor::new().start(&rt).await.unwrap();
        let (report, mut reported) = mpsc::unbounded_channel();
        let starters = [(); STARTERS].map(|()| (jobs.clone(), report.clone()));
        let starters = starters
            .into_iter()
            .enumerate()
            .map(|(number, (jobs, report))| tokio::spawn(start(jobs, Reported { number, report })));
        let starters: Vec<_> = starters.collect();
        for _ in 0..round % 20 {
            tokio::task::yield_now().await;
        }
        match round % 3 {
            0 => drop(rt.kill(jobs.pid().unwrap())),
            _ => drop(jobs.stop().await),
        }
        for starter in starters {
            starter.await.unwrap();
        }
        rt.shutdown();
        drop(report);
        let mut fates = vec![Vec::new(); STARTERS];
        while let Some((number, fate)) = reported.recv().await {
            fates[number].push(fate);
        }
        assert!(fates.iter().all(|fates| allowed.contains(fates)), "round {round}: {fates:?}");
    }
}

/// Starts a task or a server with the value, and reports a value that is given back.
async fn start(jobs: DynamicSupervisorRef, value: Reported) {
    let started = match value.number % 2 {
        0 => jobs.start_once(ChildSpec::once_with("child", value, hold)).await,
        _ => jobs.start_once(Holder::child_once(value)).await,
    };
    if let Err(StartOnceError { value: Some(value), .. }) = started {
        value.tell(Fate::GivenBack);
    }
}

/// A stop that is requested together with a start ends the child before its body runs. The value is
/// dropped then, as at any end of a child.
#[tokio::test(start_paused = true)]
async fn a_value_of_a_child_that_is_stopped_at_once_is_dropped() {
    let rt = Runtime::new();
    let jobs = DynamicSupervisor::new().start(&rt).await.unwrap();
    let (report, mut reported) = mpsc::unbounded_channel();
    let value = Reported { number: 0, report };
    let start = jobs.start_once(ChildSpec::once_with("child", value, hold));
    let (started, stopped) = tokio::join!(start, jobs.stop());
    assert!(started.is_ok() && stopped.is_ok());
    assert_eq!(reported.recv().await, Some((0, Fate::Dropped)));
    assert_eq!(reported.recv().await, None);
}

/// `?` drops the value and continues with the error of the start, so no exit reason keeps the value.
#[tokio::test(start_paused = true)]
async fn the_question_mark_operator_drops_the_value() {
    async fn start(jobs: &DynamicSupervisorRef, value: Reported) -> Result {
        jobs.start_once(ChildSpec::once_with("child", value, hold)).await?;
        Ok(())
    }
    let rt = Runtime::new();
    let jobs = dynamic(&rt).await;
    jobs.stop().await.unwrap();
    let (report, mut reported) = mpsc::unbounded_channel();
    let reason = start(&jobs, Reported { number: 0, report }).await.unwrap_err();
    assert_eq!(reported.recv().await, Some((0, Fate::Dropped)));
    let error = reason.crash().unwrap().downcast_ref::<StartError>();
    assert_eq!(error, Some(&StartError::Unreachable(CallError::NoProc)));
}
