//! Starting servers: linked, monitored, with a time limit, and restarted.

use crate::support;

use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use regrow::{
    ExitReason, GenServer, Inside, Leftovers, Name, Received, Result, Runtime, ServerContext,
    StartCause, StartError, Supervisor,
};
use support::ledger::{Call, Init, LEDGER, Ledger, Setup};
use tokio::select;
use tokio::sync::Notify;
use tokio::time::Instant;

fn init(init: Init) -> Setup {
    Setup { init, ..Setup::default() }
}

/// GS-002: the starter is linked; a starter that traps exits receives the exit of the server.
#[tokio::test]
async fn start_link_sends_the_exit_of_the_server_to_a_trapping_starter() {
    let rt = Runtime::new();
    let starter = rt.spawn(|mut ctx| async move {
        let rt = ctx.runtime();
        rt.set_trap_exit(ctx.pid(), true);
        let server = Ledger::spec(Setup::default()).start_link(&ctx).await.unwrap();
        let reason = ExitReason::crashed("enough");
        server.stop(reason.clone()).await.unwrap();
        let from = server.pid().unwrap();
        assert_eq!(ctx.recv().await, Received::Exit { from, reason });
    });
    assert_eq!(starter.join().await, ExitReason::Normal);
}

/// The failure is reported only by the returned error: a parent that does not trap exits stays
/// alive, and one that traps them gets no `Exit`.
#[tokio::test]
async fn a_failed_init_under_start_link_sends_its_parent_no_exit() {
    let rt = Runtime::new();
    let fails = || Init::Fails(ExitReason::crashed("no disk"));
    for (traps, how) in
        [(false, fails()), (true, fails()), (false, Init::Panics), (true, Init::Panics)]
    {
        let parent = rt.spawn(move |mut ctx| async move {
            let rt = ctx.runtime();
            rt.set_trap_exit(ctx.pid(), traps);
            let failed = Ledger::spec(init(how)).start_link(&ctx).await;
            assert!(matches!(failed, Err(StartError::Failed(_))), "{failed:?}");
            assert_eq!(ctx.recv_timeout(Duration::ZERO).await, None);
            assert_eq!(rt.info(ctx.pid()).unwrap().links, 0);
        });
        assert_eq!(parent.join().await, ExitReason::Normal, "traps {traps}");
    }
    assert_eq!(rt.leftovers(), Leftovers::default());
}

/// GS-003: the starter gets one `Down` with the returned reference. A failed start leaves no
/// monitor.
#[tokio::test]
async fn start_monitor_sends_the_starter_one_down() {
    let rt = Runtime::new();
    let starter = rt.spawn(|mut ctx| async move {
        let failed = Ledger::spec(init(Init::Panics)).start_monitor(&ctx).await;
        assert!(matches!(failed, Err(StartError::Failed(_))));
        let spec = Ledger::spec(Setup::default()).named(LEDGER);
        let (server, reference) = spec.start_monitor(&ctx).await.unwrap();
        server.stop(ExitReason::Shutdown).await.unwrap();
        let pid = server.pid().unwrap();
        let down = Received::Down { reference, pid, reason: ExitReason::Shutdown };
        assert_eq!(ctx.recv().await, down);
        assert_eq!(ctx.recv_timeout(Duration::ZERO).await, None);
    });
    assert_eq!(starter.join().await, ExitReason::Normal);
}

/// GS-008: the start fails exactly at its limit. The process is then gone, and its name free.
#[tokio::test(start_paused = true)]
async fn an_init_that_exceeds_its_timeout_is_killed() {
    let rt = Runtime::new();
    let limit = Duration::from_millis(100);
    let start = Instant::now();
    let spec = || Ledger::spec(init(Init::Hangs)).named(LEDGER).init_timeout(limit);
    assert_eq!(spec().start(&rt).await.unwrap_err(), StartError::InitTimeout(limit));
    assert_eq!(start.elapsed(), limit);
    assert_eq!(rt.leftovers(), Leftovers::default());

    let child = Ledger::child(init(Init::Hangs)).init_timeout(limit);
    let error = Supervisor::one_for_one().child(child).start(&rt).await.unwrap_err();
    let timeout = Box::new(StartError::InitTimeout(limit));
    assert_eq!(error, StartError::Child { id: "Ledger".into(), error: timeout });
    assert_eq!(rt.leftovers(), Leftovers::default());
}

/// A parent that ends during the `init` of its child ends the child.
#[tokio::test]
async fn a_killed_parent_ends_a_child_that_is_starting() {
    let rt = Runtime::new();
    let parent = rt.spawn(|ctx| async move {
        drop(Ledger::spec(init(Init::Hangs)).named(LEDGER).start_link(&ctx).await);
    });
    while rt.whereis("ledger").is_none() {
        tokio::task::yield_now().await;
    }
    let ended = rt.ended(rt.whereis("ledger").unwrap());
    parent.kill();
    assert_eq!(ended.await, ExitReason::Killed);
    assert_eq!(rt.whereis("ledger"), None);
}

