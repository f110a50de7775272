//! A loop around an async method that returns at once lets other tasks run.
//!
//! `while server.call(..).await.is_err() {}` waits for a restart. On a single-threaded runtime, no
//! task can restart the server until this loop yields. So every async method that can return
//! without having waited consumes tokio's cooperative budget. This file and those of its folder list
//! all of these methods, and a test fails if one is missing.

use crate::support;

use std::collections::BTreeSet;
use std::future::{pending, ready};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::{FutureExt, stream};
use regrow::testing::{
    Mock, Probe, TestContext, await_exit, await_idle, await_restart, capture, collector, tree,
};
use regrow::{
    Caller, ChildSpec, ControlAction, ControlRequest, DynamicSupervisor, ExitReason, GenServer,
    Keep, KeyedServers, LogLevel, Name, Overflow, PartitionSupervisor, Registry, Reply, Restart,
    Run, Runtime, ServerContext, ServerRef, Shutdown, StartChild, StartContext, StartError,
    Started, Supervisor, SupervisorSpec, Task, TaskStream, TaskSupervisor, stream as byte_stream,
};
use support::source::{Source, is_word, sources};
use support::text;
use tokio::task::unconstrained;

/// Many more operations than one budget of tokio's allows. A loop of this length without a yield
/// blocks all other tasks.
const MANY: usize = 1_000;

const SOON: Duration = Duration::from_secs(1);

/// Another task on this thread. The flag is set when the task has run.
struct Other(Arc<AtomicBool>);

impl Other {
    fn spawn() -> Self {
        let has_run = Arc::new(AtomicBool::new(false));
        let run = has_run.clone();
        tokio::spawn(async move { run.store(true, Ordering::SeqCst) });
        Other(has_run)
    }

    fn has_run(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}

/// Repeats an operation until another task on this thread has run.
macro_rules! lets_other_tasks_run {
    ($name:literal, $operation:expr) => {
        let (other, mut rounds) = (Other::spawn(), 0);
        while !other.has_run() {
            $operation;
            rounds += 1;
            assert!(rounds < MANY, "{}: a loop around it lets no other task run", $name);
        }
    };
}

mod behaviours;
mod limits;

#[derive(Debug)]
struct Echo;

type Ask = Reply<u8>;

impl GenServer for Echo {
    type Args = ();
    type Call = Ask;
    type Cast = ();

    async fn init((): (), _: &mut ServerContext<Self>) -> regrow::Result<Self> {
        Ok(Echo)
    }

    async fn handle_call(&mut self, call: Ask, _: &mut ServerContext<Self>) -> regrow::Result {
        call.send(7);
        Ok(())
    }

