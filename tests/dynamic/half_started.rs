//! Servers whose `init` runs while their dynamic supervisor serves other requests.

use std::future::pending;
use std::sync::Arc;

use regrow::{
    ChildSpec, DynamicSupervisor, DynamicSupervisorRef, ExitReason, GenServer, Pid, Reply, Restart,
    Result, Runtime, ServerContext, StartError,
};
use tokio::sync::Semaphore;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::support::settled;

/// What a server reports.
#[derive(Debug, PartialEq)]
enum Step {
    Init(Pid),
    Terminate(ExitReason),
}

/// A server whose `init` traps exits, and waits for a permit.
struct Gated(UnboundedSender<Step>);

#[derive(Clone)]
struct Plan {
    gate: Arc<Semaphore>,
    steps: UnboundedSender<Step>,
}

impl GenServer for Gated {
    type Args = Plan;
    type Call = Reply<()>;
    type Cast = ();

    async fn init(plan: Plan, ctx: &mut ServerContext<Self>) -> Result<Self> {
        ctx.trap_exit(true);
        plan.steps.send(Step::Init(ctx.pid()))?;
        plan.gate.acquire().await?.forget();
        Ok(Gated(plan.steps))
    }

    async fn handle_call(&mut self, reply: Reply<()>, _: &mut ServerContext<Self>) -> Result {
        reply.send(());
        Ok(())
    }

    async fn terminate(&mut self, reason: &ExitReason) {
        let _ = self.0.send(Step::Terminate(reason.clone()));
    }
}

/// A dynamic supervisor, the start of a child whose `init` runs, the gate of the `init`, and the steps.
struct Scene {
    rt: Runtime,
    jobs: DynamicSupervisorRef,
    start: tokio::task::JoinHandle<Result<Pid, StartError>>,
    gate: Arc<Semaphore>,
    steps: UnboundedReceiver<Step>,
    child: Pid,
}

async fn scene(rt: Runtime) -> Scene {
    let (steps, mut received) = unbounded_channel();
    let gate = Arc::new(Semaphore::new(0));
    let jobs = DynamicSupervisor::new().start(&rt).await.unwrap();
    let spec = Gated::child(Plan { gate: gate.clone(), steps });
    let start = {
        let jobs = jobs.clone();
        tokio::spawn(async move { jobs.start_child(spec).await })
    };
    let Some(Step::Init(child)) = received.recv().await else { panic!("no init") };
    Scene { rt, jobs, start, gate, steps: received, child }
}

#[tokio::test(start_paused = true)]
async fn the_supervisor_serves_requests_while_an_init_runs() {
    let Scene { jobs, start, gate, child, .. } = scene(Runtime::new()).await;
    assert_eq!(jobs.count_children().await.unwrap().specs, 0);
    gate.add_permits(1);
    assert_eq!(start.await.unwrap(), Ok(child));
    assert_eq!(jobs.count_children().await.unwrap().specs, 1);
}

#[tokio::test(start_paused = true)]
async fn a_full_mailbox_of_the_supervisor_does_not_hold_a_start_up() {
    let Scene { jobs, start, gate, child, .. } = scene(Runtime::with_mailbox_capacity(1)).await;
    gate.add_permits(1);
    // The request fills the mailbox before the server is polled.
    let (counted, started) = tokio::join!(biased; jobs.count_children(), start);
    assert_eq!(counted.unwrap().specs, 0);
    assert_eq!(started.unwrap(), Ok(child));
}

#[tokio::test(start_paused = true)]
async fn a_server_that_acknowledges_behind_a_stop_is_stopped_in_order() {
    let Scene { rt, jobs, start, gate, mut steps, .. } = scene(Runtime::new()).await;
    gate.add_permits(1);
    // The request to stop is queued before the server is polled.
    assert_eq!(jobs.stop().await, Ok(ExitReason::Shutdown));
    assert_eq!(steps.recv().await, Some(Step::Terminate(ExitReason::Shutdown)));
    assert!(matches!(start.await.unwrap(), Err(StartError::Unreachable(_))));
    assert_eq!(rt.process_count(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_stop_of_the_supervisor_kills_a_server_in_its_init() {
    let Scene { rt, jobs, start, mut steps, child, .. } = scene(Runtime::new()).await;
    let ended = rt.ended(child);
    assert_eq!(jobs.stop().await, Ok(ExitReason::Shutdown));
    assert_eq!(ended.await, ExitReason::Killed);
    assert_eq!(steps.recv().await, None);
    assert!(matches!(start.await.unwrap(), Err(StartError::Unreachable(_))));
}

#[tokio::test(start_paused = true)]
async fn the_kill_of_the_supervisor_kills_a_server_in_its_init() {
    let Scene { rt, jobs, start, child, .. } = scene(Runtime::new()).await;
    let ended = rt.ended(child);
    rt.kill(jobs.pid().unwrap());
    assert_eq!(ended.await, ExitReason::Killed);
    assert!(start.await.unwrap().is_err());
    settled().await;
    assert_eq!(rt.process_count(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_is_killed_in_its_init_fails_its_start_only() {
    let Scene { rt, jobs, start, gate, child, .. } = scene(Runtime::new()).await;
    rt.kill(child);
    assert_eq!(start.await.unwrap(), Err(StartError::Failed(ExitReason::Killed)));
    gate.add_permits(1);
    let (steps, _received) = unbounded_channel();
    let next = jobs.start_child(Gated::child(Plan { gate, steps })).await.unwrap();
    assert!(rt.is_alive(next));
}

/// A server that crashes as soon as its `init` has returned, in the same poll.
struct Short;

impl GenServer for Short {
    type Args = UnboundedSender<Step>;
    type Call = Reply<()>;
    type Cast = ();

    async fn init(steps: Self::Args, ctx: &mut ServerContext<Self>) -> Result<Self> {
        steps.send(Step::Init(ctx.pid()))?;
        if ctx.start_cause().restarts() == 0 {
            ctx.continue_with(());
        }
        Ok(Short)
    }

    async fn handle_cast(&mut self, (): (), _: &mut ServerContext<Self>) -> Result {
        Err("as planned")?
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_crashes_right_after_its_init_is_restarted() {
    let rt = Runtime::new();
    let (steps, mut received) = unbounded_channel();
    let jobs = DynamicSupervisor::new().start(&rt).await.unwrap();
    let first = jobs.start_child(Short::child(steps)).await.unwrap();
    assert_eq!(received.recv().await, Some(Step::Init(first)));
    let Some(Step::Init(next)) = received.recv().await else { panic!("no restart") };
    assert_ne!(next, first);
    settled().await;
    assert!(rt.is_alive(next) && !rt.is_alive(first));
    assert_eq!(jobs.count_children().await.unwrap().active, 1);
}

#[tokio::test(start_paused = true)]
async fn arguments_that_panic_fail_the_start_and_not_the_supervisor() {
    let rt = Runtime::new();
    let jobs = DynamicSupervisor::new().start(&rt).await.unwrap();
    let spec = Gated::child_with(|| panic!("no arguments"));
    let Err(StartError::Failed(reason)) = jobs.start_child(spec).await else { panic!() };
    assert_eq!(reason.crash().unwrap().message(), "no arguments");
    let other = ChildSpec::task("idle", |_| pending()).restart(Restart::Temporary);
    assert!(jobs.start_child(other).await.is_ok());
}
