//! Deadlock detection: a cycle of processes that wait for each other is refused.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use regrow::{
    CallError, ChildSpec, DynamicSupervisor, DynamicSupervisorRef, ExitReason, GenServer, Health,
    Name, Pid, Reply, Result, Runtime, ServerContext, ServerRef, StartError, Supervisor,
    SupervisorRef,
};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::Instant;

/// Calls another server.
type Ask = Arc<dyn Fn(Runtime) -> BoxFuture<'static, ()> + Send + Sync>;

/// A server that runs an [`Ask`] in its `init`, in the first handler after that, in its call
/// handler and in its `terminate`.
struct Curious {
    runtime: Runtime,
    asks: Asks,
}

#[derive(Clone)]
struct Asks {
    init: Ask,
    first: Ask,
    call: Ask,
    terminate: Ask,
}

impl GenServer for Curious {
    type Args = Asks;
    type Call = Reply<()>;
    type Cast = ();

    async fn init(asks: Asks, ctx: &mut ServerContext<Self>) -> Result<Self> {
        ctx.trap_exit(true);
        (asks.init)(ctx.runtime()).await;
        ctx.this().cast(());
        Ok(Curious { runtime: ctx.runtime(), asks })
    }

    async fn handle_call(&mut self, reply: Reply<()>, _: &mut ServerContext<Self>) -> Result {
        (self.asks.call)(self.runtime.clone()).await;
        reply.send(());
        Ok(())
    }

    async fn handle_cast(&mut self, (): (), _: &mut ServerContext<Self>) -> Result {
        (self.asks.first)(self.runtime.clone()).await;
        Ok(())
    }

    async fn terminate(&mut self, _: &ExitReason) {
        (self.asks.terminate)(self.runtime.clone()).await;
    }
}

fn nothing() -> Ask {
    Arc::new(|_| async {}.boxed())
}

fn quiet() -> Asks {
    Asks { init: nothing(), first: nothing(), call: nothing(), terminate: nothing() }
}

/// The results of the calls.
type Told = UnboundedReceiver<Result<(), CallError>>;

