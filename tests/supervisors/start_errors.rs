//! The origin of a start error: if an `init` returns the error of another start by `?`, the error
//! is a failure of the start that the `init` belongs to.

use crate::support;

use std::future::pending;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use regrow::{
    CallError, ChildSpec, ChildState, DynamicSupervisor, ExitReason, GenServer, Leftovers, Name,
    Pid, Reply, Result, Run, RunError, Runtime, ServerContext, StartChild, StartContext,
    StartError, Started, Supervisor, SupervisorContext, Task,
};
use support::{idle, settled};

const OUTER: Name<Server> = Name::new("outer");

/// The code that the `init` of a server runs.
type Init =
    Arc<dyn for<'a> Fn(&'a mut ServerContext<Server>) -> BoxFuture<'a, Result> + Send + Sync>;

/// A server that runs a given `init`.
struct Server;

impl GenServer for Server {
    type Args = Init;
    type Call = Reply<()>;
    type Cast = ();

    async fn init(init: Init, ctx: &mut ServerContext<Self>) -> Result<Self> {
        init(ctx).await?;
        Ok(Server)
    }

    async fn handle_call(&mut self, _: Reply<()>, ctx: &mut ServerContext<Self>) -> Result {
        Err(ctx.ignore())
    }

    async fn handle_cast(&mut self, (): (), _: &mut ServerContext<Self>) -> Result {
        Ok(())
    }
}

fn init(
    init: impl for<'a> Fn(&'a mut ServerContext<Server>) -> BoxFuture<'a, Result>
    + Send
    + Sync
    + 'static,
) -> Init {
    Arc::new(init)
}

fn ignores() -> Init {
    init(|ctx| async move { Err(ctx.ignore()) }.boxed())
}

/// Returns an `init` that returns this error.
fn passes_on(error: &StartError) -> Init {
    let error = error.clone();
    init(move |_| {
        let error = error.clone();
        async move { Ok(Err::<(), _>(error)?) }.boxed()
    })
}

/// Returns one start error of each kind. Errors that contain a name contain this one.
fn start_errors(name: &str) -> Vec<StartError> {
    let pid = Pid::from_raw(1);
    let taken = StartError::AlreadyStarted { name: name.into(), pid };
    vec![
        StartError::Ignored,
        taken.clone(),
        StartError::Failed(ExitReason::crashed("inside")),
        StartError::InitTimeout(Duration::from_secs(1)),
        StartError::NotReady(Duration::from_secs(1)),
        StartError::Child { id: "inner".into(), error: Box::new(taken) },
        StartError::DuplicateId("inner".into()),
        StartError::AlreadyPresent("inner".into()),
        StartError::MaxChildren(1),
        StartError::Invalid("inner".into()),
        StartError::Unreachable(CallError::NoProc),
    ]
}

/// Checks that the outer start failed, and that this error is the cause.
#[track_caller]
fn is_failed_with(error: &StartError, inner: &StartError) {
    let StartError::Failed(reason) = error else { panic!("{inner:?} came out as {error:?}") };
    let crash = reason.crash().unwrap_or_else(|| panic!("{inner:?} came out as {reason:?}"));
    assert_eq!(crash.downcast_ref::<StartError>(), Some(inner));
}

#[tokio::test(start_paused = true)]
async fn a_start_error_returned_by_an_init_is_a_failed_start() {
    let rt = Runtime::new();
    for inner in start_errors("outer") {
        let spec = || Server::spec(passes_on(&inner)).named(OUTER);
        is_failed_with(&spec().start(&rt).await.unwrap_err(), &inner);
        let expected = inner.clone();
        let linked = rt.spawn(|ctx| async move {
            let error = Server::spec(passes_on(&expected)).start_link(&ctx).await.unwrap_err();
            is_failed_with(&error, &expected);
            let error = Server::spec(passes_on(&expected)).start_monitor(&ctx).await.unwrap_err();
            is_failed_with(&error, &expected);
        });
        assert_eq!(linked.join().await, ExitReason::Normal);
        assert_eq!(rt.leftovers(), Leftovers::default());
    }
}

