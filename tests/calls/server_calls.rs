//! Calls to several servers at once, calls that wait for a restart, and calls from outside tokio.

use crate::support;

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use regrow::{
    CallError, ChildSpec, ExitReason, GenServer, Name, Pid, Reply, Result, Runtime, ServerContext,
    ServerRef, StartChild, StartContext, StartError, Started, Supervisor,
};
use support::ledger::{Call, LEDGER, Ledger, Setup, ledger};
use tokio::time::Instant;

const SECOND: Duration = Duration::from_secs(1);

/// GS-047: one time-out applies to all servers together, and each server has its own outcome.
#[tokio::test(start_paused = true)]
async fn call_many_returns_the_outcome_of_each_server_within_one_timeout() {
    let rt = Runtime::new();
    let start = || Ledger::start(&rt, Setup::default());
    let (good, dead, slow) = tokio::join!(start(), start(), start());
    let servers = [good.unwrap(), dead.unwrap(), slow.unwrap()];
    servers[1].stop(ExitReason::Normal).await.unwrap();
    let busy = servers[2].clone();
    let busy = tokio::spawn(async move { busy.call(|r| Call::Slow(2 * SECOND, r)).await });
    tokio::time::sleep(Duration::from_millis(1)).await;
    let begun = Instant::now();
    let answers = ServerRef::call_many(&servers, Call::Lines, SECOND).await;
    assert_eq!(answers, [Ok(vec![]), Err(CallError::NoProc), Err(CallError::Timeout)]);
    assert_eq!(begun.elapsed(), SECOND);
    assert_eq!(busy.await.unwrap(), Ok(0));
}

/// A server that answers whether a process is alive, and monitors it.
struct Porter;

impl GenServer for Porter {
    type Args = ();
    type Call = (Pid, Reply<bool>);
    type Cast = ();

    async fn init((): (), _: &mut ServerContext<Self>) -> Result<Self> {
        Ok(Porter)
    }

    async fn handle_call(
        &mut self,
        (caller, reply): (Pid, Reply<bool>),
        ctx: &mut ServerContext<Self>,
    ) -> Result {
        ctx.monitor(caller);
        reply.send(ctx.runtime().is_alive(caller));
        Ok(())
    }

    async fn handle_cast(&mut self, (): (), _: &mut ServerContext<Self>) -> Result {
        Ok(())
    }
}

/// A reply does not contain its caller, because the caller may be outside of any process. A call
/// that must be answered to a certain process carries the pid of that process.
#[tokio::test]
async fn a_call_can_carry_the_pid_of_its_caller_in_the_message() {
    let rt = Runtime::new();
    let porter = Porter::start(&rt, ()).await.unwrap();
    let asking = porter.clone();
    let inside = rt.spawn_fallible(|ctx| async move {
        assert!(asking.call(|reply| (ctx.pid(), reply)).await?);
        assert_eq!(ctx.runtime().info(ctx.pid()).map(|info| info.monitors), Some(1));
        Ok(())
    });
    assert_eq!(inside.join().await, ExitReason::Normal);
    assert_eq!(porter.call(|reply| (Pid::OUTSIDE, reply)).await, Ok(false));
}

/// A call that may wait reaches the successor, during the restart and while the holder ends.
/// Without a successor it fails at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_waiting_call_survives_restarts() {
    let rt = Runtime::new();
    let child = Ledger::child(Setup::default()).named(LEDGER);
    let spec = Supervisor::one_for_one().intensity(10_000, SECOND);
    let tree = spec.child(child).start(&rt).await.unwrap();
    let server = rt.server(LEDGER);
    for _ in 0..500 {
        rt.kill(server.pid().unwrap_or(Pid::OUTSIDE));
        match server.call_waiting(Call::Lines, 60 * SECOND).await {
            Ok(lines) => assert!(lines.is_empty()),
            Err(error) => assert_eq!(error, CallError::Exited(ExitReason::Killed)),
        }
    }
    tree.stop().await.unwrap();
    let gone = CallError::NoHolder(LEDGER.as_str().into());
    assert_eq!(server.call_waiting(Call::Lines, 60 * SECOND).await, Err(gone));
}

/// A call that may wait waits no longer than its time-out.
#[tokio::test(start_paused = true)]
async fn a_waiting_call_fails_with_restarting_after_its_time_limit() {
    let rt = Runtime::new();
    let child = ChildSpec::new("once", Once(AtomicBool::new(false))).named(LEDGER);
    let _tree = Supervisor::one_for_one().child(child).start(&rt).await.unwrap();
    let server = rt.server(LEDGER);
    let ended = server.ended();
    rt.kill(server.pid().unwrap());
    ended.await;
    let begun = Instant::now();
    let answer = server.call_waiting(Call::Lines, SECOND).await;
    assert_eq!(answer, Err(CallError::Restarting { retry_in: None }));
    assert_eq!(begun.elapsed(), SECOND);
}