    async fn handle_cast(&mut self, (): (), _: &mut ServerContext<Self>) -> regrow::Result {
        Ok(())
    }
}

const ECHO: Name<Echo> = Name::new("echo");

fn same(ask: Ask) -> Ask {
    ask
}

async fn dead_server(rt: &Runtime) -> ServerRef<Echo> {
    let server = Echo::start(rt, ()).await.unwrap();
    server.stop(ExitReason::Normal).await.unwrap();
    server
}

/// Repeats an operation until it succeeds, and fails the test if it never does.
async fn until_ok<T, E>(mut operation: impl AsyncFnMut() -> Result<T, E>) -> T {
    for _ in 0..100 * MANY {
        if let Ok(value) = operation().await {
            return value;
        }
    }
    panic!("what the loop waits for does not happen while it runs");
}

#[tokio::test]
async fn a_loop_of_calls_lets_a_server_restart() {
    let rt = Runtime::new();
    let bounded = Echo::child(()).named("echo").mailbox_capacity(8, Overflow::Wait);
    let tree = Supervisor::one_for_one().intensity(100, SOON).child(bounded);
    let tree = tree.start(&rt).await.unwrap();
    let server = rt.server(ECHO);
    let kill = || rt.kill(server.pid().unwrap());

    kill();
    assert_eq!(until_ok(async || server.call(same).await).await, 7);
    kill();
    assert_eq!(until_ok(async || server.call_timeout(same, SOON).await).await, 7);
    kill();
    assert_eq!(until_ok(async || server.call_unlimited(same).await).await, 7);
    kill();
    until_ok(async || server.cast_wait(()).await).await;
    kill();
    until_ok(async || server.get_status().await).await;
    kill();
    until_ok(async || server.peek(|_| ()).await).await;
    kill();
    until_ok(async || server.suspend().await).await;
    kill();
    let caller: Caller<(), u8> = server.caller(|(), reply| reply);
    assert_eq!(until_ok(async || caller.call(()).await).await, 7);
    kill();
    until_ok(async || server.stop(ExitReason::Shutdown).await).await;
    tree.stop().await.unwrap();
}

#[tokio::test]
async fn a_loop_of_requests_lets_a_supervisor_restart() {
    let rt = Runtime::new();
    let inner = Supervisor::one_for_one().named("inner");
    let many = DynamicSupervisor::new().named("many");
    let tree = Supervisor::one_for_one().intensity(100, SOON).child(inner).child(many);
    let tree = tree.start(&rt).await.unwrap();
    let inner = regrow::SupervisorRef::named(&rt, "inner");
    let many = regrow::DynamicSupervisorRef::named(&rt, "many");

    rt.kill(inner.pid().unwrap());
    assert!(until_ok(async || inner.which_children().await).await.is_empty());
    rt.kill(inner.pid().unwrap());
    until_ok(async || inner.start_child(Echo::child(())).await).await;
    rt.kill(many.pid().unwrap());
    until_ok(async || many.get_or_start("echo", Echo::child(())).await).await;
    rt.kill(many.pid().unwrap());
    assert_eq!(until_ok(async || many.count_children().await).await.active, 0);
    tree.stop().await.unwrap();
}

#[tokio::test]
async fn calls_that_fail_at_once_let_other_tasks_run() {
    let rt = Runtime::new();
    let dead = dead_server(&rt).await;
    let caller: Caller<(), u8> = dead.caller(|(), reply| reply);
    lets_other_tasks_run!("ServerRef::call", drop(dead.call(same).await));
    lets_other_tasks_run!("ServerRef::call_timeout", drop(dead.call_timeout(same, SOON).await));
    lets_other_tasks_run!("ServerRef::call_unlimited", drop(dead.call_unlimited(same).await));
    let stranger = rt.server(Name::<Echo>::new("nobody"));
    lets_other_tasks_run!("ServerRef::call_waiting", {
        drop(stranger.call_waiting(same, SOON).await);
    });
    lets_other_tasks_run!("ServerRef::call_many", {
        drop(ServerRef::<Echo>::call_many(&[], same, SOON).await);
    });
    lets_other_tasks_run!("Caller::call", drop(caller.call(()).await));
    lets_other_tasks_run!("Caller::call_timeout", drop(caller.call_timeout((), SOON).await));
    lets_other_tasks_run!("ServerRef::cast_wait", drop(dead.cast_wait(()).await));
    lets_other_tasks_run!("ServerRef::cast_timeout", drop(dead.cast_timeout((), SOON).await));
    let stop = || ExitReason::Normal;
    lets_other_tasks_run!("ServerRef::stop", drop(dead.stop(stop()).await));
    lets_other_tasks_run!("ServerRef::stop_timeout", {
        drop(dead.stop_timeout(stop(), SOON).await);
    });
    lets_other_tasks_run!("ServerRef::suspend", drop(dead.suspend().await));
    lets_other_tasks_run!("ServerRef::resume", drop(dead.resume().await));
    lets_other_tasks_run!("ServerRef::get_status", drop(dead.get_status().await));
    lets_other_tasks_run!("ServerRef::peek", drop(dead.peek(|_| ()).await));
    lets_other_tasks_run!("ServerRef::update", drop(dead.update(|_| ()).await));
    lets_other_tasks_run!("ServerRef::trace", drop(dead.trace().await));
    lets_other_tasks_run!("ServerRef::trace_with", {
        drop(dead.trace_with(|_| String::new()).await);
    });
    let ended = Echo::start(&rt, ()).await.unwrap();
    let mut trace = ended.trace().await.unwrap();
    rt.kill(ended.pid().unwrap());
    ended.ended().await;
    lets_other_tasks_run!("Trace::next", assert_eq!(trace.next().await, None));
    lets_other_tasks_run!("Ended", drop(dead.ended().await));
}

/// A cast for which the mailbox has room returns at once. A loop of such casts still lets other
/// tasks run.
#[tokio::test]
async fn casts_that_are_queued_at_once_let_other_tasks_run() {
    let rt = Runtime::new();
    let server = Echo::start(&rt, ()).await.unwrap();
    lets_other_tasks_run!("ServerRef::cast_wait", server.cast_wait(()).await.unwrap());
}

#[tokio::test]
async fn refused_starts_let_other_tasks_run() {
    let rt = Runtime::new();
    let probe = Probe::new(&rt);
    let _holder = Echo::start_named(&rt, ECHO, ()).await.unwrap();
    let spec = || Echo::spec(()).named(ECHO);
    lets_other_tasks_run!("ServerSpec::start", drop(spec().start(&rt).await));
    lets_other_tasks_run!("ServerSpec::start_link", drop(spec().start_link(&probe).await));
    lets_other_tasks_run!("ServerSpec::start_monitor", {
        drop(spec().start_monitor(&probe).await);
    });
    lets_other_tasks_run!("GenServer::start_named", {
        drop(Echo::start_named(&rt, ECHO, ()).await);
    });
    let tree = twice_the_same;
    lets_other_tasks_run!("SupervisorSpec::start", drop(tree().start(&rt).await));
    lets_other_tasks_run!("SupervisorSpec::start_link", drop(tree().start_link(&probe).await));
    lets_other_tasks_run!("SupervisorSpec::start_monitor", {
        drop(tree().start_monitor(&probe).await);
    });
    let none = || PartitionSupervisor::<Echo>::new("none", |_| ()).partitions(0);
    lets_other_tasks_run!("PartitionSupervisor::start", drop(none().start(&rt).await));
    let many = || DynamicSupervisor::new().named("echo");
    lets_other_tasks_run!("DynamicSupervisor::start", drop(many().start(&rt).await));
    lets_other_tasks_run!("DynamicSupervisor::start_link", {
        drop(many().start_link(&probe).await);
    });
    let tasks = || TaskSupervisor::new().named("echo");
    lets_other_tasks_run!("TaskSupervisor::start", drop(tasks().start(&rt).await));
    let program = || Run::new(twice_the_same()).without_signals();
    lets_other_tasks_run!("Run::run", drop(program().run().await));
    lets_other_tasks_run!("run", drop(regrow::run(twice_the_same()).await));
}

/// Returns a tree whose start is refused, because two children have the same id.
fn twice_the_same() -> SupervisorSpec {
    Supervisor::one_for_one().child(Echo::child(())).child(Echo::child(()))
}

#[tokio::test]
async fn starts_after_a_runtime_shutdown_let_other_tasks_run() {
    let rt = Runtime::new();
    let mut ctx = TestContext::<Echo>::new(&rt);
    rt.shutdown();
    lets_other_tasks_run!("GenServer::start", drop(Echo::start(&rt, ()).await));
    lets_other_tasks_run!("ServerContext::start_link", drop(ctx.start_link::<Echo>(()).await));
}

/// Starts a child in each way that a `StartContext` offers, under a name that another process
/// holds.
struct Repeats;

#[async_trait]
impl StartChild for Repeats {
    async fn start(&self, ctx: &mut StartContext) -> Result<Started, StartError> {
        lets_other_tasks_run!("StartContext::task", {
            drop(ctx.task(|_| pending()).await);
        });
        lets_other_tasks_run!("StartContext::server", drop(ctx.server::<Echo>(()).await));
        lets_other_tasks_run!("StartContext::serve", {
            drop(ctx.serve(|_| pending::<regrow::Result>()).await);
        });
        lets_other_tasks_run!("StartContext::blocking", {
            drop(ctx.blocking(|_| Ok(())).await);
        });
        #[cfg(feature = "process")]
        lets_other_tasks_run!("StartContext::command", {
            drop(ctx.command(tokio::process::Command::new("true")).await);
        });
        Err(StartError::Ignored)
    }
}

#[tokio::test]
async fn refused_child_starts_let_other_tasks_run() {
    let rt = Runtime::new();
    let _holder = Echo::start_named(&rt, ECHO, ()).await.unwrap();
    let child = ChildSpec::new("repeats", Repeats).named("echo");
    let tree = Supervisor::one_for_one().child(child).start(&rt).await.unwrap();
    tree.stop().await.unwrap();
}

#[tokio::test]
async fn requests_to_an_ended_supervisor_let_other_tasks_run() {
    let rt = Runtime::new();
    let tree = Supervisor::one_for_one().start(&rt).await.unwrap();
    let mut observation = tree.observe().unwrap();
    tree.stop().await.unwrap();
    let child = || Echo::child(());
    lets_other_tasks_run!("SupervisorRef::start_child", drop(tree.start_child(child()).await));
    lets_other_tasks_run!("SupervisorRef::start_child_waiting", {
        drop(tree.start_child_waiting(child(), SOON).await);
    });
    lets_other_tasks_run!("SupervisorRef::start_once", {
        drop(tree.start_once(ChildSpec::once("once", async |_| Ok(()))).await);
    });
    lets_other_tasks_run!("SupervisorRef::terminate_child", {
        drop(tree.terminate_child("a").await);
    });
    lets_other_tasks_run!("SupervisorRef::restart_child", drop(tree.restart_child("a").await));
    lets_other_tasks_run!("SupervisorRef::delete_child", drop(tree.delete_child("a").await));
    lets_other_tasks_run!("SupervisorRef::which_child", drop(tree.which_child("a").await));
    lets_other_tasks_run!("SupervisorRef::child_spec", drop(tree.child_spec("a").await));
    lets_other_tasks_run!("SupervisorRef::which_children", drop(tree.which_children().await));
    lets_other_tasks_run!("SupervisorRef::count_children", drop(tree.count_children().await));
    lets_other_tasks_run!("SupervisorRef::tree", drop(tree.tree().await));
    lets_other_tasks_run!("SupervisorRef::tree_within", drop(tree.tree_within(SOON).await));
    lets_other_tasks_run!("Observation::picture", drop(observation.picture().await));
    let level = || ControlRequest::new(ControlAction::LogLevel(LogLevel::Info));
    lets_other_tasks_run!("Runtime::control", drop(rt.control(level()).await));
    lets_other_tasks_run!("SupervisorRef::control", drop(tree.control(level()).await));
    let mut over = {
        let rt = Runtime::new();
        rt.observe()
    };
    lets_other_tasks_run!("Observation::next", drop(over.next().await));
    lets_other_tasks_run!("SupervisorRef::stop", drop(tree.stop().await));
    lets_other_tasks_run!("SupervisorRef::stop_with", {
        drop(tree.stop_with(ExitReason::Normal).await);
    });
}

#[tokio::test]
async fn requests_to_an_ended_partition_supervisor_let_other_tasks_run() {
    let rt = Runtime::new();
    let parts = PartitionSupervisor::<Echo>::new("parts", |_| ()).partitions(1);
    let parts = parts.start(&rt).await.unwrap();
    parts.stop().await.unwrap();
    lets_other_tasks_run!("PartitionSupervisorRef::stop", drop(parts.stop().await));
    lets_other_tasks_run!("PartitionSupervisorRef::resize", drop(parts.resize(2).await));
    lets_other_tasks_run!("PartitionSupervisorRef::resize, refused", {
        drop(parts.resize(0).await);
    });
}

#[tokio::test]
async fn requests_to_an_ended_dynamic_supervisor_let_other_tasks_run() {
    let rt = Runtime::new();
    let many = DynamicSupervisor::new().start(&rt).await.unwrap();
    many.stop().await.unwrap();
    let holder = Echo::start_named(&rt, ECHO, ()).await.unwrap().pid().unwrap();
    let child = || Echo::child(());
    lets_other_tasks_run!("DynamicSupervisorRef::start_once", {
        drop(many.start_once(ChildSpec::once("once", async |_| Ok(()))).await);
    });
    lets_other_tasks_run!("DynamicSupervisorRef::start_child", {
        drop(many.start_child(child()).await);
    });
    lets_other_tasks_run!("DynamicSupervisorRef::start_child_waiting", {
        drop(many.start_child_waiting(child(), SOON).await);
    });
    lets_other_tasks_run!("DynamicSupervisorRef::start_server", {
        drop(many.start_server::<Echo>(()).await);
    });
    lets_other_tasks_run!("DynamicSupervisorRef::get_or_start", {
        assert_eq!(many.get_or_start("echo", child()).await, Ok(holder));
    });
    let keyed: KeyedServers<u8, Echo> = KeyedServers::new(&many);
    lets_other_tasks_run!("KeyedServers::call_or_start", {
        drop(keyed.call_or_start(&1, || Echo::spec(()), same, SOON).await);
    });
    lets_other_tasks_run!("KeyedServers::cast_or_start", {
        drop(keyed.cast_or_start(&1, || Echo::spec(()), (), SOON).await);
    });
    lets_other_tasks_run!("DynamicSupervisorRef::terminate_child", {
        drop(many.terminate_child(holder).await);
    });
    lets_other_tasks_run!("DynamicSupervisorRef::which_children", {
        drop(many.which_children().await);
    });
    lets_other_tasks_run!("DynamicSupervisorRef::count_children", {
        drop(many.count_children().await);
    });
    lets_other_tasks_run!("DynamicSupervisorRef::tree", drop(many.tree().await));
    lets_other_tasks_run!("DynamicSupervisorRef::tree_within", drop(many.tree_within(SOON).await));
    lets_other_tasks_run!("DynamicSupervisorRef::stop", drop(many.stop().await));
}

#[cfg(feature = "cluster")]
#[tokio::test]
async fn requests_to_a_node_that_does_not_run_let_other_tasks_run() {
    let rt = Runtime::new();
    for there in [rt.node("a@127.0.0.1"), rt.node("no name")] {
        lets_other_tasks_run!("NodeRef::connect", drop(there.connect().await));
        lets_other_tasks_run!("NodeRef::disconnect", assert!(!there.disconnect().await));
        lets_other_tasks_run!("NodeRef::is_connected", assert!(!there.is_connected().await));
    }
    for there in [rt.node("a@127.0.0.1"), rt.node("no name")] {
        let there = there.server::<Echo>("echo");
        let is_lost = |result| assert_eq!(result, Err(regrow::CallError::NoConnection));
        lets_other_tasks_run!("RemoteServer::call", is_lost(there.call(|reply| reply).await));
        lets_other_tasks_run!("RemoteServer::call_timeout", {
            is_lost(there.call_timeout(|reply| reply, Duration::from_secs(1)).await);
        });
    }
    for there in [rt.node("a@127.0.0.1").process("kv"), rt.node("no name").process("kv")] {
        let is_lost = |result| assert_eq!(result, Err(regrow::CallError::NoConnection));
        let second = Duration::from_secs(1);
        lets_other_tasks_run!("RemoteName::call", is_lost(there.call::<u8>("x").await));
        lets_other_tasks_run!("RemoteName::call_timeout", {
            is_lost(there.call_timeout::<u8>("x", second).await);
        });
        lets_other_tasks_run!("RemoteName::call with a request that has no term", {
            assert!(there.call::<u8>(f64::NAN).await.is_err());
        });
    }
    lets_other_tasks_run!("Runtime::connected_nodes", {
        assert!(rt.connected_nodes().await.is_empty());
    });
}

#[tokio::test]
async fn requests_to_an_ended_task_supervisor_let_other_tasks_run() {
    let (rt, body) = (Runtime::new(), |_| async {});
    let (probe, fallible) = (Probe::new(&rt), |_| async { Ok(()) });
    let tasks = TaskSupervisor::new().start(&rt).await.unwrap();
    tasks.stop().await.unwrap();
    lets_other_tasks_run!("TaskSupervisorRef::spawn", drop(tasks.spawn(&probe, body).await));
    lets_other_tasks_run!("TaskSupervisorRef::spawn_nolink", {
        drop(tasks.spawn_nolink(body).await);
    });
    lets_other_tasks_run!("TaskSupervisorRef::start_child", {
        drop(tasks.start_child(fallible).await);
    });
    lets_other_tasks_run!("TaskSupervisorRef::start_child_waiting", {
        drop(tasks.start_child_waiting(fallible, SOON).await);
    });
    lets_other_tasks_run!("TaskSupervisorRef::start_once", {
        drop(tasks.start_once(ChildSpec::once("once", fallible)).await);
    });
    lets_other_tasks_run!("TaskSupervisorRef::start_child_with", {
        drop(tasks.start_child_with(Restart::Transient, fallible).await);
    });
    lets_other_tasks_run!("TaskSupervisorRef::terminate_child", {
        drop(tasks.terminate_child(probe_pid(&probe)).await);
    });
    lets_other_tasks_run!("TaskSupervisorRef::children", drop(tasks.children().await));
    lets_other_tasks_run!("TaskSupervisorRef::stop", drop(tasks.stop().await));
}

fn probe_pid(probe: &Probe) -> regrow::Pid {
    probe.pid()
}

/// Starts `MANY` tasks, and returns them after all of them have ended.
async fn finished(rt: &Runtime) -> Vec<Task<u8>> {
    let tasks: Vec<_> = (0..MANY).map(|_| Task::spawn_nolink(rt, |_| ready(7))).collect();
    for task in &tasks {
        rt.ended(task.pid()).await;
    }
    tasks
}

#[tokio::test]
async fn waits_for_ended_tasks_let_other_tasks_run() {
    let rt = Runtime::new();
    let mut tasks = finished(&rt).await;
    let mut next = || tasks.pop().unwrap();
    lets_other_tasks_run!("Task::join", assert_eq!(next().join().await, Ok(7)));
    lets_other_tasks_run!("Task::join_timeout", drop(next().join_timeout(SOON).await));
    let mut tasks = finished(&rt).await;
    let mut next = || tasks.pop().unwrap();
    lets_other_tasks_run!("Task::join_unlimited", drop(next().join_unlimited().await));
    lets_other_tasks_run!("Task::shutdown", drop(next().shutdown(Shutdown::BrutalKill).await));
    let mut task = next();
    lets_other_tasks_run!("Task::yield_for", drop(task.yield_for(SOON).await));
    lets_other_tasks_run!("Task::join_many", drop(Task::<u8>::join_many([], SOON).await));
    lets_other_tasks_run!("scope", drop(regrow::scope(&rt, async |_| Ok(())).await));
    let tasks = regrow::scope(&rt, async |scope| {
        let tasks = (0..MANY).map(|_| scope.spawn(|_| ready(Ok(()))));
        Ok(tasks.collect::<Vec<_>>())
    });
    let mut tasks = tasks.await.unwrap();
    lets_other_tasks_run!("ScopeTask", tasks.pop().unwrap().await.unwrap());
    lets_other_tasks_run!("Task::yield_many", drop(Task::<u8>::yield_many(&mut [], SOON).await));
    let mut none = TaskStream::nolink(&rt, stream::empty::<u8>(), |_| async {});
    lets_other_tasks_run!("TaskStream::next", assert!(none.next().await.is_none()));
}

#[tokio::test]
async fn receives_of_queued_messages_let_other_tasks_run() {
    let rt = Runtime::new();
    let receiver = rt.spawn(async move |mut ctx| {
        let (rt, pid) = (ctx.runtime(), ctx.pid());
        let mail = || assert!(rt.send(pid, b"x".to_vec()));
        lets_other_tasks_run!("Context::recv", {
            mail();
            drop(ctx.recv().await);
        });
        lets_other_tasks_run!("Context::recv_match", {
            mail();
            drop(ctx.recv_match(|item| *item == text("x")).await);
        });
        lets_other_tasks_run!("Context::recv_timeout", {
            mail();
            drop(ctx.recv_timeout(SOON).await);
        });
        lets_other_tasks_run!("Context::recv_match_timeout", {
            mail();
            drop(ctx.recv_match_timeout(|item| *item == text("x"), SOON).await);
        });
    });
    assert_eq!(receiver.join().await, ExitReason::Normal);
    let task = Task::spawn_nolink(&rt, async move |mut ctx| {
        let (rt, pid) = (ctx.runtime(), ctx.pid());
        let mail = || assert!(rt.send(pid, b"x".to_vec()));
        lets_other_tasks_run!("TaskContext::recv", {
            mail();
            drop(ctx.recv().await);
        });
        lets_other_tasks_run!("TaskContext::recv_match", {
            mail();
            drop(ctx.recv_match(|item| *item == text("x")).await);
        });
        lets_other_tasks_run!("TaskContext::recv_timeout", {
            mail();
            drop(ctx.recv_timeout(SOON).await);
        });
    });
    task.join_unlimited().await.unwrap();
}

#[tokio::test]
async fn reads_of_ready_events_and_chunks_let_other_tasks_run() {
    let rt = Runtime::new();
    let registry = Registry::<u8, ()>::unique(&rt);
    let mut changes = registry.changes();
    drop(registry);
    lets_other_tasks_run!("RegistryChanges::next", changes.next().await);
    let (mut events, mut letters) = (rt.events(), rt.dead_letters());
    drop(rt);
    lets_other_tasks_run!("Events::next", assert!(events.next().await.is_none()));
    lets_other_tasks_run!("DeadLetters::next", assert!(letters.next().await.is_none()));
    let (writer, mut reader) = byte_stream();
    drop(writer);
    lets_other_tasks_run!("StreamHandle::read", assert!(reader.read().await.is_none()));
    let (writer, reader) = byte_stream();
    drop(reader);
    lets_other_tasks_run!("StreamWriter::write", drop(writer.write(vec![1]).await));
}

#[tokio::test]
async fn lending_a_free_keep_lets_other_tasks_run() {
    let refuses = Keep::<u8>::new(async || Err(ExitReason::Normal));
    lets_other_tasks_run!("Keep::lend", drop(refuses.lend().await));
    let kept = Keep::with(|| 7);
    lets_other_tasks_run!("Keep::get", assert_eq!(kept.get().await, Ok(7)));
    lets_other_tasks_run!("Keep::reset", _ = kept.reset().await);
}

/// One child has received its stop request; another child serves until it receives one.
#[tokio::test]
async fn waits_for_a_signalled_shutdown_let_other_tasks_run() {
    let rt = Runtime::new();
    let task = ChildSpec::task("task", async move |mut ctx| {
        ctx.shutdown().await;
        lets_other_tasks_run!("TaskContext::shutdown", ctx.shutdown().await);
        Ok(())
    });
    let serve = ChildSpec::serve("serve", async move |signal: regrow::ShutdownSignal| {
        signal.clone().await;
        lets_other_tasks_run!("ShutdownSignal", signal.clone().await);
        Ok::<(), ExitReason>(())
    });
    let tree = Supervisor::one_for_one().child(task).child(serve).start(&rt).await.unwrap();
    let children = tree.which_children().await.unwrap();
    let ends: Vec<_> = children.iter().map(|child| rt.ended(child.pid().unwrap())).collect();
    tree.stop().await.unwrap();
    for end in ends {
        assert_eq!(end.await, ExitReason::Shutdown);
    }
}

#[tokio::test]
async fn probes_and_test_contexts_let_other_tasks_run() {
    let rt = Runtime::new();
    let mut probe = Probe::new(&rt);
    let mail = |pid| assert!(rt.send(pid, b"x".to_vec()));
    lets_other_tasks_run!("Probe::next", {
        mail(probe.pid());
        drop(probe.next().await);
    });
    lets_other_tasks_run!("Probe::expect", {
        mail(probe.pid());
        probe.expect(text("x")).await;
    });
    lets_other_tasks_run!("Probe::expect_match", {
        mail(probe.pid());
        drop(probe.expect_match(|_| true).await);
    });
    let mut ctx = TestContext::<Echo>::new(&rt);
    lets_other_tasks_run!("TestContext::handle_next", {
        mail(ctx.pid());
        ctx.handle_next(&mut Echo).await.unwrap();
    });
    lets_other_tasks_run!("Answer", {
        let (ask, answer) = ctx.question(same);
        ask.send(7);
        assert_eq!(answer.await, Ok(7));
    });
    let dead = support::dead(&rt).await;
    lets_other_tasks_run!("await_exit", drop(await_exit(&rt, dead).await));
    let mut holders = [support::idle(&rt), support::idle(&rt)];
    rt.register("held", holders[1]);
    lets_other_tasks_run!("await_restart", {
        let successor = await_restart(&rt, "held");
        rt.unregister("held");
        rt.register("held", holders[0]);
        assert_eq!(successor.await, holders[0]);
        holders.reverse();
    });
}

#[tokio::test]
async fn mocks_let_other_tasks_run() {
    let rt = Runtime::new();
    let mut mock = Mock::<Echo>::new(&rt);
    let server = mock.server();
    lets_other_tasks_run!("Mock::next", {
        server.cast(());
        drop(mock.next().await);
    });
    lets_other_tasks_run!("Mock::next_cast", {
        server.cast(());
        mock.next_cast().await;
    });
    let mut calls: Vec<_> = (0..MANY).map(|_| Box::pin(server.call_unlimited(same))).collect();
    for call in &mut calls {
        assert!(unconstrained(call).now_or_never().is_none());
    }
    lets_other_tasks_run!("Mock::next_call", drop(mock.next_call().await));
    let mut mocks: Vec<_> = (0..MANY).map(|_| Mock::<Echo>::new(&rt)).collect();
    for mock in &mocks {
        support::killed(&rt, mock.pid()).await;
    }
    lets_other_tasks_run!("Mock::end", {
        drop(mocks.pop().unwrap().end(ExitReason::Normal).await);
    });
}

#[tokio::test]
async fn collectors_captures_and_test_trees_let_other_tasks_run() {
    let rt = Runtime::new();
    let mut words = collector::<&str>(&rt);
    lets_other_tasks_run!("Collector::next", {
        words.send("x");
        words.next().await;
    });
    lets_other_tasks_run!("Collector::next_within", {
        words.send("x");
        words.next_within(SOON).await;
    });
    lets_other_tasks_run!("Collector::drain_for", {
        drop(words.drain_for(Duration::ZERO).await);
    });
    let mut captured = capture(&rt);
    let job = support::idle(&rt);
    rt.log_spawn(job, "job", "");
    lets_other_tasks_run!("Capture::await_event", {
        drop(captured.await_event(|_| true).await);
    });
    let spec = Supervisor::one_for_one();
    let top = spec.clone().start(&rt).await.unwrap();
    lets_other_tasks_run!("await_idle", await_idle(&top).await);
    lets_other_tasks_run!("TestTree::run", {
        tree(spec.clone()).run(async |_: &_| {}).await;
    });
}

#[cfg(feature = "net")]
#[tokio::test]
async fn a_listener_address_lets_other_tasks_run() {
    let listener = ChildSpec::tcp_listener("listener", "127.0.0.1:0", |_, _, _| pending());
    let address = listener.address();
    let tree = Supervisor::one_for_one().child(listener).start(&Runtime::new()).await.unwrap();
    lets_other_tasks_run!("ListenerAddress::bound", assert!(address.bound().await.is_some()));
    tree.stop().await.unwrap();
}

#[cfg(feature = "metrics")]
#[tokio::test]
async fn the_writes_of_an_exporter_let_other_tasks_run() {
    let rt = Runtime::new();
    let exporter = regrow::metrics::Metrics::new().exporter(&rt);
    lets_other_tasks_run!("Exporter::collect", exporter.collect().await);
    drop(rt);
    lets_other_tasks_run!("Exporter::collect, without a runtime", exporter.collect().await);
}

/// Types and methods that no test above repeats, and the reasons.
const EXEMPT: [(&str, &str); 20] = [
    ("RegistryChanges", "as a stream it is what `RegistryChanges::next` polls"),
    ("TopicStream", "as a stream it is what `TopicStream::next` polls"),
    ("TaskStream", "as a stream it is what `TaskStream::next` polls"),
    ("ProcessFuture", "internal: a tokio task of its own"),
    ("QueuedSend", "internal: polled by calls and casts that took their turn"),
    ("TaskState", "internal: polled by `TaskStream`"),
    ("AwaitReply", "internal: polled by calls that took their turn"),
    ("ItemWait", "internal: polled by the loop of a server"),
    ("NextAck", "internal: polled by supervisors that start a server"),
    ("Recv", "internal: the future of `Context::recv`"),
    ("Caught", "internal: the loop of a server, and the user's own `terminate`"),
    ("Sliced", "internal: a tokio task of its own, which gives way after each slice"),
    ("Watched", "internal: the user's own callback of a state machine"),
    ("Within", "internal: polled by methods that took their turn"),
    ("GenServer::terminate", "the user's own code"),
    ("GenServer::handle_own", "internal: polled by the loop of a server"),
    ("CallDeadline::hand_on", "polls the user's own future"),
    ("Metadata::hand_on", "polls the user's own future"),
    ("Runtime::with_metadata", "polls the user's own future"),
    ("HandedOn", "polls the user's own future"),
];

/// This file, and the files of its folder.
const FILES: [&str; 3] =
    [include_str!("mod.rs"), include_str!("behaviours.rs"), include_str!("limits.rs")];

/// Returns the names of the operations that these files repeat.
fn repeated() -> BTreeSet<String> {
    let calls = FILES.iter().flat_map(|text| text.split("lets_other_tasks_run!(").skip(1));
    let names = calls.filter_map(|call| call.trim_start().strip_prefix('"')?.split('"').next());
    names.map(str::to_owned).collect()
}

/// Returns the type that an `impl` block is for, or the trait that a `trait` block declares.
fn subject(header: &str) -> Option<String> {
    let header = header.trim_start_matches("pub ");
    let rest = match header.strip_prefix("trait ") {
        Some(rest) => rest,
        None => after_generics(header.strip_prefix("impl")?),
    };
    let about = rest.split(" for ").nth(1).unwrap_or(rest).trim_start();
    Some(about.chars().take_while(|c| is_word(*c)).collect())
}

/// Returns the text after the generic parameters, or the whole text if it starts with none.
fn after_generics(text: &str) -> &str {
    let mut depth = 0;
    for (at, c) in text.char_indices() {
        match c {
            '<' => depth += 1,
            '>' if !text[..at].ends_with('-') => depth -= 1,
            ' ' if depth == 0 => return &text[at..],
            _ => {}
        }
    }
    text
}

/// Returns the public async methods of a file, the public functions that return a future, and the
/// types that implement `Future` or `Stream`.
fn futures(source: &Source) -> Vec<String> {
    let code = source.shipped();
    let (mut about, mut found) = (None, Vec::new());
    let mut lines = code.lines();
    while let Some(line) = lines.next() {
        let is_header = ["impl", "pub trait ", "trait "].iter().any(|word| line.starts_with(word));
        if is_header {
            about = subject(line);
            let is_future = line.contains(" Future for ") || line.contains(" Stream for ");
            found.extend(about.clone().filter(|_| is_future));
            about = about.filter(|_| !line.ends_with("{}"));
        } else if line.starts_with('}') {
            about = None;
        }
        let (of_trait, line) = match line.strip_prefix("    fn ") {
            Some(_) if about.as_deref() == Some("GenServer") => (true, line.trim_start()),
            _ => (false, line.trim_start()),
        };
        let Some(signature) = line.strip_prefix("pub ").or(of_trait.then_some(line)) else {
            continue;
        };
        let (is_async, name) = match signature.strip_prefix("async fn ") {
            Some(name) => (true, name),
            None => match signature.strip_prefix("fn ") {
                Some(name) => (false, name),
                None => continue,
            },
        };
        let mut whole = signature.to_owned();
        while !whole.contains('{') && !whole.contains(';') {
            let Some(line) = lines.next() else { break };
            whole.push_str(line);
        }
        if is_async || whole.contains("-> impl Future<") {
            let name: String = name.chars().take_while(|c| is_word(*c)).collect();
            found.push(about.as_ref().map_or(name.clone(), |about| format!("{about}::{name}")));
        }
    }
    found
}

#[test]
fn every_async_method_is_tested_here_or_exempt_with_a_reason() {
    let all: BTreeSet<_> = sources("src").iter().flat_map(futures).collect();
    let mut known = repeated();
    known.extend(EXEMPT.iter().map(|(name, _)| (*name).to_owned()));
    let callbacks = ["init", "handle_call", "handle_cast", "handle_info", "handle_timeout"];
    known.extend(callbacks.map(|callback| format!("GenServer::{callback}")));
    let missing: Vec<_> = all.difference(&known).collect();
    assert!(
        missing.is_empty(),
        "repeat these beside another task, in this file or its folder: {missing:?}"
    );
    assert!(all.len() > 90, "only {} async methods were found", all.len());
}

#[test]
fn async_methods_are_found_in_source_text() {
    let text = "impl<T: Fn() -> u8> Sample<T> {\n    pub async fn go(&self) {}\n    \
                pub fn later(\n        &self,\n    ) -> impl Future<Output = ()> {}\n    \
                pub(crate) async fn inner() {}\n    // pub async fn old() {}\n}\n\
                impl Future for Sample<u8> {}\npub async fn free() {}\n";
    let source = Source { path: "src/sample.rs".to_owned(), text: text.to_owned() };
    assert_eq!(futures(&source), ["Sample::go", "Sample::later", "Sample", "free"]);
}