#[tokio::test(start_paused = true)]
async fn a_start_error_returned_by_the_init_of_a_child_is_its_failure() {
    let rt = Runtime::new();
    for inner in start_errors("outer") {
        let child = || Server::child(passes_on(&inner)).named("outer").with_id("outer");
        let error = Supervisor::one_for_one().child(child()).start(&rt).await.unwrap_err();
        let StartError::Child { id, error } = error else { panic!("{inner:?}: {error:?}") };
        assert_eq!(id, "outer");
        is_failed_with(&error, &inner);

        let tree = Supervisor::one_for_one().start(&rt).await.unwrap();
        is_failed_with(&tree.start_child(child()).await.unwrap_err(), &inner);
        assert_eq!(tree.count_children().await.unwrap().specs, 0, "{inner:?}");
        tree.stop().await.unwrap();

        let jobs = DynamicSupervisor::new().start(&rt).await.unwrap();
        is_failed_with(&jobs.start_child(child()).await.unwrap_err(), &inner);
        jobs.stop().await.unwrap();
    }
}

/// Returns an `init` that counts its calls, and starts another server that ignores its start.
fn starts_an_ignoring_one(inits: &Arc<AtomicU32>, from: u32) -> Init {
    let inits = inits.clone();
    init(move |ctx| {
        let number = inits.fetch_add(1, Ordering::Relaxed);
        async move {
            if number >= from {
                Server::start(&ctx.runtime(), ignores()).await?;
            }
            Ok(())
        }
        .boxed()
    })
}

#[tokio::test(start_paused = true)]
async fn a_restart_that_fails_with_another_servers_ignore_is_retried() {
    let rt = Runtime::new();
    for dynamic in [false, true] {
        let inits = Arc::new(AtomicU32::new(0));
        let child = Server::child(starts_an_ignoring_one(&inits, 1)).with_id("outer");
        let ended = if dynamic {
            let jobs = DynamicSupervisor::new().start(&rt).await.unwrap();
            rt.kill(jobs.start_child(child).await.unwrap());
            jobs.ended().await
        } else {
            let tree = Supervisor::one_for_one().child(child).start(&rt).await.unwrap();
            rt.kill(tree.which_children().await.unwrap()[0].pid().unwrap());
            tree.ended().await
        };
        let limit = support::scripted_children::limit(&ended);
        let ExitReason::Crashed(last) = &limit.last else { panic!("{limit:?}") };
        assert_eq!(last.downcast_ref::<StartError>(), Some(&StartError::Ignored));
        assert_eq!(inits.load(Ordering::Relaxed), 1 + limit.restarts);
    }
}

/// If `get_or_start` took the error of the `init` for a lost race, it would look for the name
/// without end.
#[tokio::test(start_paused = true)]
async fn get_or_start_tries_once_when_an_init_returns_already_started() {
    let rt = Runtime::new();
    let rooms = DynamicSupervisor::new().start(&rt).await.unwrap();
    let inits = Arc::new(AtomicU32::new(0));
    let counted = inits.clone();
    // The `init` starts another server under its own name, which it holds itself.
    let room = init(move |ctx| {
        counted.fetch_add(1, Ordering::Relaxed);
        async move {
            Server::spec(ignores()).named(Name::new("lobby")).start(&ctx.runtime()).await?;
            Ok(())
        }
        .boxed()
    });
    let error = rooms.get_or_start("lobby", Server::child(room)).await.unwrap_err();
    let StartError::Failed(reason) = &error else { panic!("{error:?}") };
    let inner = reason.crash().unwrap().downcast_ref::<StartError>();
    assert!(matches!(inner, Some(StartError::AlreadyStarted { .. })), "{error:?}");
    assert_eq!(inits.load(Ordering::Relaxed), 1);
}

/// A start function that wrongly returns that its name is held.
struct Mistaken(AtomicU32);