/// A start function that starts its child once. Every later start takes for ever.
struct Once(AtomicBool);

#[async_trait::async_trait]
impl StartChild for Once {
    async fn start(&self, ctx: &mut StartContext) -> Result<Started, StartError> {
        if self.0.swap(true, Ordering::SeqCst) {
            std::future::pending().await
        }
        ctx.server::<Ledger>(Setup::default()).await
    }
}

/// A thread without a tokio context calls a server.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_thread_outside_tokio_can_call_a_server() {
    let rt = Runtime::new();
    let server = ledger(&rt).await;
    let thread = std::thread::spawn(move || {
        let slow = |reply| Call::Slow(60 * SECOND, reply);
        let late = server.call_blocking(slow, Duration::from_millis(5));
        (late, server.call_blocking(Call::Lines, Duration::ZERO))
    });
    let answers = tokio::task::spawn_blocking(|| thread.join().unwrap()).await.unwrap();
    assert_eq!(answers, (Err(CallError::Timeout), Err(CallError::Timeout)));
}

/// A server is found by its pid or by a name that is only text. A wrong type is an error, not a
/// panic.
#[tokio::test]
async fn server_at_and_server_named_find_a_server_and_check_its_type() {
    let rt = Runtime::new();
    let pid = ledger(&rt).await.pid().unwrap();
    let by_pid = rt.server_at::<Ledger>(pid).unwrap();
    assert_eq!(by_pid.call(Call::Lines).await, Ok(vec![]));
    assert_eq!(rt.server::<Ledger>("ledger").call(Call::Lines).await, Ok(vec![]));
    let raw = rt.spawn(|_| std::future::pending());
    assert_eq!(rt.server_at::<Ledger>(raw.pid()).unwrap_err(), CallError::WrongType);
    assert_eq!(rt.server_at::<Ledger>(Pid::from_raw(99)).unwrap_err(), CallError::NoProc);
    assert_eq!(rt.server_at::<Asker>(pid).unwrap_err(), CallError::WrongType);
}

/// A server that calls the next server before it answers.
struct Asker(Name<Asker>);

impl GenServer for Asker {
    type Args = Name<Asker>;
    type Call = Reply<Result<usize, CallError>>;
    type Cast = ();

    async fn init(next: Name<Asker>, _: &mut ServerContext<Self>) -> Result<Self> {
        Ok(Asker(next))
    }

    async fn handle_call(&mut self, reply: Self::Call, ctx: &mut ServerContext<Self>) -> Result {
        let next = ctx.runtime().server(self.0);
        let answer = match next.call(|reply| reply).await {
            Ok(answer) => answer.map(|hops| hops + 1),
            Err(CallError::NoHolder(_)) => Ok(0),
            Err(error) => Err(error),
        };
        reply.send(answer);
        Ok(())
    }

    async fn handle_cast(&mut self, (): (), _: &mut ServerContext<Self>) -> Result {
        Ok(())
    }
}

/// With detection, a call that closes a cycle fails at once with the cycle. Without detection, all
/// calls time out. A chain of calls is no cycle.
#[tokio::test(start_paused = true)]
async fn a_cycle_of_calls_gets_a_deadlock_error() {
    let rt = Runtime::new();
    let names = ["a", "b", "c", "nobody"].map(Name::<Asker>::new);
    let mut pids = Vec::new();
    for (me, next) in [(0, 1), (1, 2), (2, 0)] {
        let server = Asker::start_named(&rt, names[me], names[next]).await.unwrap();
        pids.push(server.pid().unwrap());
    }
    rt.detect_deadlocks(true);
    let begun = Instant::now();
    let answer = rt.server(names[0]).call(|reply| reply).await.unwrap();
    let cycle = vec![pids[2], pids[0], pids[1], pids[2]];
    assert_eq!(answer, Err(CallError::Deadlock { cycle }));
    assert_eq!(begun.elapsed(), Duration::ZERO);

    rt.detect_deadlocks(false);
    let answer = rt.server(names[0]).call(|reply| reply).await;
    assert!(matches!(answer, Err(CallError::Timeout) | Ok(Err(CallError::Timeout))));
    assert_eq!(begun.elapsed(), 5 * SECOND);

    rt.detect_deadlocks(true);
    let end = Asker::start(&rt, names[3]).await.unwrap();
    assert_eq!(end.call(|reply| reply).await, Ok(Ok(0)));
}