/// A server that notifies the test just before its `init` returns.
struct Prompt;

impl GenServer for Prompt {
    type Args = Arc<Notify>;
    type Call = ();
    type Cast = ();

    async fn init(about: Arc<Notify>, _: &mut ServerContext<Self>) -> Result<Self> {
        about.notify_one();
        Ok(Prompt)
    }

    async fn handle_call(&mut self, (): (), _: &mut ServerContext<Self>) -> Result {
        Ok(())
    }

    async fn handle_cast(&mut self, (): (), _: &mut ServerContext<Self>) -> Result {
        Ok(())
    }
}

/// The child has started when its parent drops the start, before the parent has polled the result.
/// The child is killed. The parent receives nothing, whether it is linked or monitors, and whether
/// it traps exits.
#[tokio::test]
async fn a_dropped_start_sends_the_parent_no_exit_and_no_down() {
    let rt = Runtime::new();
    for (traps, watches) in [(false, false), (true, false), (false, true)] {
        let parent = rt.spawn(move |mut ctx| async move {
            let (rt, about) = (ctx.runtime(), Arc::new(Notify::new()));
            rt.set_trap_exit(ctx.pid(), traps);
            let spec = Prompt::spec(about.clone()).named(Name::new("prompt"));
            let start = async {
                if watches {
                    spec.start_monitor(&ctx).await.map(drop)
                } else {
                    spec.start_link(&ctx).await.map(drop)
                }
            };
            let child = async {
                about.notified().await;
                rt.whereis("prompt").unwrap()
            };
            let child = select! { biased; pid = child => pid, _ = start => panic!("too late") };
            rt.ended(child).await;
            assert_eq!(ctx.recv_timeout(Duration::ZERO).await, None);
        });
        assert_eq!(parent.join().await, ExitReason::Normal, "traps {traps}, watches {watches}");
    }
    assert_eq!(rt.leftovers(), Leftovers::default());
}

/// A server that notifies the test in its `init`, and then blocks its thread there.
struct Held;

impl GenServer for Held {
    type Args = (Arc<Notify>, Receiver<()>);
    type Call = ();
    type Cast = ();

    async fn init((runs, gate): Self::Args, _: &mut ServerContext<Self>) -> Result<Self> {
        runs.notify_one();
        tokio::task::block_in_place(|| gate.recv().unwrap());
        Ok(Held)
    }

    async fn handle_call(&mut self, (): (), _: &mut ServerContext<Self>) -> Result {
        Ok(())
    }

    async fn handle_cast(&mut self, (): (), _: &mut ServerContext<Self>) -> Result {
        Ok(())
    }
}

/// The parent drops the start while the child blocks its thread in `init` and can't be ended. The
/// child's start completes afterwards; the child is killed, and the parent receives nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn a_dropped_start_kills_a_child_whose_init_is_blocked() {
    let rt = Runtime::new();
    let parent = rt.spawn(|mut ctx| async move {
        let (rt, runs, (open, gate)) = (ctx.runtime(), Arc::new(Notify::new()), channel());
        let start = Held::spec((runs.clone(), gate)).named(Name::new("held"));
        select! { biased; () = runs.notified() => {}, _ = start.start_link(&ctx) => panic!("too late") }
        let ended = rt.ended(rt.whereis("held").unwrap());
        open.send(()).unwrap();
        assert_eq!(ended.await, ExitReason::Killed);
        assert_eq!(ctx.recv_timeout(Duration::ZERO).await, None);
    });
    assert_eq!(parent.join().await, ExitReason::Normal);
}

/// The `init` can distinguish a restart from the first start, and read the previous exit reason.
#[tokio::test]
async fn a_server_can_read_its_start_cause() {
    let rt = Runtime::new();
    let child = Ledger::child(Setup::default()).named(LEDGER);
    let tree = Supervisor::one_for_one().child(child).start(&rt).await.unwrap();
    let server = rt.server(LEDGER);
    assert_eq!(server.call(Call::Cause).await, Ok(StartCause::First));
    for attempt in 1..=3 {
        rt.kill(server.pid().unwrap());
        while server.call(Call::Cause).await.map_or(0, |cause| cause.restarts()) != attempt {
            tokio::task::yield_now().await;
        }
        let previous = ExitReason::Killed;
        let cause = StartCause::Restart { attempt, previous };
        assert_eq!(server.call(Call::Cause).await, Ok(cause));
    }
    tree.stop().await.unwrap();
}

/// Every context implements `Inside`.
#[tokio::test]
async fn every_context_gives_its_pid_and_runtime() {
    let rt = Runtime::new();
    let process = rt.spawn(|ctx| async move {
        let inside: &dyn Fn() -> (regrow::Pid, Runtime) = &|| (Inside::pid(&ctx), ctx.runtime());
        assert_eq!(inside().0, ctx.pid());
        assert!(inside().1.is_alive(ctx.pid()));
    });
    assert_eq!(process.join().await, ExitReason::Normal);
}