/// Returns an [`Ask`] that runs this function, and the results that it reports.
fn asking<F>(ask: impl Fn(Runtime) -> F + Send + Sync + 'static) -> (Ask, Told)
where
    F: Future<Output = Result<(), CallError>> + Send + 'static,
{
    let (tell, told): (UnboundedSender<_>, _) = unbounded_channel();
    let ask = move |rt| {
        let (tell, asked) = (tell.clone(), ask(rt));
        async move { tell.send(asked.await).unwrap() }.boxed()
    };
    (Arc::new(ask), told)
}

async fn count(rt: Runtime) -> Result<(), CallError> {
    SupervisorRef::named(&rt, "tree").count_children().await.map(drop)
}

async fn count_dynamic(rt: Runtime) -> Result<(), CallError> {
    DynamicSupervisorRef::named(&rt, "pool").count_children().await.map(drop)
}

fn detecting() -> Runtime {
    let rt = Runtime::new();
    rt.detect_deadlocks(true);
    rt
}

#[track_caller]
fn assert_circle(told: Option<Result<(), CallError>>, through: &[Pid]) {
    let Some(Err(CallError::Deadlock { cycle })) = told else { panic!("{told:?}") };
    let rest = &cycle[1..];
    assert_eq!(&rest[..rest.len() - 1], through);
    assert_eq!(cycle.first(), cycle.last());
}

/// The `init` calls the supervisor at the first start, at a restart, at a restart by hand, and
/// below a nested supervisor.
#[tokio::test(start_paused = true)]
async fn an_init_that_calls_its_own_supervisor_gets_a_deadlock_error() {
    let rt = detecting();
    let (init, mut told) = asking(count);
    let child = Curious::child(Asks { init, ..quiet() }).with_id("child").named("child");
    let spec = Supervisor::one_for_one().named("tree").child(child.clone());
    let tree = spec.start(&rt).await.unwrap();
    assert_circle(told.recv().await, &[tree.pid().unwrap()]);
    rt.kill(rt.whereis("child").unwrap());
    assert_circle(told.recv().await, &[tree.pid().unwrap()]);
    tree.terminate_child("child").await.unwrap();
    tree.restart_child("child").await.unwrap();
    assert_circle(told.recv().await, &[tree.pid().unwrap()]);
    tree.delete_child("child").await.unwrap_err();

    let inner = Supervisor::one_for_one().named("inner").child(child.named("deep"));
    tree.start_child(inner).await.unwrap();
    assert_circle(told.recv().await, &[tree.pid().unwrap(), rt.whereis("inner").unwrap()]);
    tree.stop().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_init_that_asks_its_supervisor_to_start_or_stop_gets_a_deadlock_error() {
    let rt = detecting();
    let (starts, mut told_start) = asking(async |rt| {
        let job = ChildSpec::task("job", |_| std::future::pending());
        match SupervisorRef::named(&rt, "tree").start_child(job).await {
            Err(StartError::Unreachable(error)) => Err(error),
            other => panic!("{other:?}"),
        }
    });
    let (stops, mut told_stop) =
        asking(async |rt| SupervisorRef::named(&rt, "tree").stop().await.map(drop));
    let tree = Supervisor::one_for_one().named("tree").start(&rt).await.unwrap();
    tree.start_child(Curious::child(Asks { init: starts, ..quiet() })).await.unwrap();
    assert_circle(told_start.recv().await, &[tree.pid().unwrap()]);
    let stops = Curious::child(Asks { init: stops, ..quiet() }).with_id("stops");
    tree.start_child(stops).await.unwrap();
    assert_circle(told_stop.recv().await, &[tree.pid().unwrap()]);
    assert_eq!(tree.count_children().await.unwrap().active, 2, "it was not asked to stop");
}

/// A dynamic supervisor serves other requests while the `init` of a child runs, so the call is
/// answered.
#[tokio::test(start_paused = true)]
async fn an_init_may_call_its_dynamic_supervisor() {
    let rt = detecting();
    let (init, mut told) = asking(async |rt: Runtime| {
        tokio::time::sleep(Duration::from_secs(1)).await;
        count_dynamic(rt).await
    });
    let (terminate, mut told_last) = asking(count_dynamic);
    let pool = DynamicSupervisor::new().named("pool").start(&rt).await.unwrap();
    let asks = Asks { init, terminate, ..quiet() };
    let pid = pool.start_child(Curious::child(asks.clone())).await.unwrap();
    assert_eq!(told.recv().await, Some(Ok(())));
    pool.terminate_child(pid).await.unwrap();
    assert_eq!(told_last.recv().await, Some(Ok(())));

    pool.start_child(Curious::child(asks)).await.unwrap();
    let begun = Instant::now();
    pool.stop().await.unwrap();
    assert_circle(told_last.recv().await, &[pool.pid().unwrap()]);
    assert_eq!(begun.elapsed(), Duration::ZERO, "it stops, and waits for this one");
}

#[tokio::test(start_paused = true)]
async fn a_terminate_that_calls_its_own_supervisor_gets_a_deadlock_error() {
    let rt = detecting();
    let ((call, mut told), (terminate, mut told_last)) = (asking(count), asking(count));
    let child = Curious::child(Asks { call, terminate, ..quiet() }).named("child").with_id("child");
    let tree = Supervisor::one_for_one().named("tree").child(child).start(&rt).await.unwrap();
    let child: ServerRef<Curious> = rt.server(Name::new("child"));
    child.call(|reply| reply).await.unwrap();
    assert_eq!(told.recv().await, Some(Ok(())), "nothing waits for it any more");

    let begun = Instant::now();
    tree.terminate_child("child").await.unwrap();
    assert_circle(told_last.recv().await, &[tree.pid().unwrap()]);
    tree.restart_child("child").await.unwrap();
    tree.stop().await.unwrap();
    assert_circle(told_last.recv().await, &[tree.pid().unwrap()]);
    assert_eq!(begun.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_child_that_calls_its_supervisor_before_ready_gets_a_deadlock_error() {
    let rt = detecting();
    let (ask, mut told) = asking(count);
    let child = ChildSpec::task("child", move |ctx| {
        let ask = ask.clone();
        async move {
            ask(ctx.runtime()).await;
            ctx.set_health(Health::Ready);
            ask(ctx.runtime()).await;
            std::future::pending().await
        }
    });
    let tree = Supervisor::one_for_one().named("tree").start(&rt).await.unwrap();
    tree.start_child(child.ready_within(Duration::from_secs(60))).await.unwrap();
    assert_circle(told.recv().await, &[tree.pid().unwrap()]);
    assert_eq!(told.recv().await, Some(Ok(())), "it was ready");
}

/// The child calls right after its `init`, before its supervisor has noticed the end of the `init`.
#[tokio::test(start_paused = true)]
async fn a_child_may_call_its_supervisor_after_its_init() {
    let rt = detecting();
    let (first, mut told) = asking(count);
    let child = Curious::child(Asks { first, ..quiet() });
    let tree = Supervisor::one_for_one().named("tree").start(&rt).await.unwrap();
    tree.start_child(child).await.unwrap();
    assert_eq!(told.recv().await, Some(Ok(())));
}

#[tokio::test(start_paused = true)]
async fn an_init_that_calls_the_server_that_starts_it_gets_a_deadlock_error() {
    let rt = detecting();
    let (init, mut told) =
        asking(async |rt: Runtime| rt.server::<Curious>("outer").call(|reply| reply).await);
    let asks = Asks { init, ..quiet() };
    let (call, mut started) = asking(move |rt: Runtime| {
        let asks = asks.clone();
        async move {
            let inner = Curious::start(&rt, asks).await.unwrap();
            inner.call(|reply| reply).await
        }
    });
    let outer = Curious::start_named(&rt, Name::new("outer"), Asks { call, ..quiet() }).await;
    let outer = outer.unwrap();
    outer.call(|reply| reply).await.unwrap();
    assert_circle(told.recv().await, &[outer.pid().unwrap()]);
    assert_eq!(started.recv().await, Some(Ok(())));
}

#[tokio::test(start_paused = true)]
async fn a_stop_of_a_server_that_waits_for_the_caller_gets_a_deadlock_error() {
    let rt = detecting();
    let (first_calls, mut first) =
        asking(async |rt: Runtime| rt.server::<Curious>("second").call(|reply| reply).await);
    let (second_stops, mut second) = asking(async |rt: Runtime| {
        let first = rt.server::<Curious>("first");
        first.stop(ExitReason::Normal).await.map(drop)
    });
    let start = async |name, call| {
        let started = Curious::start_named(&rt, Name::new(name), Asks { call, ..quiet() }).await;
        started.unwrap()
    };
    let one = start("first", first_calls).await;
    start("second", second_stops).await;
    one.call(|reply| reply).await.unwrap();
    assert_circle(second.recv().await, &[one.pid().unwrap()]);
    assert_eq!(first.recv().await, Some(Ok(())));
}

/// The server calls in the handler that has answered, before its caller has noticed the answer.
#[tokio::test(start_paused = true)]
async fn a_server_may_call_a_caller_that_it_has_answered() {
    /// A server that answers first, and calls afterwards.
    struct Prompt(Runtime, UnboundedSender<Result<(), CallError>>);

    impl GenServer for Prompt {
        type Args = (Runtime, UnboundedSender<Result<(), CallError>>);
        type Call = Reply<()>;
        type Cast = ();

        async fn init((rt, tell): Self::Args, _: &mut ServerContext<Self>) -> Result<Self> {
            Ok(Prompt(rt, tell))
        }

        async fn handle_call(&mut self, reply: Reply<()>, _: &mut ServerContext<Self>) -> Result {
            reply.send(());
            let asked = self.0.server::<Curious>("asker").call(|reply| reply).await;
            self.1.send(asked).unwrap();
            Ok(())
        }

        async fn handle_cast(&mut self, (): (), _: &mut ServerContext<Self>) -> Result {
            Ok(())
        }
    }

    let rt = detecting();
    let (tell, mut told) = unbounded_channel();
    let prompt = Prompt::start(&rt, (rt.clone(), tell)).await.unwrap();
    let (first, mut answered) = asking(move |_| {
        let prompt = prompt.clone();
        async move { prompt.call(|reply| reply).await }
    });
    Curious::start_named(&rt, Name::new("asker"), Asks { first, ..quiet() }).await.unwrap();
    assert_eq!(answered.recv().await, Some(Ok(())));
    assert_eq!(told.recv().await, Some(Ok(())), "it waits no more");
}