#[async_trait::async_trait]
impl StartChild for Mistaken {
    async fn start(&self, ctx: &mut StartContext) -> Result<Started, StartError> {
        assert_eq!(self.0.fetch_add(1, Ordering::Relaxed), 0, "tried again");
        let pid = ctx.supervisor();
        Err(StartError::AlreadyStarted { name: "lobby".into(), pid })
    }
}

#[tokio::test(start_paused = true)]
async fn get_or_start_tries_once_when_a_start_falsely_returns_already_started() {
    let rt = Runtime::new();
    let rooms = DynamicSupervisor::new().start(&rt).await.unwrap();
    let child = ChildSpec::new("room", Mistaken(AtomicU32::new(0)));
    let taken = StartError::AlreadyStarted { name: "lobby".into(), pid: rooms.pid().unwrap() };
    assert_eq!(rooms.get_or_start("lobby", child).await, Err(taken));
}

#[tokio::test(start_paused = true)]
async fn a_start_error_returned_by_a_supervisor_init_is_a_failed_start() {
    let rt = Runtime::new();
    for inner in start_errors("outer") {
        let passed = inner.clone();
        let spec = Supervisor::with_init(move |_| async move { Err(passed)? }).named("outer");
        is_failed_with(&spec.clone().start(&rt).await.unwrap_err(), &inner);

        let above = Supervisor::one_for_one().start(&rt).await.unwrap();
        is_failed_with(&above.start_child(spec).await.unwrap_err(), &inner);
        assert_eq!(above.count_children().await.unwrap().specs, 0);
        above.stop().await.unwrap();
        assert_eq!(rt.leftovers(), Leftovers::default());
    }
}

#[tokio::test(start_paused = true)]
async fn errors_that_a_supervisor_finds_itself_are_its_start_errors() {
    let rt = Runtime::new();
    let twice = || {
        let job = || ChildSpec::task("job", |_| pending());
        Supervisor::one_for_one().child(job()).child(job())
    };
    let described = Supervisor::with_init(move |_| async move { Ok(twice()) });
    assert_eq!(described.start(&rt).await.unwrap_err(), StartError::DuplicateId("job".into()));

    let holder = idle(&rt);
    rt.register("held", holder);
    let child = ChildSpec::task("job", |_| pending()).named("held");
    let inner = Supervisor::one_for_one().with_id("inner").child(child);
    let error = Supervisor::one_for_one().child(inner).start(&rt).await.unwrap_err();
    let taken = StartError::AlreadyStarted { name: "held".into(), pid: holder };
    let of = |id: &str, error| StartError::Child { id: id.into(), error: Box::new(error) };
    assert_eq!(error, of("inner", of("job", taken)));
}

#[tokio::test(start_paused = true)]
async fn only_ignore_from_its_own_context_ignores_a_supervisor_start() {
    let rt = Runtime::new();
    let kept: Arc<Mutex<Option<SupervisorContext>>> = Arc::default();
    let keep = kept.clone();
    let first = Supervisor::with_init(move |ctx| async move {
        *keep.lock().unwrap() = Some(ctx.clone());
        // An error that was converted, and came from a clone of the context, still belongs to this
        // start.
        Err(ctx.clone().ignore().into_error())?
    });
    assert_eq!(first.start(&rt).await.unwrap_err(), StartError::Ignored);

    let other = kept.lock().unwrap().take().unwrap();
    let foreign = other.clone();
    let second = Supervisor::with_init(move |_| async move { Err(foreign.ignore()) });
    is_failed_with(&second.start(&rt).await.unwrap_err(), &StartError::Ignored);

    let server = init(move |_| {
        let other = other.clone();
        async move { Err(other.ignore()) }.boxed()
    });
    is_failed_with(&Server::start(&rt, server).await.unwrap_err(), &StartError::Ignored);
}

#[tokio::test(start_paused = true)]
async fn only_ignore_from_its_own_context_ignores_a_server_start() {
    let rt = Runtime::new();
    let (out, foreign) = std::sync::mpsc::channel();
    let first = init(move |ctx| {
        out.send(ctx.ignore()).unwrap();
        async move { Err(ctx.ignore()) }.boxed()
    });
    assert_eq!(Server::start(&rt, first).await.unwrap_err(), StartError::Ignored);
    let reason = foreign.recv().unwrap();
    let second = init(move |_| {
        let reason = reason.clone();
        async move { Err(reason) }.boxed()
    });
    let failed = StartError::Failed(ExitReason::Normal);
    assert_eq!(Server::start(&rt, second).await.unwrap_err(), failed);

    // The `init` called `ignore`, but then returned another error.
    let third = init(|ctx| {
        let _ = ctx.ignore();
        async move { Err(ExitReason::crashed("no disk")) }.boxed()
    });
    let failed = StartError::Failed(ExitReason::crashed("no disk"));
    assert_eq!(Server::start(&rt, third).await.unwrap_err(), failed);
}

#[tokio::test(start_paused = true)]
async fn an_ignore_returned_outside_an_init_is_an_ordinary_exit() {
    let rt = Runtime::new();
    let server = Server::start(&rt, init(|_| async { Ok(()) }.boxed())).await.unwrap();
    assert_eq!(server.call(|reply| reply).await, Err(CallError::Exited(ExitReason::Normal)));

    let child = Server::child(init(|_| async { Ok(()) }.boxed())).with_id("server");
    let tree = Supervisor::one_for_one().child(child).start(&rt).await.unwrap();
    let before = tree.which_child("server").await.unwrap().pid().unwrap();
    let server = rt.server_at::<Server>(before).unwrap();
    assert_eq!(server.call(|reply| reply).await, Err(CallError::Exited(ExitReason::Normal)));
    settled().await;
    let after = tree.which_child("server").await.unwrap();
    assert!(matches!(after.state, ChildState::Running(pid) if pid != before), "{after:?}");

    let job = Task::spawn_nolink(&rt, |_| async { Err::<(), _>(StartError::Ignored) });
    assert_eq!(job.join().await, Ok(Err(StartError::Ignored)));
    let body = rt.spawn_fallible(|_| async { Ok(Err(StartError::Ignored)?) });
    let ended = body.join().await;
    let error = ended.crash().unwrap().downcast_ref::<StartError>();
    assert_eq!(error, Some(&StartError::Ignored));
}

/// Starts a tree with this child, which gives up at once, and returns the exit reason.
async fn gave_up(rt: &Runtime, child: &str) -> ExitReason {
    let lost = ChildSpec::task(child, |_| async { Err(ExitReason::crashed("lost")) });
    let tree = Supervisor::one_for_one().intensity(0, Duration::from_secs(1)).child(lost);
    tree.start(rt).await.unwrap().ended().await
}

#[tokio::test(start_paused = true)]
async fn a_run_error_has_only_the_path_of_its_own_supervisors() {
    let elsewhere = gave_up(&Runtime::new(), "elsewhere").await;
    for own_runtime in [false, true] {
        let rt = Runtime::new();
        let foreign = match own_runtime {
            true => elsewhere.clone(),
            false => gave_up(&rt, "elsewhere").await,
        };
        let passed = foreign.clone();
        // The foreign reason is both the end of a worker and the end of a subtree.
        let worker = ChildSpec::task("worker", move |_| async move { Err(passed.into_error())? });
        let none = |spec: regrow::SupervisorSpec| spec.intensity(0, Duration::from_secs(1));
        let subtree = none(Supervisor::one_for_one()).with_id("subtree").child(worker);
        let root = none(Supervisor::one_for_one()).with_id("root").child(subtree);
        let error = Run::new(root).on(&rt).without_signals().run().await.unwrap_err();
        let RunError::GaveUp { path, limit, .. } = &error else { panic!("{error}") };
        assert_eq!((path.as_str(), &limit.last), ("root/subtree/worker", &foreign));
        assert_eq!(limit.child, "worker");
    }
}
